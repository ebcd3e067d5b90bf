import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.io import imread
from skimage.measure import label
from skimage.morphology import remove_small_holes

from hsn.objects.cleaning import fill_holes, label_components, remove_small_components, remove_small_objects

masks = arrays(bool, (8, 9))


@given(masks, st.sampled_from([4, 8]), st.integers(0, 5))
def test_components_below_the_area_are_removed(mask, connectivity, area):
    parts = label(mask, connectivity=connectivity // 4)
    np.testing.assert_array_equal(label_components(mask, connectivity=connectivity), parts)
    expected = np.zeros_like(mask)
    for k in range(1, parts.max() + 1):
        if (parts == k).sum() >= area:
            expected |= parts == k
    found = remove_small_components(mask, min_area_px=area, connectivity=connectivity)
    np.testing.assert_array_equal(found, expected)
    left = remove_small_objects(parts * 1000, min_area_px=area)
    np.testing.assert_array_equal(left > 0, expected)
    assert np.unique(np.append(0, left)).tolist() == list(range(left.max() + 1))


def test_the_area_of_an_object_includes_all_its_components():
    assert remove_small_objects(np.array([[3, 0, 3, 0, 4]]), min_area_px=2).tolist() == [[1, 0, 1, 0, 0]]


@given(masks, st.integers(0, 6))
def test_holes_up_to_the_area_are_filled(mask, area):
    grounds = label(~mask, connectivity=1)
    open_to_the_end = np.unique(np.concatenate([grounds[[0, -1]].ravel(), grounds[:, [0, -1]].ravel()]))
    expected = mask.copy()
    for k in set(range(1, grounds.max() + 1)) - set(open_to_the_end.tolist()):
        if (grounds == k).sum() <= area:
            expected |= grounds == k
    np.testing.assert_array_equal(fill_holes(mask, max_area_px=area), expected)


def test_a_corner_does_not_open_a_hole():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = mask[1, 1] = mask[0, 0] = False
    assert (~fill_holes(mask)).sum() == 1


def test_all_holes_are_filled_by_default_but_not_the_background():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[3:6, 3:6] = False
    filled = fill_holes(mask)
    assert filled.sum() == 49
    np.testing.assert_array_equal(filled, remove_small_holes(mask, max_size=9))


def test_empty_masks_are_valid():
    for empty in (np.zeros((4, 5), bool), np.zeros((0, 5), bool)):
        assert not label_components(empty).any()
        assert not remove_small_components(empty, min_area_px=3).any()
        assert not fill_holes(empty).any()
    assert fill_holes(np.ones((4, 5), bool)).all()


def test_component_counts_of_real_masks_equal_the_published_ones(data):
    masks = [imread(path) > 0 for path in sorted((data / "cryonuseg" / "mask_binary").glob("*.png"))]
    assert len(masks) == 28
    assert sum(label_components(mask, connectivity=4).max() for mask in masks) == 4_904
    assert sum(label_components(mask).max() for mask in masks) == 4_702


def test_invalid_arguments_raise_input_errors(raises_code):
    for clean in (label_components, fill_holes):
        with raises_code("mask-dtype"):
            clean(np.eye(2, dtype=int))
    with raises_code("connectivity-unknown"):
        label_components(np.eye(2, dtype=bool), connectivity=6)
    with raises_code("label-image-invalid"):
        remove_small_objects(np.eye(2), min_area_px=1)
