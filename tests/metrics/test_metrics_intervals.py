import numpy as np
import pytest

from hsn.metrics.intervals import interval


def test_the_interval_of_a_mean_is_about_two_standard_errors(rng):
    scores = rng.normal(0.7, 0.1, 400)
    value, low, high = interval(scores, seed=rng)
    assert value == pytest.approx(scores.mean())
    error = scores.std() / np.sqrt(400)
    assert (low - value, high - value) == pytest.approx((-1.96 * error, 1.96 * error), rel=0.1)


def test_about_nineteen_of_twenty_intervals_hold_the_truth(rng):
    inside = 0
    for _ in range(200):
        _, low, high = interval(rng.uniform(0, 1, 40), resamples=200, seed=rng)
        inside += low <= 0.5 <= high
    assert 175 <= inside <= 199


def test_a_pooled_score_sums_before_it_divides():
    rows = np.array([[1, 1], [0, 99]])
    value, low, high = interval(rows, lambda counts: counts[:, 0].sum() / counts.sum())
    assert value == pytest.approx(1 / 101)
    assert (low, high) == (0, 0.5)


def test_a_wider_level_is_a_wider_interval(rng):
    scores = rng.uniform(0, 1, 30)
    narrow, wide = interval(scores, level=0.5, seed=3), interval(scores, level=0.99, seed=3)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_the_same_seed_gives_the_same_interval(rng):
    scores = rng.uniform(0, 1, 30)
    assert interval(scores, seed=5) == interval(scores, seed=5) != interval(scores, seed=6)


def test_one_image_has_no_spread_and_an_infinite_distance_stays_one():
    assert interval([0.25]) == (0.25, 0.25, 0.25)
    assert interval([1.0, np.inf], resamples=50).high == np.inf


@pytest.mark.parametrize("rows", [[], 3.0])
def test_nothing_to_score_is_an_error(rows, raises_code):
    with raises_code("images-empty"):
        interval(rows)


@pytest.mark.parametrize("options", [{"level": 1}, {"level": 0}, {"resamples": 0}])
def test_an_undefined_interval_is_an_error(options, raises_code):
    with raises_code("interval-range"):
        interval([1, 2], **options)
