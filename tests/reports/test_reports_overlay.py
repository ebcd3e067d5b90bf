"""Overlays: exact colors, lines along borders, positions of names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn import InputError
from hsn.annotations.colors import to_colors
from hsn.reports.overlay import (
    RELEASE_OPACITY,
    label_borders,
    label_points,
    overlay,
    overlay_picture,
    overlay_result,
)
from hsn.taxonomies import ADP_FUNC, GLAS, NUCLEI

label_images = arrays.arrays(
    np.int32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4)
)


@given(label_images, st.integers(0, 255))
def test_opacity_0_gives_the_image_and_opacity_1_the_mask(labels, gray):
    image = np.full((*labels.shape, 3), gray, np.uint8)
    np.testing.assert_array_equal(overlay(image, labels, ADP_FUNC, opacity=0, outline_px=0), image)
    np.testing.assert_array_equal(overlay(image, labels, ADP_FUNC, opacity=1), to_colors(labels, ADP_FUNC))


def test_the_overlay_of_the_release():
    image = np.full((1, 1, 3), 103, np.uint8)
    mixed = overlay(image, np.array([[1]]), GLAS, opacity=RELEASE_OPACITY, outline_px=0)
    assert mixed.tolist() == [[[26, 26, 122]]]


def test_lines_are_opaque_and_outline_px_wide_on_both_sides(rng):
    labels = np.zeros((20, 20), int)
    labels[:, 10:] = 1
    image = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
    painted = overlay(image, labels, GLAS, opacity=0, outline_px=2)
    changed = (painted == to_colors(labels, GLAS)).all(axis=2)
    assert changed[:, 8:12].all()
    np.testing.assert_array_equal(painted[:, :8], image[:, :8])
    np.testing.assert_array_equal(painted[:, 12:], image[:, 12:])


def test_lines_separate_touching_objects_of_one_class(raises_code):
    image, labels = np.zeros((6, 12, 3), np.uint8), np.ones((6, 12), int)
    halves = np.repeat([[7] * 6 + [9] * 6], 6, axis=0)
    painted = overlay(image, labels, GLAS, opacity=0, outline_px=1, instances=halves)
    lined = (painted == GLAS.colors[1]).all(axis=2)
    assert lined[:, 5:7].all()
    assert not lined[:, :5].any()
    assert not lined[:, 7:].any()
    with raises_code("shape-mismatch"):
        overlay(image, labels, GLAS, instances=halves[:3])


def test_skipped_classes_show_the_image():
    image = np.full((4, 4, 3), 9, np.uint8)
    labels = np.eye(4, dtype=int)
    painted = overlay(image, labels, GLAS, skip=["Other"])
    assert (painted[labels == 0] == 9).all()
    assert (painted[labels == 1] != 9).any()


@given(label_images)
def test_borders_are_pixels_with_a_different_neighbor(labels):
    padded = np.pad(labels, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    np.testing.assert_array_equal(
        label_borders(labels), (windows != labels[..., None, None]).any(axis=(2, 3))
    )


@given(label_images)
def test_each_name_lies_in_its_class(labels):
    points = label_points(labels)
    assert sorted(points) == np.unique(labels).tolist()
    for label, (row, column, radius) in points.items():
        assert labels[row, column] == label
        assert radius >= 0.9


def test_the_image_border_ends_a_class():
    """Without that, the name of a class that fills the image would lie in a corner."""
    row, column, radius = label_points(np.zeros((21, 41), int))[0]
    assert row == 10
    assert 10 <= column <= 30
    assert radius == pytest.approx(11, abs=0.2)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"opacity": 1.2}, "opacity-range"),
        ({"opacity": -0.1}, "opacity-range"),
        ({"outline_px": -1}, "outline-width-invalid"),
        ({"outline_px": 1.5}, "outline-width-invalid"),
    ],
)
def test_invalid_numbers_raise_input_errors(options, code, raises_code):
    with raises_code(code):
        overlay(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), int), GLAS, **options)


def test_skipped_classes_must_exist():
    with pytest.raises(InputError, match="Glass"):
        overlay(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), int), GLAS, skip=["Glass"])


def test_labels_of_another_size_raise(raises_code):
    with raises_code("shape-mismatch"):
        overlay(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), int), GLAS)


def test_objects_get_colored_outlines_and_neither_fill_nor_background():
    image = np.full((30, 40, 3), 90, np.uint8)
    instances = np.zeros((30, 40), int)
    instances[5:15, 5:15], instances[5:15, 15:25] = 1, 2
    painted = overlay_result(image, (instances > 0).astype(int), NUCLEI, instances)
    changed = (painted != image).any(axis=2)
    np.testing.assert_array_equal(changed, label_borders(instances) & (instances > 0))
    assert (painted[changed] == (255, 221, 0)).all()


@pytest.mark.parametrize("instances", [None, np.ones((30, 200), int)])
@pytest.mark.parametrize("mpp", [None, 0.5])
def test_the_legend_lies_below_the_overlay(instances, mpp):
    image, labels = np.full((30, 200, 3), 90, np.uint8), np.ones((30, 200), int)
    picture = overlay_picture(image, labels, GLAS, instances, mpp=mpp)
    np.testing.assert_array_equal(picture[:30], overlay_result(image, labels, GLAS, instances))
    assert (picture[30:] == GLAS.colors[1]).all(axis=2).any()
    longest_bar = (picture[30:] == 0).all(axis=2).sum(axis=1).max()
    assert (longest_bar >= 40) == (mpp is not None)  # 20 um


def test_the_overlay_of_a_narrow_image_has_a_legend():
    picture = overlay_picture(np.zeros((5, 7, 3), np.uint8), np.zeros((5, 7), int), GLAS, mpp=0.5)
    assert picture.shape[1] == 160
