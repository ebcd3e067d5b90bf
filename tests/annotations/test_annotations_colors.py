"""Colours <-> labels: exact, both ways, unknown where no class has the colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn.annotations.colors import as_labels, from_colors, resize_labels, to_colors
from hsn.taxonomies import ADP_FUNC, ADP_MORPH, BUILT_IN, GLAS


@pytest.mark.parametrize("taxonomy", BUILT_IN.values(), ids=BUILT_IN)
def test_painted_labels_come_back(taxonomy, rng):
    painted = rng.integers(0, len(taxonomy), (40, 31))
    labels, known = from_colors(to_colors(painted, taxonomy), taxonomy)
    np.testing.assert_array_equal(labels, painted)
    assert labels.dtype == np.int32
    assert known.all()


@given(arrays.arrays(np.uint8, (4, 5, 3), elements=st.sampled_from([0, 3, 128, 155, 229, 255, 254])))
def test_each_pixel_is_matched_alone(rgb):
    labels, known = from_colors(rgb, ADP_FUNC)
    for place in np.ndindex(4, 5):
        color = tuple(rgb[place].tolist())
        assert known[place] == (color in ADP_FUNC.colors)
        assert labels[place] == (ADP_FUNC.colors.index(color) if known[place] else 0)


def test_colors_outside_of_the_taxonomy_are_unknown():
    rgb = np.array([[c.color for c in ADP_MORPH.unlabeled]], np.uint8)
    labels, known = from_colors(rgb, ADP_MORPH)
    assert not known.any()
    assert not labels.any()


def test_transparent_pixels_are_unknown():
    rgba = np.array([[[0, 0, 128, 255], [0, 0, 128, 0], [0, 0, 128, 1]]], np.uint8)
    labels, known = from_colors(rgba, GLAS)
    assert labels.tolist() == [[1, 0, 1]]
    assert known.tolist() == [[True, False, True]]


def test_an_empty_mask_gives_empty_labels():
    labels, known = from_colors(np.zeros((0, 4, 3), np.uint8), GLAS)
    assert labels.shape == known.shape == (0, 4)


@pytest.mark.parametrize(
    "mask", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.uint16)]
)
def test_arrays_that_are_not_color_masks_are_refused(mask, raises_code):
    with raises_code("color-mask-dtype"):
        from_colors(mask, GLAS)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_out_of_range_is_refused(label, raises_code):
    with raises_code("labels-range"):
        to_colors(np.array([[0, label]]) if label > 0 else np.array([[label, 0]]), GLAS)


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros(4, int), np.zeros((2, 2), bool)])
def test_arrays_that_are_not_labels_are_refused(labels, raises_code):
    with raises_code("labels-dtype"):
        as_labels(labels, 2)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))
def test_resizing_takes_the_pixel_at_the_same_share_of_the_side(height, width, new_height, new_width):
    labels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    rows = np.arange(new_height) * height // new_height
    columns = np.arange(new_width) * width // new_width
    resized = resize_labels(labels, (new_height, new_width))
    np.testing.assert_array_equal(resized, labels[np.ix_(rows, columns)])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.int64])
def test_resizing_keeps_the_dtype(dtype):
    resized = resize_labels(np.eye(4, dtype=dtype), (2, 2))
    assert resized.dtype == dtype
    assert resized.tolist() == [[1, 0], [0, 1]]


def test_resizing_keeps_large_ids():
    assert resize_labels(np.array([[70000]]), (1, 2)).tolist() == [[70000, 70000]]


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros((2, 2, 3), int), np.zeros((0, 2), int)])
def test_only_labels_are_resized_as_labels(labels, raises_code):
    with raises_code("labels-dtype"):
        resize_labels(labels, (2, 2))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_resizing_to_nothing_is_refused(shape, raises_code):
    with raises_code("shape-positive"):
        resize_labels(np.zeros((2, 2), int), shape)
