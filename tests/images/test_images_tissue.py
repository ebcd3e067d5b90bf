"""Tissue masks: stained tissue, pale tissue, pens, small pieces, holes, an empty slide."""

import numpy as np
import pytest

from hsn.images.tissue import find_tissue, mask_at

GLASS, STAIN = (243, 241, 244), (214, 150, 196)


def glass(rng, shape=(200, 240)):
    image = np.full((*shape, 3), GLASS, float) + rng.normal(0, 1.5, (*shape, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def test_an_empty_slide_has_no_tissue(rng):
    assert not find_tissue(glass(rng)).any()


@pytest.mark.parametrize("color", [STAIN, (236, 214, 230)], ids=["stained", "pale"])
def test_tissue_is_found_with_a_margin_and_nothing_else(rng, color):
    image = glass(rng)
    image[50:150, 60:180] = color
    mask = find_tissue(image)
    assert mask[50:150, 60:180].all()
    assert not mask[:40].any()
    assert not mask[160:].any()
    assert mask[48:152, 63:177].all()  # a margin of 24 um, 3 px


@pytest.mark.parametrize(
    "color", [(20, 20, 20), (30, 60, 200), (20, 150, 60)], ids=["black", "blue", "green"]
)
def test_pens_are_left_out(rng, color):
    image = glass(rng)
    image[20:100, 20:100] = STAIN
    image[140:170, 20:200] = color
    mask = find_tissue(image)
    assert mask[60, 60]
    assert not mask[135:].any()


def test_small_pieces_go_and_holes_stay(rng):
    image = glass(rng)
    image[20:150, 20:150] = STAIN
    image[60:110, 60:110] = GLASS  # 0.16 mm2
    image[130:134, 130:134] = GLASS
    image[180:186, 200:206] = STAIN  # 0.002 mm2
    mask = find_tissue(image)
    assert not mask[85, 85]
    assert mask[132, 132]
    assert not mask[170:].any()


def test_enlarged_masks_agree_in_every_box(rng):
    mask = rng.random((13, 17)) < 0.5
    whole = mask_at(mask, (500, 611), 0, 0, 500, 611)
    assert whole.shape == (500, 611)
    box = mask_at(mask, (500, 611), 123, 45, 200, 300)
    np.testing.assert_array_equal(box, whole[123:323, 45:345])
    assert mask_at(mask, (13, 17), 0, 0, 13, 17).tolist() == mask.tolist()
