import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from skimage.io import imread

from hsn.metrics.objects import match_glas
from hsn.metrics.outlines import hausdorff, matched_hausdorff, object_dice, object_hausdorff, object_iou
from hsn.metrics.pairing import greedy_pairs
from hsn.metrics.table import overlaps

maps = arrays(np.int32, (7, 8), elements=st.sampled_from([0, 0, 0, 2, 3, 7]))


def blocks(shape, *boxes):
    instances = np.zeros(shape, np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, 1):
        instances[top : bottom + 1, left : right + 1] = number
    return instances


FOUR = (
    blocks((32, 32), (2, 6, 2, 6), (12, 17, 12, 17), (2, 4, 22, 25), (26, 29, 4, 7)),
    blocks((32, 32), (3, 7, 2, 6), (12, 17, 14, 19), (20, 21, 26, 28), (26, 29, 4, 7)),
)
MERGED = blocks((12, 24), (4, 9, 4, 9), (4, 9, 12, 19)), blocks((12, 24), (4, 9, 4, 19))


def test_the_golden_of_four_objects():
    table = overlaps(*FOUR)
    assert object_dice(table) == pytest.approx(0.698524, abs=1e-6)
    assert object_iou(table) == pytest.approx(0.589865, abs=1e-6)
    assert object_hausdorff(*FOUR) == pytest.approx(2.741151, abs=1e-6)
    assert matched_hausdorff(*FOUR, table, greedy_pairs(table)) == 1


def test_the_golden_of_a_merge():
    table = overlaps(*MERGED)
    assert matched_hausdorff(*MERGED, table, greedy_pairs(table)) == 10


def farthest(one, other):
    """Hausdorff distance from all distances between all pixels."""
    between = cdist(np.argwhere(one), np.argwhere(other))
    return max(between.min(axis=0).max(), between.min(axis=1).max())


@given(arrays(bool, (6, 5)), arrays(bool, (6, 5)))
def test_hausdorff_is_the_one_of_all_distances(one, other):
    one[0, 0] = other[5, 4] = True
    assert hausdorff(one, other) == pytest.approx(farthest(one, other))


def sided(one, other, score, alone):
    """One direction of an object score, mask by mask."""
    total = 0
    for i in np.unique(one[one > 0]):
        mask = one == i
        met, counts = np.unique(other[mask & (other > 0)], return_counts=True)
        share = mask.sum() / (one > 0).sum()
        total += share * (score(mask, other == met[counts.argmax()]) if len(met) else alone(mask, other))
    return total


def naive(truth, prediction, score, alone):
    return (sided(truth, prediction, score, alone) + sided(prediction, truth, score, alone)) / 2


@given(maps, maps)
def test_object_scores_are_those_of_masks_one_by_one(truth, prediction):
    truth[0, 0] = prediction[6, 7] = 2  # the empty ones have their own test
    table = overlaps(truth, prediction)

    def dice(a, b):
        return 2 * (a & b).sum() / (a.sum() + b.sum())

    def nearest(mask, other):
        return min(farthest(mask, other == j) for j in np.unique(other[other > 0]))

    assert object_dice(table) == pytest.approx(naive(truth, prediction, dice, lambda *_: 0))
    assert object_iou(table) == pytest.approx(
        naive(truth, prediction, lambda a, b: (a & b).sum() / (a | b).sum(), lambda *_: 0)
    )
    expected = naive(truth, prediction, farthest, nearest)
    assert object_hausdorff(truth, prediction) == pytest.approx(expected)
    assert object_hausdorff(truth, prediction, table=table) == pytest.approx(expected)


def test_empty_maps_are_defined():
    none, some = np.zeros((3, 4), int), np.eye(3, 4, dtype=int)
    assert object_dice(overlaps(none, none)) == 1
    assert object_hausdorff(none, none) == 0
    for pair in ((none, some), (some, none)):
        assert object_dice(overlaps(*pair)) == object_iou(overlaps(*pair)) == 0
        assert object_hausdorff(*pair) == np.inf
        assert object_hausdorff(*pair, one_empty_px=1e5) == 1e5
        assert np.isnan(matched_hausdorff(*pair, overlaps(*pair), []))


def test_mismatched_shapes_are_errors(raises_code):
    with raises_code("shape-mismatch"):
        object_hausdorff(np.zeros((2, 3), int), np.zeros((3, 2), int))


def test_glands_of_real_size_take_seconds(data):
    files = sorted((data / "glas" / "labels_instance").glob("testA_*_anno.png"))[:8]
    start = time.process_time()
    for file in files:
        truth = imread(file).astype(np.int32)
        # Shifted by 15 pixels, every second gland lost: some objects overlap nothing.
        prediction = np.roll(np.where(truth % 2 == 1, truth, 0), 15, axis=0)
        distance = object_hausdorff(truth, prediction)
        assert 0 < distance < 1000
        assert object_hausdorff(truth, truth) == 0
        assert match_glas(overlaps(truth, truth)).f1 == 1
    assert time.process_time() - start < 1.5 * len(files)
