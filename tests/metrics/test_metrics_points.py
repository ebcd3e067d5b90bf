"""Points found: against all assignments, the paper's greedy one, and pooling."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.metrics.points import PointMatching, match_points

few = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5)
RADIUS = 4


def best(truth, found):
    """Most pairs nearer than the radius, and the least sum of distances among such choices, by trying all."""
    truth, found = sorted((truth, found), key=len)
    options = [(0, 0.0)]
    for chosen in itertools.permutations(range(len(found)), len(truth)):
        away = [np.hypot(*np.subtract(truth[k], found[c])) for k, c in enumerate(chosen)]
        # Leaving a pair out is never better, unless it is too far.
        inside = [a for a in away if a < RADIUS]
        options.append((-len(inside), sum(inside)))
    return min(options)


@given(few, few)
def test_the_optimal_rule_is_the_best_of_all_assignments(truth, found):
    matched = match_points(truth, found, radius_px=RADIUS)
    pairs, length = best(truth, found)
    assert matched.true_positives == -pairs
    assert matched.distance_sum == pytest.approx(length)
    assert matched.true_positives + matched.false_positives == len(found)
    assert matched.true_positives + matched.false_negatives == len(truth)


@given(few, few)
def test_truth_and_found_can_be_exchanged(truth, found):
    one, other = match_points(truth, found, radius_px=RADIUS), match_points(found, truth, radius_px=RADIUS)
    assert (one.precision, one.recall) == (other.recall, other.precision)
    assert one.distance_sum == pytest.approx(other.distance_sum)


@given(few, few)
def test_greedy_matching_equals_a_loop_over_rows(truth, found):
    left, away = list(map(tuple, found)), []
    for point in sorted(truth):
        distances = [np.hypot(*np.subtract(point, other)) for other in left]
        if distances and min(distances) < RADIUS:
            left.pop(int(np.argmin(distances)))
            away.append(min(distances))
    matched = match_points(truth, found, radius_px=RADIUS, rule="greedy")
    # Points that are equally far may be chosen otherwise, which can change later pairs but seldom does.
    if len(set(found)) == len(found) and not _ties(truth, found):
        assert (matched.true_positives, matched.false_positives) == (len(away), len(left))
        assert matched.distance_sum == pytest.approx(sum(away))
    assert matched.true_positives <= match_points(truth, found, radius_px=RADIUS).true_positives


def _ties(truth, found):
    away = [[np.hypot(*np.subtract(t, f)) for f in found] for t in truth]
    return any(len(set(row)) < len(row) for row in away)


def test_a_pair_at_the_radius_is_too_far():
    assert match_points([[0, 0]], [[0, 4]], radius_px=4).true_positives == 0
    assert match_points([[0, 0]], [[0, 4]], radius_px=4, rule="greedy").true_positives == 0
    assert match_points([[0, 0]], [[0, 4]], radius_px=4.1).true_positives == 1


def test_points_in_one_place_are_paired():
    matched = match_points([[3, 3], [3, 3]], [[3, 3]], radius_px=1)
    assert (matched.true_positives, matched.false_negatives, matched.mean_distance) == (1, 1, 0)


def test_images_add_up():
    a = match_points([[0, 0], [9, 9]], [[0, 3]], radius_px=5)
    b = match_points([[0, 0]], [[0, 1], [5, 5]], radius_px=5)
    both = sum((a, b), start=PointMatching())
    assert both == PointMatching(2, 1, 1, 4.0, 10.0)
    assert (both.precision, both.recall, both.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (both.mean_distance, both.std_distance) == (2.0, 1.0)


def test_empty_truth_and_prediction_score_1():
    nothing = match_points([], [], radius_px=5)
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)
    assert np.isnan(nothing.mean_distance)
    assert np.isnan(nothing.std_distance)
    missed = match_points([[1, 1]], [], radius_px=5)
    assert (missed.precision, missed.recall, missed.f1) == (0, 0, 0)
    assert match_points([], [[1, 1]], radius_px=5).f1 == 0


def test_ten_thousand_nuclei_are_matched_in_seconds():
    rng = np.random.default_rng(0)
    truth = rng.random((10_000, 2)) * 4000  # as dense as nuclei are
    found = truth + rng.normal(0, 3, truth.shape)
    start = time.process_time()
    matched = match_points(truth, found, radius_px=11)
    assert time.process_time() - start < 2
    assert matched.recall > 0.99


def test_invalid_arguments_raise_input_errors(raises_code):
    with raises_code("points-shape"):
        match_points([[1, 2, 3]], [], radius_px=5)
    with raises_code("points-shape"):
        match_points([], [[1, np.nan]], radius_px=5)
    with raises_code("radius-px-positive"):
        match_points([], [], radius_px=0)
    with raises_code("rule-unknown"):
        match_points([], [], radius_px=5, rule="best")
