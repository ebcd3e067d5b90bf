"""Fixtures for commands: an empty working folder and tiny untrained nets."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hsn.errors import InputError
from hsn.images.read import write
from hsn.types import History


@pytest.fixture
def model(tiny_model):
    """Return the folder of a net with the classes gland and other."""
    return tiny_model


@pytest.fixture(scope="session")
def objects_model(tmp_path_factory):
    """Return the folder of a net that separates objects."""
    from hsn import models
    from hsn.nets import unet
    from hsn.supervision.masks import config as config
    from hsn.supervision.masks import segment
    from hsn.supervision.masks.training import card

    net, noise = (
        unet.build(1, depth=1, width=4, seed=1),
        np.random.default_rng(1).integers(0, 256, (40, 56, 3)),
    )
    numbers = config.unet_cryonuseg().replace(tiling={"halo_px": 4})
    seen = segment(net, noise.astype(np.uint8), numbers).probabilities[..., 1]
    numbers = numbers.replace(
        postprocess={"foreground_threshold": float(np.median(seen))}
    )  # half of noise is objects
    folder = tmp_path_factory.mktemp("nets") / "objects"
    history = History(({"epoch": 1, "validation_loss": 0.7},), best=0)
    about = card(numbers, history, name=folder.name)
    models.save(folder, net, about, numbers.to_dict())
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
def tissue():
    """Draw images of tissue into a folder, as `0.png` and on; returns them with their truth."""
    from hsn.data import synthetic

    def tissue(folder, count, shape, *, mpp):
        several = [synthetic.draw_tissue(seed, shape, mpp=mpp) for seed in range(count)]
        for k, drawn in enumerate(several):
            write(Path(folder) / f"{k}.png", drawn.image)
        return several

    return tissue


@pytest.fixture
def spy_on(monkeypatch):
    """Stop a method before it trains; return a dict with the arguments of its `fit`."""

    def spy_on(kind):
        seen = {}

        def stop(net, images, annotations, config, *, out, progress=None):
            seen.update(net=net, images=images, annotations=annotations, config=config)
            raise InputError("enough", "enough", got="enough", hint="stop")

        monkeypatch.setattr(kind, "fit", stop)
        return seen

    return spy_on


@pytest.fixture
def run():
    """Run `hsn` with arguments; returns typer's result with `said`, its stdout as JSON where it is JSON."""
    from hsn.cli import app

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        result.code = _code_of(result.exception)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        result.said = json.loads(result.stdout) if "--json" in arguments and result.stdout else None
        return result

    return run


def _code_of(exception):
    """The code of the `InputError` behind an exit; None if there is none."""
    while exception is not None and not isinstance(exception, InputError):
        exception = exception.__context__
    return getattr(exception, "code", None)
