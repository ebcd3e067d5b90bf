"""The recipe of learning from chosen patches: what it says survives a file, and what it cannot mean is refused."""

import json
from dataclasses import replace

import pytest

from hsn import Refusal
from hsn.nets.maskrcnn import LEAN, PAPER
from hsn.supervision.selected import Preset, Recipe, published, quick


@pytest.mark.parametrize(
    "recipe",
    [quick(), published(), quick().changed(preset=Preset(steps=3)), published().changed(detector=LEAN)],
)
def test_a_recipe_survives_its_file(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict(), allow_nan=False))) == recipe


def test_published_numbers():
    recipe = published()
    assert recipe.detector == PAPER
    assert (recipe.mean, recipe.std) == (PAPER.mean, PAPER.std)
    assert (recipe.synthetic, recipe.preset, recipe.rounds, recipe.start) == (50, "paper", 1, "anew")
    assert (recipe.least_score, recipe.least_believed_um2, recipe.most_believed_um2) == (0.5, 0.0, None)
    assert (recipe.learning.epochs, recipe.learning.steps, recipe.learning.batch) == (250, 20, 6)
    assert (recipe.learning.crop_px, recipe.learning.flips, recipe.learning.zoom) == (
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
        ({"std": (1.0, 0.0, 1.0)}, "normalisation is of red, green and blue"),
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
    with pytest.raises(Refusal, match=words):
        quick().changed(**changes)


def test_other_spaces_are_of_two_classes():
    from hsn.taxonomies import GLAS, get

    assert quick().changed(taxonomies=(GLAS,)).taxonomy().names == GLAS.names
    with pytest.raises(Refusal, match="a taxonomy of two classes"):
        quick().changed(taxonomies=(get("adp-func"),))


@pytest.mark.parametrize(
    "change",
    [{"detector": {"eyes": 2}}, {"detector": 3}, {"preset": {"speed": 1}}, {"preset": [1]}, {"words": 1}],
)
def test_a_file_that_is_no_recipe_is_refused(change):
    with pytest.raises(Refusal, match="this is no recipe of learning from selected"):
        Recipe.from_dict(quick().as_dict() | change)
