"""Objects do not depend on the boxes in which an image is processed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from hsn.config import PostProcess
from hsn.objects.labeling import label_instances
from hsn.objects.regions import label_in_boxes, separate_in_boxes

NUCLEI = PostProcess(
    foreground_threshold=0.4,
    separation="marker_watershed",
    grow_um=0.5,
    h_um=0.3,
    min_area_um2=2.0,
    fill_holes=True,
)
GLANDS = PostProcess(
    foreground_threshold=0.5, separation="components", grow_um=1.0, min_area_um2=2.0, fill_holes=True
)
PLAIN = PostProcess(foreground_threshold=0.5, min_area_um2=0.5, fill_holes=False)
MPP = 0.25


def in_boxes(probabilities, side, postprocess):
    """Objects of an image in raster order, and the label image; processed in boxes of `side` pixels."""
    objects = separate_in_boxes(probabilities, postprocess, mpp=MPP, box_px=side)
    labels = label_in_boxes(probabilities, postprocess, mpp=MPP, box_px=side)
    assert np.count_nonzero(labels) == np.diff(objects.runs[:, 1:]).sum()  # objects do not overlap
    return objects, labels


def as_drawn(instances):
    """Renumber objects by their first pixels."""
    ids, firsts = np.unique(instances, return_index=True)
    order = np.argsort(firsts[ids > 0])
    table = np.zeros(instances.max(initial=0) + 1, np.int32)
    table[ids[ids > 0][order]] = np.arange(1, len(order) + 1)
    return table[instances]


def blobs(seed, shape=(150, 170), sigma=4.0, classes=3):
    """Random smooth probabilities, uint8: blobs of many sizes that touch, with holes."""
    rng = np.random.default_rng(seed)
    fields = [ndi.gaussian_filter(rng.standard_normal(shape), sigma) for _ in range(classes)]
    fields = np.exp(3 * np.stack(fields, axis=2) / np.std(fields[0]))
    return np.rint(255 * fields / fields.sum(axis=2, keepdims=True)).astype(np.uint8)


@pytest.mark.parametrize("postprocess", [NUCLEI, GLANDS, PLAIN], ids=["nuclei", "glands", "plain"])
@pytest.mark.parametrize("seed", range(4))
def test_objects_are_the_same_for_every_size_of_box_and_those_of_the_whole_image(seed, postprocess):
    probabilities = blobs(seed, sigma=(2.0, 4.0, 8.0, 3.0)[seed])
    whole = as_drawn(label_instances(probabilities.astype(np.float32) / 255, postprocess, mpp=MPP))
    assert whole.max() > 3
    reference, _ = in_boxes(probabilities, 1000, postprocess)
    for side in (1000, 64, 33):
        objects, labels = in_boxes(probabilities, side, postprocess)
        np.testing.assert_array_equal(labels, whole)
        for name in ("anchors", "boxes", "sums", "counts", "runs"):
            np.testing.assert_array_equal(getattr(objects, name), getattr(reference, name))
        numbers = label_in_boxes(probabilities.astype(np.float32) / 255, postprocess, mpp=MPP, box_px=side)
        np.testing.assert_array_equal(numbers, whole)


@settings(max_examples=60)
@given(
    mask=st.integers(0, 2**32 - 1).flatmap(
        lambda seed: st.floats(0.2, 0.7).map(lambda p: np.random.default_rng(seed).random((23, 29)) < p)
    ),
    side=st.integers(3, 30),
)
def test_components_in_boxes_are_those_of_scipy(mask, side):
    postprocess = PostProcess(foreground_threshold=0.5, min_area_um2=0.0, fill_holes=False)
    two = np.stack([~mask, mask], axis=2).astype(np.uint8) * 255  # two classes: 8 neighbors
    _, labels = in_boxes(two, side, postprocess)
    np.testing.assert_array_equal(labels, as_drawn(ndi.label(mask, np.ones((3, 3)))[0]))


def test_an_object_inside_a_filled_hole_of_a_larger_one_is_part_of_it():
    ring = np.zeros((120, 120), bool)
    ring[10:110, 10:110] = True
    ring[20:100, 20:100] = False
    ring[50:60, 50:60] = True
    probabilities = np.stack([~ring, ring, np.zeros_like(ring)], axis=2).astype(np.uint8) * 255
    for side in (200, 40):
        objects, labels = in_boxes(probabilities, side, GLANDS)
        assert len(objects) == 1
        assert labels[55, 55] == labels[40, 40] == 1


def test_an_object_of_many_boxes_is_one_object():
    rows, columns = np.mgrid[:600, :600]
    radius = np.hypot(rows - 300, columns - 300)
    inside = (radius < 290) & (radius > 240)
    probabilities = np.stack([~inside, inside, np.zeros_like(inside)], axis=2).astype(np.uint8) * 255
    objects, labels = in_boxes(probabilities, 32, GLANDS)
    assert len(objects) == 1
    assert objects.sums[0, 0] == (labels > 0).sum() > 1.9 * inside.sum()
