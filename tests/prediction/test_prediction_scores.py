"""Scores: thresholds by the equal-error rule, against a search over all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsn.prediction.scores import fit_thresholds, passing

few_scores = st.lists(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9]), min_size=2, max_size=12)


@given(few_scores, st.integers(0, 2**12 - 1))
def test_no_threshold_has_more_equal_errors(scores, bits):
    tags = np.array([bool(bits >> k & 1) for k in range(len(scores))])
    scores = np.array(scores, np.float32)
    (fitted,) = fit_thresholds(tags[:, None], scores[:, None], place="score")
    if tags.all() or not tags.any():
        assert fitted == 0.5
        return

    def imbalance(threshold):
        passed = scores >= threshold
        return abs(passed[tags].mean() - (1 - passed[~tags].mean()))

    least = min(imbalance(t) for t in scores)
    best = max(t for t in scores if imbalance(t) == least)
    assert fitted == np.float32(np.clip(best, 1 / 3, 1))


@given(few_scores, st.integers(0, 2**12 - 1))
def test_half_way_passes_the_same_patches(scores, bits):
    tags = np.array([[bool(bits >> k & 1)] for k in range(len(scores))])
    scores = np.array(scores, np.float32)[:, None]
    one, other = (fit_thresholds(tags, scores, place=p) for p in ("halfway", "score"))
    assert one <= other
    if one > 1 / 3 and tags.any() and not tags.all():
        np.testing.assert_array_equal(scores >= one, scores >= other)


def test_an_unknown_place_is_an_error(raises_code):
    with raises_code("place-unknown"):
        fit_thresholds([[1]], [[0.5]], place="middle")


def test_a_class_passes_at_its_threshold():
    assert passing([[0.4, 0.4]], [0.4, 0.41]).tolist() == [[True, False]]


def test_tags_and_scores_of_different_patches_are_an_error(raises_code):
    with raises_code("scores-shape"):
        fit_thresholds(np.ones((2, 1)), np.ones((3, 1)))
