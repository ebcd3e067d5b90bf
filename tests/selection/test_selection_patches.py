"""Patches: coverage of the image, order of quarters, tissue fraction, outlines as GeoJSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection.patches import (
    cut_patches,
    grid_corners,
    patches_to_geojson,
    split_quarters,
    tissue_fraction,
)


@given(st.integers(8, 60), st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(1, 9))
def test_patches_cover_the_image_in_steps_no_longer_than_the_stride(height, width, side, stride):
    corners = grid_corners((height, width), side_px=side, stride_px=stride)
    for axis, length in enumerate((height, width)):
        starts = np.unique(corners[:, axis])
        assert starts[0] == 0
        assert starts[-1] == length - side
        # Rounding to whole pixels may add one.
        assert (np.diff(starts) <= stride + 1).all()
    assert len(np.unique(corners, axis=0)) == len(corners)


def test_corners_equal_the_published_ones():
    corners = grid_corners((1024, 1024), side_px=256, stride_px=128)
    assert np.unique(corners[:, 0]).tolist() == list(range(0, 769, 128))


def test_patches_and_quarters_are_cut_at_the_right_place(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    patches = cut_patches(image, [[3, 5], [10, 20]], 8)
    assert (patches[1] == image[10:18, 20:28]).all()
    parts = split_quarters(patches)
    assert parts.shape == (2, 4, 4, 4, 3)
    assert (parts[0, 1] == image[3:7, 9:13]).all()  # top right
    assert (parts[0, 2] == image[7:11, 5:9]).all()  # bottom left
    assert cut_patches(image, [], 8).shape == (0, 8, 8, 3)


def test_the_tissue_fraction_equals_that_of_each_patch(rng):
    image = np.where(rng.random((40, 50, 1)) < 0.3, np.uint8(240), np.uint8(130)).repeat(3, axis=2)
    corners = grid_corners(image.shape, side_px=8, stride_px=5)
    expected = [(patch[..., 1] == 130).mean() for patch in cut_patches(image, corners, 8)]
    np.testing.assert_allclose(tissue_fraction(image, corners, 8), expected)


def test_real_tissue_is_tissue_and_glass_is_not(ihc):
    corners = grid_corners(ihc.shape, side_px=256, stride_px=128)
    assert tissue_fraction(ihc, corners, 256).min() > 0.3
    glass = np.full((64, 64, 3), (243, 240, 238), np.uint8)
    assert tissue_fraction(glass, [[0, 0]], 64)[0] == 0


@pytest.mark.parametrize(
    ("shape", "side", "stride", "code"),
    [
        ((255, 300), 256, 128, "image-smaller-than-patch"),
        ((300, 300), 255, 128, "patch-size-invalid"),
        ((300, 300), 0, 128, "patch-size-invalid"),
        ((300, 300), 256, 0, "patch-size-invalid"),
    ],
)
def test_invalid_sizes_raise_input_errors(shape, side, stride, code, raises_code):
    with raises_code(code):
        grid_corners(shape, side_px=side, stride_px=stride)


def test_geojson_outlines_are_closed_and_x_comes_first():
    text = patches_to_geojson(
        np.array([[10, 20], [0, 300]]), 64, [{"name": "1: a", "image": "a"}, {"name": "2: a"}]
    )
    data = json.loads(text)
    assert data["type"] == "FeatureCollection"
    first, second = data["features"]
    (ring,) = first["geometry"]["coordinates"]
    assert ring[0] == ring[-1] == [20, 10]
    xs, ys = zip(*ring, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (20, 84, 10, 74)
    assert first["properties"]["name"] == "1: a"
    assert first["properties"]["image"] == "a"
    assert first["properties"]["objectType"] == "annotation"
    assert first["properties"]["classification"] == {"name": "to annotate"}
    assert first["properties"]["isLocked"] is True
    assert second["geometry"]["coordinates"][0][0] == [300, 0]


def test_geojson_needs_properties_for_every_patch():
    with pytest.raises(ValueError, match="zip"):
        patches_to_geojson([[0, 0]], 64, [])
