"""Symmetries: each can be undone, and boxes of the moved image are found in the image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.images.symmetries import SYMMETRIES


def test_there_are_eight_different_ones():
    image = np.arange(12).reshape(3, 4)
    assert (
        len({symmetry.move(image).tobytes() + bytes(symmetry.move(image).shape) for symmetry in SYMMETRIES})
        == 8
    )


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
def test_each_can_be_undone(symmetry):
    image = np.arange(24).reshape(2, 4, 3)
    np.testing.assert_array_equal(symmetry.back(symmetry.move(image)), image)
    assert symmetry.move(image).shape[:2] == symmetry.shape(image.shape)


@given(
    st.sampled_from(SYMMETRIES), st.integers(0, 3), st.integers(0, 3), st.integers(1, 2), st.integers(1, 2)
)
def test_a_box_of_the_moved_image_is_a_moved_box_of_the_image(symmetry, row, col, height, width):
    image = np.arange(35).reshape(5, 7)
    expected = symmetry.move(image)[row : row + height, col : col + width]
    top, left, rows, columns = symmetry.source((row, col, height, width), image.shape)
    np.testing.assert_array_equal(symmetry.move(image[top : top + rows, left : left + columns]), expected)
