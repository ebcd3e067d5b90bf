"""Overlaps: the higher score wins, each pixel has one object, and what is doubted is unknown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.objects.overlaps import Piece, Scored, pseudo_labels, score_objects, settle

SHAPE = (12, 15)
piece = st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(1, 5), st.integers(1, 7)).map(
    lambda p: Piece(p[0], p[1], np.ones(p[2:], bool))
)
scored_pieces = st.lists(st.tuples(piece, st.floats(0, 1, width=16)), max_size=9)


def drawn(one):
    image = np.zeros(SHAPE, bool)
    image[one.top : one.top + one.mask.shape[0], one.left : one.left + one.mask.shape[1]] = one.mask
    return image


@given(scored_pieces)
def test_each_pixel_belongs_to_the_surest_mask_over_it(given_):
    pieces, scores = [p for p, _ in given_], [s for _, s in given_]
    result = settle(pieces, scores, SHAPE, least_left=0)
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
def test_objects_keep_the_share_they_must(given_, share):
    pieces, scores = [p for p, _ in given_], [s for _, s in given_]
    result = settle(pieces, scores, SHAPE, least_left=share)
    numbers = np.unique(result.instances[result.instances > 0])
    assert numbers.tolist() == list(range(1, len(result.scores) + 1))
    masks = [drawn(p) for p in pieces]
    for n in numbers:
        mine = result.instances == n
        assert any((mine & ~m).sum() == 0 and mine.sum() >= share * m.sum() for m in masks)


def test_the_second_detection_of_an_object_goes():
    whole, again = Piece(1, 1, np.ones((4, 4), bool)), Piece(1, 2, np.ones((4, 4), bool))
    result = settle([again, whole], [0.5, 0.9], (8, 8))
    assert result.instances.max() == 1
    assert (result.instances > 0).sum() == 16
    assert settle([again, whole], [0.5, 0.9], (8, 8), least_left=0.25).instances.max() == 2


def test_small_rests_go_and_equal_scores_go_in_order():
    two = [Piece(0, 0, np.ones((1, 4), bool)), Piece(0, 2, np.ones((1, 4), bool))]
    assert settle(two, [0.5, 0.5], (1, 6)).instances.tolist() == [[1, 1, 1, 1, 2, 2]]
    assert settle(two, [0.5, 0.5], (1, 6), least_px=3).instances.tolist() == [[1, 1, 1, 1, 0, 0]]
    assert settle([], [], (2, 3)).instances.tolist() == [[0] * 3] * 2


def test_1500_masks_stay_1500_objects():
    pieces = [Piece(8 * (k // 40), 8 * (k % 40), np.ones((7, 7), bool)) for k in range(1500)]
    assert len(settle(pieces, np.linspace(1, 0, 1500), (304, 320)).scores) == 1500


def test_doubted_objects_are_unknown_and_background_is_known():
    instances = np.array([[1, 1, 1, 0, 2, 2, 0, 3, 4, 4, 4, 4]])
    labels, known = pseudo_labels(Scored(instances, np.float32([0.9, 0.49, 0.9, 0.8])), least_score=0.5, least_px=2,
                                  most_px=3)  # fmt: skip
    assert labels.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert known.astype(int).tolist() == [[1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]]


def test_any_net_with_evidence_can_be_scored(rng):
    instances = np.array([[7, 7, 0], [0, 2, 2]])
    evidence = np.array([[0.4, 0.6, 1.0], [1.0, 0.2, 0.3]])
    numbers, scores = score_objects(instances, evidence)
    assert numbers.tolist() == [[2, 2, 0], [0, 1, 1]]
    np.testing.assert_allclose(scores, [0.25, 0.5])
    assert len(score_objects(np.zeros((3, 3), int), np.zeros((3, 3))).scores) == 0


def test_refusals():
    one = Piece(0, 0, np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="each mask needs a score; expected 1 scores, received 2"):
        settle([one], [1, 2], (4, 4))
    for place in ((3, 0), (-1, 0)):
        with pytest.raises(ValueError, match="reaches beyond the image"):
            settle([Piece(*place, one.mask)], [1], (4, 4))
    with pytest.raises(ValueError, match=r"objects and evidence must be of one image; expected \(2, 2\)"):
        score_objects(np.ones((2, 2), int), np.ones((2, 3)))
    with pytest.raises(ValueError, match="each object needs a score; expected 2 scores"):
        pseudo_labels(Scored(np.array([[2]]), np.ones(1)), least_score=0.5)
