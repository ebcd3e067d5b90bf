"""Patches: they cover the image, quarters are in order, glass is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection.patches import cut, places, quarters, tissue_share


@given(st.integers(8, 60), st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(1, 9))
def test_patches_cover_the_image_in_steps_no_longer_than_the_stride(height, width, side, stride):
    corners = places((height, width), side_px=side, stride_px=stride)
    for axis, length in enumerate((height, width)):
        starts = np.unique(corners[:, axis])
        assert starts[0] == 0
        assert starts[-1] == length - side
        # Rounding to whole pixels may add one.
        assert (np.diff(starts) <= stride + 1).all()
    assert len(np.unique(corners, axis=0)) == len(corners)


def test_published_patches():
    corners = places((1024, 1024), side_px=256, stride_px=128)
    assert np.unique(corners[:, 0]).tolist() == list(range(0, 769, 128))


def test_cutting_and_quartering(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    patches = cut(image, [[3, 5], [10, 20]], 8)
    assert (patches[1] == image[10:18, 20:28]).all()
    parts = quarters(patches)
    assert parts.shape == (2, 4, 4, 4, 3)
    assert (parts[0, 1] == image[3:7, 9:13]).all()  # top right
    assert (parts[0, 2] == image[7:11, 5:9]).all()  # bottom left
    assert cut(image, [], 8).shape == (0, 8, 8, 3)


def test_tissue_is_counted_patch_by_patch(rng):
    image = np.where(rng.random((40, 50, 1)) < 0.3, np.uint8(240), np.uint8(130)).repeat(3, axis=2)
    corners = places(image.shape, side_px=8, stride_px=5)
    expected = [(patch[..., 1] == 130).mean() for patch in cut(image, corners, 8)]
    np.testing.assert_allclose(tissue_share(image, corners, 8), expected)


def test_real_tissue_is_tissue_and_glass_is_not(ihc):
    corners = places(ihc.shape, side_px=256, stride_px=128)
    assert tissue_share(ihc, corners, 256).min() > 0.3
    glass = np.full((64, 64, 3), (243, 240, 238), np.uint8)
    assert tissue_share(glass, [[0, 0]], 64)[0] == 0


@pytest.mark.parametrize(
    ("shape", "side", "stride", "words"),
    [
        ((255, 300), 256, 128, "smaller than a patch; expected 256 x 256 px or more, received 255 x 300"),
        ((300, 300), 255, 128, "patches need a size"),
        ((300, 300), 0, 128, "patches need a size"),
        ((300, 300), 256, 0, "patches need a size.*received 256 and 0"),
    ],
)
def test_refusals(shape, side, stride, words):
    with pytest.raises(ValueError, match=words):
        places(shape, side_px=side, stride_px=stride)
