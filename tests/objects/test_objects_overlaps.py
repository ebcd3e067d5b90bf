"""Overlaps: the higher score wins, each pixel has one object, and rejected objects are masked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsn.objects.overlaps import (
    PlacedMask,
    ScoredInstances,
    resolve_overlaps,
    score_objects,
    select_pseudo_labels,
)

SHAPE = (12, 15)
piece = st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(1, 5), st.integers(1, 7)).map(
    lambda p: PlacedMask(p[0], p[1], np.ones(p[2:], bool))
)
scored_pieces = st.lists(st.tuples(piece, st.floats(0, 1, width=16)), max_size=9)


def drawn(one):
    image = np.zeros(SHAPE, bool)
    image[one.top : one.top + one.mask.shape[0], one.left : one.left + one.mask.shape[1]] = one.mask
    return image


@given(scored_pieces)
def test_each_pixel_belongs_to_the_mask_with_the_highest_score(given_):
    pieces, scores = [p for p, _ in given_], [s for _, s in given_]
    result = resolve_overlaps(pieces, scores, SHAPE, min_visible=0)
    covered = np.zeros(SHAPE, bool)
    wanted, rank = np.zeros(SHAPE, np.int32), 0
    for k in sorted(range(len(pieces)), key=lambda k: (-scores[k], k)):
        free = drawn(pieces[k]) & ~covered
        rank += bool(free.any())
        wanted[free] = rank
        covered |= free
    np.testing.assert_array_equal(result.instances, wanted)
    assert len(result.scores) == rank
    assert (np.diff(result.scores) <= 0).all()


@given(scored_pieces, st.sampled_from([0.3, 0.5, 1.0]))
def test_objects_keep_the_minimal_visible_fraction(given_, share):
    pieces, scores = [p for p, _ in given_], [s for _, s in given_]
    result = resolve_overlaps(pieces, scores, SHAPE, min_visible=share)
    numbers = np.unique(result.instances[result.instances > 0])
    assert numbers.tolist() == list(range(1, len(result.scores) + 1))
    masks = [drawn(p) for p in pieces]
    for n in numbers:
        mine = result.instances == n
        assert any((mine & ~m).sum() == 0 and mine.sum() >= share * m.sum() for m in masks)


def test_duplicate_detections_are_dropped():
    whole, again = PlacedMask(1, 1, np.ones((4, 4), bool)), PlacedMask(1, 2, np.ones((4, 4), bool))
    result = resolve_overlaps([again, whole], [0.5, 0.9], (8, 8))
    assert result.instances.max() == 1
    assert (result.instances > 0).sum() == 16
    assert resolve_overlaps([again, whole], [0.5, 0.9], (8, 8), min_visible=0.25).instances.max() == 2


def test_small_remainders_are_dropped_and_equal_scores_keep_their_order():
    two = [PlacedMask(0, 0, np.ones((1, 4), bool)), PlacedMask(0, 2, np.ones((1, 4), bool))]
    assert resolve_overlaps(two, [0.5, 0.5], (1, 6)).instances.tolist() == [[1, 1, 1, 1, 2, 2]]
    assert resolve_overlaps(two, [0.5, 0.5], (1, 6), min_area_px=3).instances.tolist() == [[1, 1, 1, 1, 0, 0]]
    assert resolve_overlaps([], [], (2, 3)).instances.tolist() == [[0] * 3] * 2


def test_1500_disjoint_masks_give_1500_objects():
    pieces = [PlacedMask(8 * (k // 40), 8 * (k % 40), np.ones((7, 7), bool)) for k in range(1500)]
    assert len(resolve_overlaps(pieces, np.linspace(1, 0, 1500), (304, 320)).scores) == 1500


def test_rejected_objects_are_masked_and_background_is_not():
    instances = np.array([[1, 1, 1, 0, 2, 2, 0, 3, 4, 4, 4, 4]])
    scored = ScoredInstances(instances, np.float32([0.9, 0.49, 0.9, 0.8]))
    labels, valid_mask = select_pseudo_labels(scored, min_score=0.5, min_area_px=2, max_area_px=3)
    assert labels.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert valid_mask.astype(int).tolist() == [[1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]]


def test_scores_are_mean_probabilities(rng):
    instances = np.array([[7, 7, 0], [0, 2, 2]])
    probabilities = np.array([[0.4, 0.6, 1.0], [1.0, 0.2, 0.3]])
    numbers, scores = score_objects(instances, probabilities)
    assert numbers.tolist() == [[2, 2, 0], [0, 1, 1]]
    np.testing.assert_allclose(scores, [0.25, 0.5])
    assert len(score_objects(np.zeros((3, 3), int), np.zeros((3, 3))).scores) == 0


def test_invalid_arguments_raise_input_errors(raises_code):
    one = PlacedMask(0, 0, np.ones((2, 2), bool))
    with raises_code("length-mismatch"):
        resolve_overlaps([one], [1, 2], (4, 4))
    for place in ((3, 0), (-1, 0)):
        with raises_code("mask-outside-image"):
            resolve_overlaps([PlacedMask(*place, one.mask)], [1], (4, 4))
    with raises_code("shape-mismatch"):
        score_objects(np.ones((2, 2), int), np.ones((2, 3)))
    with raises_code("length-mismatch"):
        select_pseudo_labels(ScoredInstances(np.array([[2]]), np.ones(1)), min_score=0.5)
