import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.io import imread
from skimage.segmentation import watershed

from hsn.objects.cleaning import label_components
from hsn.objects.watershed import distance_map, distance_watershed, marker_watershed


def discs(*circles, shape=(40, 60)):
    r, c = np.indices(shape)
    return np.any([np.hypot(r - y, c - x) <= radius for y, x, radius in circles], axis=0)


@pytest.mark.parametrize("turns", range(4))
def test_two_overlapping_discs_are_separated_at_the_saddle(turns):
    mask = np.rot90(discs((20, 18, 10), (20, 35, 10)), turns)
    found = np.rot90(distance_watershed(mask), -turns)
    assert found.max() == 2
    left, right = found[20, 18], found[20, 35]
    assert left != right
    assert (found[:, :26][found[:, :26] > 0] == left).all()
    assert (found[:, 28:][found[:, 28:] > 0] == right).all()


@pytest.mark.parametrize("tilt", np.linspace(0, np.pi, 7))
def test_an_ellipse_is_one_object(tilt):
    r, c = np.indices((60, 60)) - 30.0
    along, across = r * np.cos(tilt) + c * np.sin(tilt), c * np.cos(tilt) - r * np.sin(tilt)
    assert distance_watershed((along / 22) ** 2 + (across / 9) ** 2 <= 1).max() == 1


def test_a_larger_h_separates_fewer_objects():
    mask = discs((20, 18, 10), (20, 30, 10))
    assert distance_watershed(mask, h_px=0.2).max() == 2
    assert distance_watershed(mask, h_px=8).max() == 1


def test_a_disc_cut_by_the_border_is_one_object():
    assert distance_watershed(discs((0, 20, 9), (39, 59, 9))).max() == 2


@given(arrays(bool, (9, 10)), st.sampled_from([0.3, 0.5, 3]), st.sampled_from([0, 1]))
def test_every_foreground_pixel_belongs_to_a_connected_object(mask, h, sigma):
    found = distance_watershed(mask, h_px=h, sigma_px=sigma)
    np.testing.assert_array_equal(found > 0, mask)
    parts = label_components(mask)
    assert np.unique(np.append(0, found)).tolist() == list(range(found.max() + 1))
    for k in range(1, found.max() + 1):
        assert len(np.unique(parts[found == k])) == 1
        assert label_components(found == k).max() == 1


def test_markers_touch_halfway_and_components_without_one_are_background():
    mask = discs((20, 18, 10), (20, 35, 10)) | discs((5, 55, 3))
    markers = np.zeros(mask.shape, int)
    markers[20, 18], markers[20, 35] = 70_000, 4
    found = marker_watershed(markers, mask)
    assert set(np.unique(found)) == {0, 1, 2}
    assert found[20, 35] == 1
    assert not found[5, 55]
    np.testing.assert_array_equal(found > 0, discs((20, 18, 10), (20, 35, 10)))


def test_depth_sets_the_boundary_between_markers():
    markers, mask = np.array([[1, 0, 0, 0, 0, 2]]), np.ones((1, 6), bool)
    depth = np.array([[5, 1, 4, 4, 4, 5.0]])
    found = marker_watershed(markers, mask, depth=depth)
    assert found.tolist() == [[1, 1, 2, 2, 2, 2]]
    np.testing.assert_array_equal(found, watershed(-depth, markers, connectivity=2, mask=mask))


def test_objects_are_8_connected():
    assert distance_watershed(np.eye(5, dtype=bool)).tolist() == np.eye(5, dtype=int).tolist()


def test_a_mask_without_background_is_one_object():
    assert (distance_watershed(np.ones((9, 12), bool)) == 1).all()
    halves = marker_watershed(np.array([[1, 0, 0, 0, 0, 2]]), np.ones((1, 6), bool))
    assert halves.tolist() == [[1, 1, 1, 2, 2, 2]]


def test_empty_masks_and_markers_give_no_objects():
    assert not distance_watershed(np.zeros((5, 6), bool)).any()
    assert not marker_watershed(np.zeros((5, 6), int), np.ones((5, 6), bool)).any()


def test_touching_nuclei_of_real_tissue_are_separated(data):
    folder = data / "multiorgan" / "labels_instance"
    for name in ("TCGA-18-5592-01Z-00-DX1", "TCGA-HE-7129-01Z-00-DX1"):
        truth = imread(folder / f"{name}.png")
        count = len(np.unique(truth)) - 1
        start = time.process_time()
        found = distance_watershed(truth > 0).max()
        assert time.process_time() - start < 2
        assert abs(label_components(truth > 0).max() - count) > 0.25 * count
        assert abs(found - count) < 0.08 * count


def test_invalid_arguments_raise_input_errors(raises_code):
    mask = np.eye(3, dtype=bool)
    with raises_code("h-px-positive"):
        distance_watershed(mask, h_px=0)
    with raises_code("sigma-px-negative"):
        distance_watershed(mask, sigma_px=-1)
    with raises_code("mask-dtype"):
        distance_watershed(mask.astype(int))
    with raises_code("shape-mismatch"):
        marker_watershed(np.zeros((2, 3), int), mask)


maps = arrays(np.int32, (8, 9), elements=st.sampled_from([0, 3, 3, 3, 9, 90_000]))


def naive(instances):
    deep = np.zeros(instances.shape)
    for pixel in np.argwhere(instances > 0):
        outside = np.argwhere(instances != instances[tuple(pixel)])
        deep[tuple(pixel)] = np.hypot(*(outside - pixel).T).min()
    return deep


@given(maps)
def test_distances_equal_a_brute_force_computation(instances):
    instances[0, 0] = 0
    expected = naive(instances)
    np.testing.assert_allclose(distance_map(instances, relative_to=None), expected, rtol=1e-6)
    np.testing.assert_allclose(distance_map(instances), expected / max(expected.max(), 1), rtol=1e-6)
    relative = distance_map(instances, relative_to="object")
    for k in np.unique(instances[instances > 0]):
        own = instances == k
        np.testing.assert_allclose(relative[own], expected[own] / expected[own].max(), rtol=1e-6)


@pytest.mark.parametrize("turns", range(4))
def test_touching_blocks_are_outside_of_each_other(turns):
    blocks = np.zeros((7, 9), int)
    blocks[1:6, 1:4], blocks[1:6, 4:8] = 5, 2
    expected = np.rot90(naive(blocks), turns)
    np.testing.assert_allclose(distance_map(np.rot90(blocks, turns), relative_to=None), expected)


def test_empty_and_full_images_are_valid():
    assert not distance_map(np.zeros((3, 4), int)).any()
    full = distance_map(np.ones((3, 4), int), relative_to=None)
    assert full.tolist() == [[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    assert full.dtype == np.float32


def test_invalid_scales_and_label_images_raise(raises_code):
    with raises_code("relative-to-unknown"):
        distance_map(np.zeros((3, 4), int), relative_to="pixel")
    with raises_code("label-image-invalid"):
        distance_map(np.zeros((3, 4)))
