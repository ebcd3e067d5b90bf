"""Mask R-CNN's boxes: anchors as published, deltas that undo each other, suppression as a plain greedy one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.extras.maskrcnn import LEAN, PAPER, MaskRCNNConfig, boxes
from hsn.extras.maskrcnn.anchors import make_anchors
from hsn.extras.maskrcnn.boxes import NMS_BLOCK, nms
from hsn.extras.maskrcnn.proposals import propose

SPREAD = PAPER.spread


def laid(numbers, shape):
    return make_anchors(shape, levels=numbers.levels, sides_px=numbers.sides_px, ratios=numbers.ratios)


def test_anchors_of_256_px_equal_the_published_ones():
    made = laid(PAPER, (256, 256))
    assert len(made) == 16_368
    np.testing.assert_allclose(made[0], [-5.657, -2.828, 5.657, 2.828], atol=5e-4)
    # level > row > column > ratio: the second is the square in the same cell, the fourth lies a cell to the right
    assert made[1].tolist() == [-4, -4, 4, 4]
    np.testing.assert_allclose(made[3], made[0] + [0, 4, 0, 4], atol=1e-5)
    np.testing.assert_allclose(made[3 * 64], made[0] + [4, 0, 4, 0], atol=1e-5)
    assert made[3 * 64 * 64 + 1].tolist() == [-8, -8, 8, 8]
    assert made[-2].tolist() == [128, 128, 256, 256]


def test_ratios_keep_the_area_and_are_width_over_height():
    made = laid(LEAN, (32, 32))
    size = made[:, 2:] - made[:, :2]
    sides = np.sqrt(size.prod(axis=1))
    for cells, of, wanted in (
        (64, sides[: 64 * 6], LEAN.sides_px[0]),
        (16, sides[64 * 6 :], LEAN.sides_px[1]),
    ):
        np.testing.assert_allclose(of, np.tile(np.repeat(wanted, 3), cells), rtol=1e-5)
    np.testing.assert_allclose((size[:, 1] / size[:, 0]).reshape(-1, 3)[7], [0.5, 1, 2], rtol=1e-5)


def test_levels_and_sides_must_fit(raises_code):
    with raises_code("maskrcnn-levels"):
        MaskRCNNConfig(levels=(2,), sides_px=((8,), (9,)))
    with raises_code("maskrcnn-tile-size"):
        MaskRCNNConfig(tile_px=100)
    with raises_code("maskrcnn-anchor-sides"):
        _ = MaskRCNNConfig(levels=(2, 3), sides_px=((8,), (9, 10))).anchors_a_cell


corner = st.floats(-50, 50, width=32)
side = st.floats(1, 40, width=32)
a_box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
some_boxes = st.lists(a_box, min_size=1, max_size=20).map(np.array)


@given(some_boxes, some_boxes)
def test_deltas_lead_to_the_target_boxes(start, wanted):
    count = min(len(start), len(wanted))
    deltas = boxes.encode_deltas(start[:count], wanted[:count], SPREAD)
    np.testing.assert_allclose(boxes.decode_deltas(start[:count], deltas, SPREAD), wanted[:count], atol=1e-5)


def test_deltas_are_relative_and_divided_by_their_spread():
    deltas = boxes.encode_deltas(np.array([[10.0, 10, 20, 30]]), np.array([[11.0, 10, 31, 30]]), SPREAD)
    np.testing.assert_allclose(deltas, [[0.6 / 0.1, 0, np.log(2) / 0.2, 0]], atol=1e-12)


def test_deltas_do_not_overflow():
    wild = boxes.decode_deltas(np.array([[0.0, 0, 16, 16]]), np.full((1, 4), 1e4), SPREAD)
    assert np.isfinite(wild).all()


@given(some_boxes, some_boxes)
def test_overlap_is_symmetric_and_one_only_with_itself(some, others):
    table = boxes.iou(some, others)
    assert (table >= 0).all()
    assert (table <= 1 + 1e-9).all()
    np.testing.assert_allclose(table, boxes.iou(others, some).T)
    np.testing.assert_allclose(np.diag(boxes.iou(some, some)), 1)


def test_an_empty_box_overlaps_nothing():
    assert boxes.iou(np.array([[3.0, 3, 3, 3]]), np.array([[3.0, 3, 3, 3], [0, 0, 9, 9]])).tolist() == [
        [0, 0]
    ]


def test_bounding_boxes_enclose_objects():
    assert boxes.bounding_boxes(np.zeros((5, 5), np.int32)).shape == (0, 4)
    instances = np.zeros((9, 9), np.int32)
    instances[2:4, 3:8] = 2
    instances[8, 0] = 1
    assert boxes.bounding_boxes(instances).tolist() == [[8, 0, 9, 1], [2, 3, 4, 8]]


def test_levels_are_limited_to_those_of_the_heads():
    """At 256 px every region below some 80 px is looked at on level 2, so nuclei need no other."""
    sides = np.array([1, 20, 79, 80, 158, 159, 316, 317, 2000])
    regions = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    assert (boxes.pyramid_levels(regions, PAPER.head_levels) + 2).tolist() == [2, 2, 2, 3, 3, 4, 4, 5, 5]
    assert boxes.pyramid_levels(regions, LEAN.head_levels).tolist() == [0] * 9
    wide = np.array([[0, 0, 40, 160]])  # by the root of its area, which is 80
    assert boxes.pyramid_levels(wide, PAPER.head_levels).tolist() == [1]


def greedy(these, scores, overlap, limit):
    """The plain rule, one box after the other."""
    table, chosen = boxes.iou(these, these), []
    for k in sorted(range(len(scores)), key=lambda k: (-scores[k], k)):
        if all(table[k, j] <= overlap for j in chosen):
            chosen.append(k)
    return chosen[:limit]


@given(some_boxes, st.integers(0, 5), st.sampled_from([0.0, 0.3, 0.7]), st.integers(1, 30))
def test_suppression_equals_the_greedy_algorithm(these, seed, overlap, limit):
    scores = np.random.default_rng(seed).integers(0, 6, len(these)) / 6  # with ties
    assert nms(these, scores, overlap=overlap, limit=limit).tolist() == greedy(these, scores, overlap, limit)


@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.7])
def test_suppression_equals_the_greedy_algorithm_over_several_blocks(overlap, rng):
    count = 2 * NMS_BLOCK + 7
    start = rng.uniform(0, 120, (count, 2))
    these = np.concatenate([start, start + rng.uniform(5, 25, (count, 2))], axis=1)
    scores = rng.random(count)
    chosen = nms(these, scores, overlap=overlap, limit=10_000)
    assert chosen.tolist() == greedy(these, scores, overlap, 10_000)
    assert 10 < len(chosen) < count
    assert nms(these, scores, overlap=overlap, limit=9).tolist() == chosen[:9].tolist()


@pytest.mark.parametrize("between", [0, NMS_BLOCK])
def test_boxes_at_the_overlap_threshold_are_kept(between):
    """Two boxes of IoU 1/2, in one block and in two."""
    filler = far_apart(between) + 100
    these = np.concatenate([[[0, 0, 4, 4]], filler, [[0, 0, 4, 2]]])
    scores = np.linspace(1, 0.5, len(these))
    assert len(nms(these, scores, overlap=0.5, limit=9999)) == between + 2
    assert len(nms(these, scores, overlap=0.499, limit=9999)) == between + 1


def test_suppression_of_no_boxes_gives_none():
    assert nms(np.zeros((0, 4)), np.zeros(0), overlap=0.5, limit=5).tolist() == []


def far_apart(count, side=10):
    """Boxes in rows that do not touch."""
    columns = int(np.ceil(np.sqrt(count)))
    place = np.arange(count)
    start = np.stack([place // columns, place % columns], axis=1) * (side + 4.0)
    return np.concatenate([start, start + side], axis=1).astype(np.float32)


def test_1500_objects_pass_the_limits_and_lower_limits_warn(rng):
    objects = far_apart(1500)
    shape = tuple(int(s) for s in objects[:, 2:].max(axis=0) + 4)
    laid_ = np.concatenate([objects + rng.uniform(-0.5, 0.5, (1500, 1)).astype(np.float32) for _ in range(4)])
    logits = np.stack([np.zeros(6000), rng.uniform(1, 4, 6000)], axis=1)
    options = {"spread": SPREAD, "overlap": 0.5}
    found, warnings = propose(
        logits, np.zeros((6000, 4)), laid_, shape, candidates=6000, limit=2000, **options
    )
    assert len(found) == 1500
    assert warnings == ()
    assert (boxes.iou(objects, found).max(axis=1) > 0.7).all()
    found, warnings = propose(
        logits, np.zeros((6000, 4)), laid_, shape, candidates=6000, limit=1000, **options
    )
    assert len(found) == 1000
    assert warnings == (
        "the limit of 1000 proposals dropped boxes that probably contain objects; raise `proposals` or use smaller"
        " tiles",
    )
    _, warnings = propose(logits, np.zeros((6000, 4)), laid_, shape, candidates=500, limit=1000, **options)
    assert "limit of 500 candidates" in warnings[0]


def test_dropped_boxes_with_a_proposal_do_not_warn():
    objects = far_apart(50)
    laid_ = np.concatenate([objects, objects + 1, objects + 2])  # IoU .68 and .47 with the first
    options = {"spread": SPREAD, "overlap": 0.6}

    def warnings_of(near, candidates, limit):
        lead = np.concatenate(
            [np.full(50, 3.0), np.full(50, 2.0 if near else -1), np.full(50, -1 if near else 2.0)]
        )
        logits = np.stack([0 * lead, lead], axis=1)
        found, warnings = propose(
            logits, np.zeros((150, 4)), laid_, (200, 200), candidates=candidates, limit=limit, **options
        )
        assert len(found) == 50
        return warnings

    assert warnings_of(True, 50, 90) == warnings_of(True, 150, 50) == ()
    assert "50 candidates" in warnings_of(False, 50, 90)[0]
    assert "50 proposals" in warnings_of(False, 150, 50)[0]


def test_dropped_improbable_boxes_do_not_warn(rng):
    objects = far_apart(50)
    logits = np.stack([np.full(50, 2.0), np.arange(50) / 50], axis=1)
    found, warnings = propose(logits, np.zeros((50, 4)), objects, (200, 200), spread=SPREAD, candidates=40, overlap=0.5,
                          limit=10)  # fmt: skip
    assert len(found) == 10
    assert warnings == ()


def test_proposals_are_clipped_to_the_image():
    laid_ = np.float32([[-4, -4, 4, 4], [30, 30, 40, 40]])
    found, _ = propose(np.zeros((2, 2)), np.zeros((2, 4)), laid_, (16, 16), spread=SPREAD, candidates=9, overlap=0.5,
                       limit=9)  # fmt: skip
    assert found.tolist() == [[0, 0, 4, 4]]
