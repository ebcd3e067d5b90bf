"""Tiles: windows cover the image, and stitching reverses cutting."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.images import tiles


@given(st.integers(1, 700), st.integers(1, 100))
def test_windows_cover_the_axis_and_stay_inside(size, window):
    size = max(size, window)
    begins = tiles.starts(size, window)
    assert begins[0] == 0
    assert begins[-1] + window == size
    assert all(0 < b - a <= window for a, b in pairwise(begins))


def test_a_window_longer_than_the_axis_is_an_error(raises_code):
    with raises_code("window-too-large"):
        tiles.starts(223, 224)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_stitching_reverses_cutting(height, width, window):
    window = min(window, height, width)
    image = np.random.default_rng(height * 10 + width).random((height, width, 2)).astype(np.float32)
    rows, columns = tiles.starts(height, window), tiles.starts(width, window)
    stitcher = tiles.Stitcher((height, width), 2, rows, columns, window)
    stitcher.add(tiles.cut(image, rows, columns, window))
    np.testing.assert_allclose(stitcher.result(), image, rtol=1e-6)


def test_windows_outside_the_image_are_an_error(raises_code):
    with raises_code("window-outside"):
        tiles.Stitcher((2, 3), 1, [0], [2], 2)


def test_margins_of_a_mirror_may_be_wider_than_the_image():
    padded = tiles.mirror_pad(np.arange(2)[None, :, None], ((0, 0), (3, 4)))
    assert padded[0, :, 0].tolist() == [1, 1, 0, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 51])
def test_enlarging_keeps_the_order_of_channels(channels):
    maps = np.tile(np.arange(channels, dtype=np.float32), (2, 3, 1))
    enlarged = tiles.enlarge(maps, (5, 7))
    assert enlarged.shape == (5, 7, channels)
    assert (enlarged == np.arange(channels)).all()


def test_blending_does_not_change_consistent_windows(rng):
    # All windows are cut from one field.
    field = rng.random((4 + 2 * 3, 4 + 3, 2))
    grid = np.stack([[field[3 * r : 3 * r + 4, 3 * c : 3 * c + 4] for c in range(2)] for r in range(3)])
    blended = tiles.blend_neighbors(grid, np.ones((3, 2, 2), bool), stride=3)
    np.testing.assert_allclose(blended, grid, rtol=1e-6)


def test_absent_neighbors_are_ignored_and_an_absent_own_class_counts_as_zero():
    maps = np.zeros((1, 2, 4, 4, 1))
    maps[0, 1] = 2
    present = np.array([[[False], [True]]])
    blended = tiles.blend_neighbors(maps, present, stride=3)[0, :, 0, :, 0]
    assert blended.tolist() == [[0, 0, 0, 1], [2, 2, 2, 2]]


def test_a_corner_is_the_mean_of_four():
    maps = np.array([[1, 2], [3, 6]], float).reshape(2, 2, 1, 1, 1) * np.ones((2, 2, 4, 4, 1))
    blended = tiles.blend_neighbors(maps, np.ones((2, 2, 1), bool), stride=3)
    assert blended[0, 0, 3, 3, 0] == 3  # (1 + 2 + 3 + 6) / 4
    assert blended[0, 0, 3, 0, 0] == 2  # (1 + 3) / 2


def test_windows_that_overlap_by_more_than_half_are_an_error(raises_code):
    with raises_code("stride-too-small"):
        tiles.blend_neighbors(np.zeros((1, 1, 4, 4, 1)), np.ones((1, 1, 1), bool), stride=1)


@given(st.integers(1, 6), st.integers(-20, 20), st.integers(1, 20))
def test_a_box_beyond_the_image_equals_mirrored_padding(side, first, count):
    image = np.arange(2 * side).reshape(2, side)
    expected = tiles.mirror_pad(image, ((0, 0), (40, 40)))[:, 40 + first : 40 + first + count]
    np.testing.assert_array_equal(tiles.read_mirrored(tiles.ArrayReader(image), 0, first, 2, count), expected)
