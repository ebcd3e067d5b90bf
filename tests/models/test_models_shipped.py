"""The shipped nets predict what they predicted when they were trained, from their old folders and from their new ones.

`fixtures/format0` holds cards and configs of the first five nets in the first format. `fixtures/shipped.npz` holds
predictions on a real image: all labels and instances, probabilities of every 20th pixel. Those of nets that were not
trained again are of the code that trained them, commit 24b16dc.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn.files import PRETRAINED
from hsn.models import Card
from hsn.supervision import method_of

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.name for path in (FIXTURES / "format0").iterdir())
RETRAINED = ("glas-tags", "nuclei-masks", "nuclei-points")  # the weights of their old folders are gone
ADDED = ("nuclei-cc0",)  # after the first format
KEPT = [name for name in NAMES if name not in RETRAINED]


@pytest.fixture(scope="module")
def golden():
    with np.load(FIXTURES / "shipped.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def old_folder(tmp_path):
    """Make the folder of a shipped net as it was in the first format."""

    def old_folder(name):
        if (tmp_path / name).exists():
            return tmp_path / name
        shutil.copytree(FIXTURES / "format0" / name, tmp_path / name)
        shutil.copy(PRETRAINED / name / "net.keras", tmp_path / name)
        return tmp_path / name

    return old_folder


@pytest.mark.parametrize("name", NAMES)
def test_cards_and_configs_of_format_0_are_read(name, old_folder):
    model = hsn.load(old_folder(name)) if name in KEPT else None
    assert Card.read(old_folder(name)).format == 1
    assert model is None or method_of(model)[1].to_dict()["format"] == 1


@pytest.mark.parametrize("name", KEPT)
def test_cards_of_format_0_equal_the_shipped_cards(name, old_folder):
    prose = {"data", "license", "notes", "object_diameter_um", "domain"}  # rewritten or added since
    old, new = Card.read(old_folder(name)), Card.read(PRETRAINED / name)
    assert old.model_dump(exclude=prose) == new.model_dump(exclude=prose)


def compare(result, golden, key):
    """Compare a segmentation with the stored one; another processor rounds differently."""
    np.testing.assert_allclose(result.probabilities[::20, ::20], golden[f"{key} probabilities"], atol=2e-5)
    np.testing.assert_allclose(result.scores, golden[f"{key} scores"], atol=2e-5)
    assert np.mean(result.labels != golden[f"{key} labels"]) < 1e-3
    assert (result.instances is None) == (f"{key} instances" not in golden)
    if result.instances is not None:
        assert result.instances.max() == golden[f"{key} instances"].max()
        assert np.mean((result.instances > 0) != (golden[f"{key} instances"] > 0)) < 1e-3


@pytest.mark.parametrize("name", KEPT)
def test_a_folder_of_format_0_has_the_same_predictions(name, old_folder, golden, ihc):
    compare(hsn.segment(ihc[:300, :260], old_folder(name)), golden, f"{name} default")


@pytest.mark.parametrize("name", [*RETRAINED, *ADDED])
def test_a_later_net_has_the_stored_predictions(name, golden, ihc):
    compare(hsn.segment(ihc[:300, :260], name), golden, f"{name} default")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "nuclei-points" else pytest.mark.slow) for name in NAMES]
)
def test_a_shipped_net_has_the_stored_predictions_at_another_scale(name, golden, ihc):
    compare(hsn.segment(ihc[:300, :260], name, mpp=0.4), golden, f"{name} 0.4")


@pytest.mark.parametrize("name", [*NAMES, *ADDED])
def test_every_shipped_net_has_a_complete_card(name):
    text = (PRETRAINED / name / "README.md").read_text(encoding="utf-8")
    card = Card.read(PRETRAINED / name)
    for part in (f"# {name}", f"{card.mpp:g} um/px", "## Terms", "python benchmarks/"):
        assert part in text
