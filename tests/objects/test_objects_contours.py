import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.io import imread
from skimage.morphology import disk

from hsn.annotations.label_files import read_labels
from hsn.objects.contours import encode, from_colors, grow, ternary, to_colors

maps = arrays(np.int32, (9, 10), elements=st.sampled_from([0, 0, 3, 3, 4, 9]))


@pytest.fixture
def two():
    instances = np.zeros((24, 24), np.int32)
    instances[4:10, 3:9] = 1
    instances[6:14, 14:20] = 2
    return instances


def counts(classes):
    return np.bincount(classes.ravel(), minlength=3).tolist()


def test_the_golden_of_two_blocks(two):
    classes = ternary(two)
    assert counts(classes) == [440, 40, 96]
    assert counts(encode(classes == 1)) == [500, 12, 64]
    assert counts(encode(classes == 1, erosion_px=2)) == [500, 0, 76]


def test_the_published_label_file_of_a_gland_image(data):
    instances = read_labels(data / "glas" / "labels_instance" / "train_8_anno.png")
    assert counts(ternary(instances, radius_px=2)) == [247_904, 137_792, 18_854]


def moved(mask, radius, reduce):
    """Dilate (any) or erode (all) by shifting; beyond the image there is nothing to meet."""
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
def test_ternary_is_that_of_objects_one_by_one(instances, radius):
    inside = np.zeros(instances.shape, bool)
    contour = inside.copy()
    for k in np.unique(instances[instances > 0]):
        eroded, dilated = (moved(instances == k, radius, reduce) for reduce in (np.all, np.any))
        inside |= eroded
        contour |= dilated & ~eroded
    assert not (inside & contour).any()
    np.testing.assert_array_equal(ternary(instances, radius_px=radius), inside + 2 * contour)


@given(arrays(bool, (9, 10)), st.sampled_from([1, 2]))
def test_encode_is_a_rim_of_one_pixel_outside_and_some_inside(inside, erosion):
    core, reached = moved(inside, erosion, np.all), moved(inside, 1, np.any)
    np.testing.assert_array_equal(encode(inside, erosion_px=erosion), core + 2 * (reached & ~core))


@given(maps)
def test_colours_and_classes_turn_into_each_other(instances):
    classes = ternary(instances)
    np.testing.assert_array_equal(from_colors(to_colors(classes)), classes)


@given(maps, st.sampled_from([1, 2]))
def test_growing_larger_is_what_the_release_does(instances, radius):
    expected = np.max([k * moved(instances == k, radius, np.any) for k in (0, 3, 4, 9)], axis=0)
    np.testing.assert_array_equal(grow(instances, radius_px=radius, meet="larger"), expected)


@given(maps, st.sampled_from([0, 1, 1.5, 3]))
def test_growing_takes_nothing_from_anyone_and_gives_to_the_nearest(instances, radius):
    grown = grow(instances, radius_px=radius)
    np.testing.assert_array_equal(grown[instances > 0], instances[instances > 0])
    owned = np.argwhere(instances > 0)
    for pixel in np.argwhere(instances == 0):
        away = np.hypot(*(owned - pixel).T)
        near = instances[tuple(owned[away == away.min()].T)] if len(owned) and away.min() <= radius else [0]
        assert grown[tuple(pixel)] in near


def test_growing_keeps_large_ids():
    assert grow(np.array([[0, 90_000]]), radius_px=1).tolist() == [[90_000] * 2]


def test_glas_ids_are_read_from_a_bmp_with_a_grey_palette(tmp_path, two):
    file = Image.fromarray(two.astype(np.uint8))
    file.save(tmp_path / "train_1_anno.bmp")
    np.testing.assert_array_equal(read_labels(tmp_path / "train_1_anno.bmp"), two)


def test_a_coloured_bmp_is_read_by_its_classes(tmp_path, two):
    Image.fromarray(to_colors(ternary(two))).save(tmp_path / "train_1_anno.bmp")
    np.testing.assert_array_equal(from_colors(imread(tmp_path / "train_1_anno.bmp")), ternary(two))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 3, 3), np.uint8),
        np.ones((2, 3), np.uint8),
        np.zeros((2, 3, 3)),
        np.full((2, 3, 3), 200, np.uint8),
    ],
)
def test_ids_that_are_taken_for_colours_are_refused(image):
    with pytest.raises(ValueError, match=r"no coloured label file.*read_labels"):
        from_colors(image)


def test_other_refusals(two):
    with pytest.raises(ValueError, match=r"`inside` must be a mask.*compare labels with 1"):
        encode(two)
    with pytest.raises(ValueError, match=r"contour has some width.*received 0"):
        ternary(two, radius_px=0)
    with pytest.raises(ValueError, match=r"contour has some width.*received 0\.5"):
        encode(two > 0, erosion_px=0.5)
    with pytest.raises(ValueError, match=r"There are three classes.*make them with `ternary`"):
        to_colors(two + 3)
    for options in ({"radius_px": -1}, {"radius_px": 1, "meet": "smaller"}):
        with pytest.raises(ValueError, match=r"cannot grow so.*radius_px=2"):
            grow(two, **options)
    with pytest.raises(ValueError, match="label image"):
        grow(two - 1, radius_px=1)
