"""Mask R-CNN's targets and losses: the published rules, and values made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from hsn.extras.maskrcnn import PAPER, boxes
from hsn.extras.maskrcnn.align import crop_and_resize
from hsn.extras.maskrcnn.anchors import make_anchors
from hsn.extras.maskrcnn.detect import paste
from hsn.extras.maskrcnn.losses import cross_entropy, loss, mask_entropy, select_class, smooth_l1, terms
from hsn.extras.maskrcnn.targets import anchor_targets, crop_masks, roi_targets

LAID = make_anchors((128, 128), levels=PAPER.levels, sides_px=PAPER.sides_px, ratios=PAPER.ratios)


def disks(rng, side=128, count=40):
    """Disks that do not touch, 1..n."""
    instances = np.zeros((side, side), np.int32)
    rows, columns = np.mgrid[:side, :side]
    for _ in range(count):
        (row, column), radius = rng.uniform(8, side - 8, 2), rng.uniform(3, 8)
        disk = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        if not instances[disk].any():
            instances[disk] = instances.max() + 1
    return instances


@given(st.integers(0, 30))
def test_anchors_are_classified_by_their_overlap(seed):
    rng = np.random.default_rng(seed)
    truth = boxes.bounding_boxes(disks(rng, count=int(rng.integers(1, 40))))
    made = anchor_targets(LAID, truth, PAPER, rng)
    table = boxes.iou(LAID, truth)
    best, objects, known = table.max(axis=1), made["objects"] > 0, made["known"] > 0
    assert objects[best >= 0.7].all()
    assert objects[table.argmax(axis=0)].all()  # the best anchor of each object
    lesser = objects & (best < 0.7)
    assert (table == table.max(axis=0))[lesser].any(axis=1).all()
    assert (best[known & ~objects] < 0.3).all()
    assert (known & objects).sum() == min(objects.sum(), 32)
    assert known.sum() == 64
    assert not made["deltas"][~objects].any()
    moved = boxes.decode_deltas(LAID[objects], made["deltas"][objects], PAPER.spread)
    assert boxes.iou(moved, truth).max(axis=1).min() > 0.999


def test_anchors_between_the_thresholds_have_weight_0(rng):
    laid = np.float32([[0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 34]])
    made = anchor_targets(laid, np.float32([[0, 0, 10, 10]]), PAPER, rng)
    assert made["objects"].tolist() == [1, 0, 0]
    assert made["known"].tolist() == [1, 0, 1]  # IoU 0.5 lies between, 0.294 does not


def test_an_anchor_that_is_best_for_two_objects_targets_the_one_with_more_overlap(rng):
    laid, truth = np.float32([[0, 0, 8, 8]]), np.float32([[0, 0, 8, 8], [6, 6, 14, 14]])
    for order in ([0, 1], [1, 0]):
        made = anchor_targets(laid, truth[order], PAPER, rng)
        assert made["objects"].tolist() == [1]
        assert not made["deltas"].any()


def test_areas_without_annotation_have_no_negatives(rng):
    """Pseudo-labels that are doubted: their boxes teach neither object nor background."""
    instances, unknown = np.zeros((128, 128), np.int32), np.zeros((128, 128), bool)
    instances[10:20, 10:20], unknown[64:] = 1, True
    truth = boxes.bounding_boxes(instances)
    made = anchor_targets(LAID, truth, replace(PAPER, rpn_drawn=100_000), rng, unknown=unknown)
    low = (LAID[:, 0] >= 64) & (LAID[:, 2] <= 128)
    assert not made["known"][low].any()
    assert made["known"][(LAID[:, 2] < 60) & (boxes.iou(LAID, truth)[:, 0] < 0.3)].all()
    proposals = np.float32([[10, 10, 20, 20]] + [[t, 50, t + 10, 60] for t in range(40, 100, 5)])
    regions, made = roi_targets(proposals, instances, replace(PAPER, roi_share=0.05), rng, unknown=unknown)
    drawn = regions[made["known"] > 0]
    assert sorted(drawn[1:, 0].tolist()) == [
        40,
        45,
        50,
        55,
    ]  # a box from 60 on is unknown for more than a half


def test_covered_fractions_equal_those_of_the_pixels(rng):
    mask = rng.random((20, 30)) < 0.4
    start = rng.integers(-3, 25, (60, 2))
    these = np.concatenate([start, start + rng.integers(1, 12, (60, 2))], axis=1)
    padded = np.pad(mask, 50)
    wanted = [padded[50 + t : 50 + b, 50 + a : 50 + c].mean() for t, a, b, c in these]
    np.testing.assert_allclose(boxes.covered_fractions(mask, these), wanted)


def test_an_object_without_an_overlapping_anchor_gets_none(rng):
    made = anchor_targets(LAID, np.float32([[500, 500, 520, 520]]), PAPER, rng)
    assert made["objects"].sum() == 0


def test_an_image_without_objects_has_only_negatives(rng):
    made = anchor_targets(LAID, np.zeros((0, 4), np.float32), PAPER, rng)
    assert made["objects"].sum() == 0
    assert made["known"].sum() == 64


def jittered(rng, truth, count, shift=2.0):
    these = truth[rng.integers(0, len(truth), count)] + rng.uniform(-shift, shift, (count, 4))
    return np.clip(np.concatenate([these[:, :2], np.maximum(these[:, 2:], these[:, :2] + 2)], axis=1), 0, 128)


def test_at_most_a_third_of_the_regions_is_positive(rng):
    instances = disks(rng)
    truth = boxes.bounding_boxes(instances)
    scattered = np.tile(rng.uniform(0, 110, (2000, 2)), 2) + np.array([0, 0, 9, 9])
    proposals = np.float32(np.concatenate([jittered(rng, truth, 600), scattered]))
    regions, made = roi_targets(proposals, instances, PAPER, rng)
    assert regions.shape == (500, 4)
    assert made["masks"].shape == (165, 28, 28)
    assert made["classes"].sum() == 165
    assert made["known"].sum() == 500
    best = boxes.iou(regions, truth).max(axis=1)
    assert (best[:165] >= 0.5).all()
    assert (best[165:] < 0.5).all()
    moved = boxes.decode_deltas(regions[:165], made["deltas"][:165], PAPER.spread)
    assert boxes.iou(moved, truth).max(axis=1).min() > 0.999
    assert not made["deltas"][165:].any()


def test_a_region_of_half_overlap_is_positive_and_one_below_is_not(rng):
    instances = np.zeros((64, 64), np.int32)
    instances[10:20, 10:20] = 1
    proposals = np.float32([[10, 10, 20, 15], [10, 10, 20, 14.9], [10, 10, 16, 20]])
    regions, made = roi_targets(proposals, instances, PAPER, rng)
    assert made["classes"].sum() == 2
    assert sorted(regions[:2].tolist()) == [[10, 10, 16, 20], [10, 10, 20, 15]]
    assert made["known"].sum() == 3


@pytest.mark.parametrize(("positives", "negatives"), [(1, 2), (10, 20), (33, 67), (100, 203)])
def test_negatives_are_about_twice_the_positives(positives, negatives, rng):
    instances = np.zeros((64, 64), np.int32)
    instances[10:20, 10:20] = 1
    proposals = np.float32([[10, 10, 20, 20]] * positives + [[40, 40, 50, 50]] * 400)
    regions, made = roi_targets(proposals, instances, PAPER, rng)
    assert made["classes"].sum() == positives
    assert made["known"].sum() == positives + negatives
    assert not regions[positives + negatives :].any()
    assert negatives == int(positives / 0.33) - positives


def test_without_positives_all_regions_are_negative(rng):
    proposals = np.float32([[k, k, k + 9, k + 9] for k in range(20)])
    for instances in (np.zeros((64, 64), np.int32), np.pad([[1]], (60, 3)).astype(np.int32)):
        regions, made = roi_targets(proposals, instances, PAPER, rng)
        assert made["classes"].sum() == made["masks"].sum() == 0
        assert made["known"].sum() == 20
        assert len(np.unique(regions[:20], axis=0)) == 20


def test_masks_are_rounded_crops_of_the_objects(rng):
    instances = disks(rng)
    truth = boxes.bounding_boxes(instances)
    regions = jittered(rng, truth, 30).astype(np.float32)
    owner = boxes.iou(regions, truth).argmax(axis=1)
    made = crop_masks(instances, owner + 1, regions, 28)
    for k in range(30):
        one = (instances == owner[k] + 1).astype("float32")[None, ..., None]
        crop = crop_and_resize(one, boxes.normalize(regions[k : k + 1], (128, 128))[None], 28)
        crop = ops.convert_to_numpy(crop)[0, 0, ..., 0]
        clear = abs(crop - 0.5) > 1e-3  # at a half, rounding errors decide
        np.testing.assert_array_equal(made[k][clear], crop.round()[clear])


def test_a_pasted_mask_equals_the_object(rng):
    instances = disks(rng)
    truth = boxes.bounding_boxes(instances)
    masks = crop_masks(instances, np.arange(len(truth)) + 1, truth, 28)
    for number, (mask, box) in enumerate(zip(masks, truth, strict=True), 1):
        top, left, piece = paste(mask, box, instances.shape)
        again = np.zeros(instances.shape, bool)
        again[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
        assert (again == (instances == number)).all()


def test_the_terms_equal_hand_computed_ones():
    log3 = float(np.log(3))
    target = {
        "objects": np.float32([[1, 0, 1]]),
        "known": np.float32([[1, 1, 0]]),
        "deltas": np.float32([[[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]]),
        "classes": np.int32([[1, 0, 0]]),
        "roi_known": np.float32([[1, 1, 0]]),
        "roi_deltas": np.float32([[[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]]),
        "masks": np.float32([[[[1, 0], [0, 0]]]]),
    }
    prediction = {
        "anchor_logits": np.float32([[[0, log3], [0, log3], [50, -50]]]),
        "anchor_deltas": np.float32([[[0.5, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]),
        "class_logits": np.float32([[0, 0], [log3, 0], [-50, 50]]),
        "box_deltas": np.float32([[[5, 5, 5, 5], [1, 1, 1, 3]], [[7, 7, 7, 7]] * 2, [[7, 7, 7, 7]] * 2]),
        "mask_logits": np.stack([np.full((1, 2, 2), 77), [[[log3, 0], [0, -log3]]]], axis=-1).astype(
            "float32"
        ),
    }
    made = {name: float(value) for name, value in terms(target, prediction).items()}
    third, quarter, half = np.log(4 / 3), np.log(4), np.log(2)
    assert made["anchor_class"] == pytest.approx((third + quarter) / 2, abs=1e-6)
    assert made["anchor_box"] == pytest.approx((0.125 + 1.5) / 4, abs=1e-6)
    assert made["roi_class"] == pytest.approx((half + third) / 2, abs=1e-6)
    assert made["roi_box"] == pytest.approx(1.5 / 4, abs=1e-6)
    assert made["roi_mask"] == pytest.approx((third + half + half + third) / 4, abs=1e-6)
    assert float(loss(target, prediction)) == pytest.approx(sum(made.values()), abs=1e-5)


def test_weights_of_zero_give_a_loss_of_zero():
    assert float(cross_entropy(np.int32([0]), np.float32([[3, 4]]), np.float32([0]))) == 0
    one = np.ones((1, 2, 2, 2), "float32")
    assert float(smooth_l1(0 * one[0], one[0], np.float32([0]))) == 0
    assert float(mask_entropy(one[..., 0], one, np.int32([0]))) == 0


def test_large_logits_do_not_overflow():
    sure = np.full((1, 1, 1, 2), 500, "float32")
    assert float(mask_entropy(np.zeros((1, 1, 1), "float32"), sure, np.int32([1]))) == 500
    assert float(mask_entropy(np.ones((1, 1, 1), "float32"), sure, np.int32([1]))) == 0
    assert float(cross_entropy(np.int32([1]), np.float32([[500, -500]]), np.float32([1]))) == 1000


def test_each_row_uses_its_own_class():
    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    assert ops.convert_to_numpy(select_class(values, np.int32([2, 0]), axis=1)).tolist() == [[4, 5], [6, 7]]
    assert ops.convert_to_numpy(select_class(values, np.int32([1, 0]), axis=2)).tolist() == [
        [1, 3, 5],
        [6, 8, 10],
    ]


def test_smaller_samples_follow_the_same_rules(rng):
    numbers = replace(PAPER, rpn_drawn=10, rois=9)
    instances = disks(rng)
    made = anchor_targets(LAID, boxes.bounding_boxes(instances), numbers, rng)
    assert made["known"].sum() == 10
    assert (made["known"] * made["objects"]).sum() == 5
    regions, made = roi_targets(boxes.bounding_boxes(instances), instances, numbers, rng)
    assert made["masks"].shape[0] == numbers.positive_rois == 2
    assert regions.shape == (9, 4)
