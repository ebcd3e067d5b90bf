import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.io import imread
from skimage.morphology import disk

from hsn.annotations.label_files import read_labels
from hsn.objects.contours import (
    classes_to_colors,
    colors_to_classes,
    grow_objects,
    inside_to_classes,
    instances_to_classes,
)

maps = arrays(np.int32, (9, 10), elements=st.sampled_from([0, 0, 3, 3, 4, 9]))


@pytest.fixture
def two():
    instances = np.zeros((24, 24), np.int32)
    instances[4:10, 3:9] = 1
    instances[6:14, 14:20] = 2
    return instances


def counts(classes):
    return np.bincount(classes.ravel(), minlength=3).tolist()


def test_class_counts_of_two_blocks_equal_the_published_ones(two):
    classes = instances_to_classes(two)
    assert counts(classes) == [440, 40, 96]
    assert counts(inside_to_classes(classes == 1)) == [500, 12, 64]
    assert counts(inside_to_classes(classes == 1, erosion_px=2)) == [500, 0, 76]


def test_the_published_label_file_of_a_gland_image(data):
    instances = read_labels(data / "glas" / "labels_instance" / "train_8_anno.png")
    assert counts(instances_to_classes(instances, radius_px=2)) == [247_904, 137_792, 18_854]


def moved(mask, radius, reduce):
    """Dilate (any) or erode (all) by shifting; pixels outside of the image do not count."""
    layers = []
    for r, c in np.argwhere(disk(radius)) - radius:
        rows, columns = np.indices(mask.shape)
        rows, columns = rows + r, columns + c
        inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        layer = np.full(mask.shape, reduce is np.all)
        layer[inside] = mask[rows[inside], columns[inside]]
        layers.append(layer)
    return reduce(layers, axis=0)


@given(maps, st.sampled_from([1, 2]))
def test_contour_classes_equal_those_of_single_objects(instances, radius):
    inside = np.zeros(instances.shape, bool)
    contour = inside.copy()
    for k in np.unique(instances[instances > 0]):
        eroded, dilated = (moved(instances == k, radius, reduce) for reduce in (np.all, np.any))
        inside |= eroded
        contour |= dilated & ~eroded
    assert not (inside & contour).any()
    np.testing.assert_array_equal(instances_to_classes(instances, radius_px=radius), inside + 2 * contour)


@given(arrays(bool, (9, 10)), st.sampled_from([1, 2]))
def test_contours_are_one_pixel_wide_outside_and_erosion_px_inside(inside, erosion):
    core, reached = moved(inside, erosion, np.all), moved(inside, 1, np.any)
    np.testing.assert_array_equal(inside_to_classes(inside, erosion_px=erosion), core + 2 * (reached & ~core))


@given(maps)
def test_colors_and_classes_round_trip(instances):
    classes = instances_to_classes(instances)
    np.testing.assert_array_equal(colors_to_classes(classes_to_colors(classes)), classes)


@given(maps, st.sampled_from([1, 2]))
def test_overlap_larger_equals_the_released_code(instances, radius):
    expected = np.max([k * moved(instances == k, radius, np.any) for k in (0, 3, 4, 9)], axis=0)
    np.testing.assert_array_equal(grow_objects(instances, radius_px=radius, overlap="larger"), expected)


@given(maps, st.sampled_from([0, 1, 1.5, 3]))
def test_overlap_nearest_keeps_all_pixels_and_adds_the_nearest(instances, radius):
    grown = grow_objects(instances, radius_px=radius)
    np.testing.assert_array_equal(grown[instances > 0], instances[instances > 0])
    owned = np.argwhere(instances > 0)
    for pixel in np.argwhere(instances == 0):
        away = np.hypot(*(owned - pixel).T)
        near = instances[tuple(owned[away == away.min()].T)] if len(owned) and away.min() <= radius else [0]
        assert grown[tuple(pixel)] in near


def test_growing_keeps_large_ids():
    assert grow_objects(np.array([[0, 90_000]]), radius_px=1).tolist() == [[90_000] * 2]


def test_glas_ids_are_read_from_a_bmp_with_a_gray_palette(tmp_path, two):
    file = Image.fromarray(two.astype(np.uint8))
    file.save(tmp_path / "train_1_anno.bmp")
    np.testing.assert_array_equal(read_labels(tmp_path / "train_1_anno.bmp"), two)


def test_classes_are_read_from_a_color_bmp(tmp_path, two):
    Image.fromarray(classes_to_colors(instances_to_classes(two))).save(tmp_path / "train_1_anno.bmp")
    np.testing.assert_array_equal(
        colors_to_classes(imread(tmp_path / "train_1_anno.bmp")), instances_to_classes(two)
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 3, 3), np.uint8),
        np.ones((2, 3), np.uint8),
        np.zeros((2, 3, 3)),
        np.full((2, 3, 3), 200, np.uint8),
    ],
)
def test_images_of_other_colors_or_ids_raise(image, raises_code):
    with raises_code("contour-colors-invalid"):
        colors_to_classes(image)


def test_invalid_arguments_raise_input_errors(two, raises_code):
    with raises_code("mask-dtype"):
        inside_to_classes(two)
    with raises_code("contour-width-invalid"):
        instances_to_classes(two, radius_px=0)
    with raises_code("contour-width-invalid"):
        inside_to_classes(two > 0, erosion_px=0.5)
    with raises_code("contour-classes-invalid"):
        classes_to_colors(two + 3)
    with raises_code("growth-invalid"):
        grow_objects(two, radius_px=-1)
    with raises_code("overlap-unknown"):
        grow_objects(two, radius_px=1, overlap="smaller")
    with raises_code("label-image-invalid"):
        grow_objects(two - 1, radius_px=1)
