"""Shipped nets of masks: accuracy on validation images, and terms on the cards."""

import numpy as np
import pytest

from hsn import segment
from hsn.data import glas, multiorgan
from hsn.metrics.objects import aji
from hsn.metrics.outlines import object_dice
from hsn.metrics.table import overlaps
from hsn.models.card import Card
from hsn.models.folders import PRETRAINED


@pytest.mark.parametrize(
    ("name", "terms"), [("glas-masks", "research only"), ("nuclei-masks", "CC BY-NC-SA 4.0")]
)
def test_cards_state_license_and_data(name, terms):
    if not (PRETRAINED / name).is_dir():
        pytest.skip(f"pretrained/{name} is not in this checkout")
    card = Card.read(PRETRAINED / name)
    assert terms in card.license
    assert card.method == "masks"
    assert (PRETRAINED / name / "net.keras").stat().st_size < 8 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "samples", "score", "least"),
    [
        ("glas-masks", lambda data: glas.list_samples(data / "glas", "validation")[:4], object_dice, 0.7),
        ("nuclei-masks", lambda data: multiorgan.list_samples(data / "multiorgan", "validation")[:1],
         lambda table: aji(table).score, 0.4),
    ],
)  # fmt: skip
def test_objects_of_validation_images_are_found(data, name, samples, score, least):
    if not (PRETRAINED / name).is_dir():
        pytest.skip(f"pretrained/{name} is not in this checkout")
    scores = [score(overlaps(s.instances(), segment(s.image(), name).instances)) for s in samples(data)]
    assert np.mean(scores) > least
