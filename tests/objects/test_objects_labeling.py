"""Objects from probabilities: grown components, marker watersheds, thresholds, areas in micrometers."""

import numpy as np
import pytest

from hsn.config import PostProcess
from hsn.objects.labeling import foreground, label_instances, object_probability, objects, segmentation_of
from hsn.supervision import masks, points
from hsn.taxonomies import NUCLEI

CLASSES = np.zeros((12, 20), int)
CLASSES[2:9, 2:10], CLASSES[2:9, 10:17] = 2, 2
CLASSES[3:8, 3:9], CLASSES[3:8, 11:16] = 1, 1
PROBABILITIES = 0.9 * np.eye(3)[CLASSES] + 0.1 / 3
FULLNET = masks.preset("fullnet").postprocess.replace(min_area_um2=0.0)
UNET = masks.preset("unet-cryonuseg").postprocess
CLICKS = points.preset("qu2020").postprocess


def label(probabilities, mpp=1.0, **numbers):
    return label_instances(probabilities, PostProcess(**numbers), mpp=mpp)


def hot(classes):
    return np.eye(3, dtype=np.float32)[np.asarray(classes)]


def two_classes(mask):
    nucleus = np.asarray(mask, np.float32)
    return np.stack([1 - nucleus, nucleus], axis=2)


def two_disks():
    """Two disks that touch."""
    rows, columns = np.indices((21, 41))
    return np.maximum(9 - np.hypot(rows - 10, columns - 10), 9 - np.hypot(rows - 10, columns - 26)) > 0


def test_neighbors_grow_until_they_meet():
    for separation in ("components", "marker_watershed"):
        instances = label(PROBABILITIES, separation=separation, grow_um=1.5)
        assert instances.dtype == np.int32
        assert instances[5].tolist() == [0] * 2 + [1] * 8 + [2] * 7 + [0] * 3
    assert (label(PROBABILITIES) > 0).sum() == 5 * 6 + 5 * 5


def test_a_watershed_ends_at_the_background():
    grown = {
        s: label(PROBABILITIES, separation=s, grow_um=9.0) > 0 for s in ("components", "marker_watershed")
    }
    assert grown["marker_watershed"].sum() == (CLASSES > 0).sum() < grown["components"].sum()


def test_small_objects_are_removed_and_holes_filled():
    holed = PROBABILITIES.copy()
    holed[5, 5] = [0.9, 0.05, 0.05]
    assert (label(holed) > 0).sum() == 5 * 6 + 5 * 5 - 1
    assert (label(holed, fill_holes=True) > 0).sum() == 5 * 6 + 5 * 5
    assert label(PROBABILITIES, min_area_um2=27).max() == 1


def test_components_of_the_inside_grow_back_by_a_disk():
    inside = np.zeros((11, 20), int)
    inside[4:7, 4:7], inside[4:7, 12:15], inside[0, 0] = 1, 1, 1
    instances = label_instances(hot(inside), FULLNET.replace(min_area_um2=4 * 0.25**2), mpp=0.25)
    assert instances.max() == 2  # the lone pixel is too small
    assert instances[5].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0]
    assert instances[1:3, 5].tolist() == [0, 1]
    assert instances[2, 3] == 0  # the corners of a disk are cut


def test_a_watershed_grows_no_farther_than_allowed():
    classes = np.array([[0, 2, 1, 1, 2, 2, 1, 1, 2, 2, 2, 2, 0]])
    instances = label(hot(classes), mpp=0.25, separation="marker_watershed", grow_um=0.5)
    assert instances.tolist() == [[0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, 0]]


def test_probabilities_set_the_boundary_of_two_watersheds():
    probabilities = hot([[1, 1, 2, 2, 2, 1, 1]])
    probabilities[0, 4] = (0.49, 0, 0.51)  # a notch, nearer to the second
    instances = label(probabilities, mpp=0.25, separation="marker_watershed", grow_um=2.0)
    assert instances.tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_lengths_are_micrometers():
    block = np.zeros((40, 40), int)
    block[10:30, 10:30] = 1
    fine, coarse = (label_instances(hot(block), FULLNET, mpp=mpp) for mpp in (0.25, 0.5))
    assert (fine > 0).any(axis=0).sum() == 24
    assert (coarse > 0).any(axis=0).sum() == 22
    point = hot(np.pad([[1]], 9))
    widths = [int((label(point, mpp=mpp, grow_um=0.5)[9] > 0).sum()) for mpp in (0.25, 0.125)]
    assert widths == [5, 9]
    assert not label(point, mpp=0.25, min_area_um2=0.1).any()
    assert label(point, mpp=0.5, min_area_um2=0.1).any()


@pytest.mark.parametrize(
    ("numbers", "probabilities"),
    [(UNET, two_disks()[..., None].astype(np.float32)), (CLICKS, two_classes(two_disks()))],
    ids=["one class", "two classes"],
)
def test_touching_objects_are_split_by_their_distance_transform(numbers, probabilities):
    assert label_instances(probabilities, numbers, mpp=0.25).max() == 1
    split = label_instances(probabilities, numbers.replace(h_um=0.25), mpp=0.25)
    assert split.max() == 2
    assert split[10, 10] != split[10, 26]
    np.testing.assert_array_equal(split > 0, two_disks())


def test_the_threshold_defines_the_foreground():
    bar = np.zeros((20, 44, 1))
    bar[4:15, 4:40] = 0.8
    assert label(bar, foreground_threshold=0.5).max() == 1
    assert not label(bar, foreground_threshold=0.9).any()
    two = np.array([[[0.45, 0.55], [0.3, 0.7]]])
    assert foreground(two, None).tolist() == [[True, True]]
    assert foreground(two, 0.6).tolist() == [[False, True]]


def test_nuclei_of_clicks_are_8_connected_and_small_ones_are_removed():
    mask = np.zeros((20, 30))
    mask[2:6, 2:7], mask[10:14, 10:14], mask[14:18, 14:18] = 1, 1, 1
    mask[0, 20:29], mask[1, 20:29] = 1, 1  # 18 px
    instances = label_instances(two_classes(mask), CLICKS, mpp=0.25)
    assert instances.max() == 2
    assert instances[12, 12] == instances[16, 16] != instances[3, 3]
    assert label_instances(two_classes(mask), CLICKS, mpp=0.5).max() == 3  # 18 px are 4.5 um2 there
    ring = np.pad(np.pad([[0]], 3, constant_values=1), 2)
    assert label_instances(two_classes(ring), CLICKS, mpp=0.25)[5, 5] == 1


@pytest.mark.parametrize("h_um", [0.0, 1.0])
def test_zero_probabilities_give_no_objects(h_um):
    nothing = np.zeros((6, 7), int)
    for separation in ("components", "marker_watershed"):
        assert label(hot(nothing), separation=separation, grow_um=1.0, h_um=h_um).max() == 0
    assert label_instances(np.zeros((6, 7, 1)), UNET.replace(h_um=h_um), mpp=0.25).max() == 0
    assert label_instances(two_classes(nothing), CLICKS.replace(h_um=h_um), mpp=0.25).max() == 0


def test_the_probability_of_an_object_is_inside_and_contour_together():
    probability = object_probability(PROBABILITIES)
    np.testing.assert_allclose(probability, 1 - PROBABILITIES[..., 0])
    instances = label(PROBABILITIES, grow_um=1.5)
    result = segmentation_of(instances, probability, NUCLEI)
    np.testing.assert_allclose(result.probabilities, np.stack([PROBABILITIES[..., 0], probability], axis=2))
    np.testing.assert_array_equal(result.labels, instances > 0)
    np.testing.assert_allclose(result.scores, result.probabilities.max(axis=(0, 1)))
    assert result.counts == {"Other": 0, "Nucleus": 2}


def test_the_old_name_still_works_with_a_warning():
    config = masks.preset("fullnet")
    with pytest.warns(DeprecationWarning, match="label_instances"):
        old = objects(PROBABILITIES, config, mpp=0.25)
    np.testing.assert_array_equal(old, label_instances(PROBABILITIES, config.postprocess, mpp=0.25))
    with pytest.warns(DeprecationWarning, match="label_instances"):
        assert points.objects
