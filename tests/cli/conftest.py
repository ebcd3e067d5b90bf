"""A tiny net that has learned nothing, saved as a trained folder: commands are tested, not skill."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hsn import taxonomies
from hsn.images.read import write

CLASSES = ("G.O",)
WINDOW_PX = 32


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder of a net that sees glands, and everything else as other."""
    from hsn import weights
    from hsn.nets import histonet
    from hsn.supervision.tags import Recipe

    net = histonet.build(((4,), (8,)), 1, input_px=WINDOW_PX, seed=1)
    recipe = Recipe(
        classes=CLASSES,
        thresholds=(0.5,),
        taxonomies=(taxonomies.GLAS,),
        mpp=1.24,
        image_mpp=0.62,
        window_px=WINDOW_PX,
        features=histonet.features_of(net).name,
        logits=histonet.logits_of(net).name,
    )
    card = weights.Card(
        name="tiny",
        supervision="tags",
        classes=CLASSES,
        thresholds=(0.5,),
        mpp=1.24,
        taxonomies=("glas",),
        normalisation=weights.Normalisation(mean=recipe.mean, std=recipe.std),
        source="a test",
    )
    folder = tmp_path_factory.mktemp("nets") / "tiny"
    weights.save(folder, net, card, recipe.as_dict())
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty place for imported nets, and an empty folder to work in."""
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def images(tmp_path, rng):
    """Folder of three small pictures."""
    for name in ("a", "b", "c"):
        write(tmp_path / "images" / f"{name}.png", rng.integers(0, 256, (40, 56, 3), np.uint8))
    return tmp_path / "images"


@pytest.fixture
def run():
    """Run `hsn` with arguments; returns typer's result with `said`, its stdout as JSON where it is JSON."""
    from hsn.cli import app

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        result.said = json.loads(result.stdout) if "--json" in arguments and result.stdout else None
        return result

    return run
