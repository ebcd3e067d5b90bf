"""The config of learning from chosen patches: what it says survives a file, and what it cannot mean is refused."""

import json
from dataclasses import replace

import pytest

from hsn import InputError
from hsn.extras.maskrcnn import LEAN, PAPER
from hsn.supervision.selected import Config, Preset, published, quick


@pytest.mark.parametrize(
    "config",
    [quick(), published(), quick().changed(preset=Preset(steps=3)), published().changed(detector=LEAN)],
)
def test_a_recipe_survives_its_file(config):
    assert Config.from_dict(json.loads(json.dumps(config.as_dict(), allow_nan=False))) == config


def test_published_numbers():
    config = published()
    assert config.detector == PAPER
    assert (config.mean, config.std) == (PAPER.mean, PAPER.std)
    assert (config.synthetic, config.preset, config.rounds, config.start) == (50, "paper", 1, "anew")
    assert (config.least_score, config.least_believed_um2, config.most_believed_um2) == (0.5, 0.0, None)
    assert (config.learning.epochs, config.learning.steps, config.learning.batch) == (250, 20, 6)
    assert (config.learning.crop_px, config.learning.flips, config.learning.zoom) == (
        256,
        (False,) * 2,
        (1, 1),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mpp": 0.0}, "`mpp` must be positive"),
        ({"image_mpp": -1.0}, "`image_mpp` must be positive"),
        ({"tile_px": 0}, "`tile_px` must be positive"),
        ({"std": (1.0, 0.0, 1.0)}, "normalization is of red, green and blue"),
        ({"classes": ("nucleus",)}, "classes are those of its net; expected 3 names"),
        ({"detector": PAPER}, "classes are those of its net; expected 2 names"),
        ({"separate": "waists"}, "choice does not exist; expected `separate`.*'waists'"),
        ({"views": 3}, "choice does not exist; expected `views`"),
        ({"preset": "huge"}, "choice does not exist; expected `preset`.*'huge'"),
        ({"start": "again"}, "choice does not exist; expected `start`"),
        (
            {"learning": replace(quick().learning, monitor="loss")},
            "choice does not exist; expected `monitor`",
        ),
        ({"synthetic": -1}, "counts and shares are out of range"),
        ({"rounds": -1}, "counts and shares are out of range"),
        ({"real_share": 0.0}, "counts and shares are out of range"),
        ({"real_share": 1.1}, "counts and shares are out of range"),
        ({"least_score": 2.0}, "counts and shares are out of range"),
        ({"max_overlap": -0.1}, "counts and shares are out of range"),
    ],
)
def test_what_a_recipe_cannot_mean_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        quick().changed(**changes)


def test_other_spaces_are_of_two_classes():
    from hsn.taxonomies import GLAS, get

    assert quick().changed(taxonomies=(GLAS,)).taxonomy().names == GLAS.names
    with pytest.raises(InputError, match="a taxonomy of two classes"):
        quick().changed(taxonomies=(get("adp-func"),))


@pytest.mark.parametrize(
    "change",
    [{"detector": {"eyes": 2}}, {"detector": 3}, {"preset": {"speed": 1}}, {"preset": [1]}, {"words": 1}],
)
def test_a_file_that_is_no_recipe_is_refused(change):
    with pytest.raises(InputError, match="this is no config of learning from selected"):
        Config.from_dict(quick().as_dict() | change)
