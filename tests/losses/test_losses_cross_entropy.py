"""Cross-entropies: equal to Keras with weights of 1, and masked by weights of 0."""

import keras
import numpy as np
import pytest

from hsn.losses.cross_entropy import binary_cross_entropy, cross_entropy, weighted_mean


@pytest.fixture
def some(rng):
    target = rng.integers(0, 2, (5, 4)).astype("float32")
    prediction = rng.uniform(0.01, 0.99, (5, 4)).astype("float32")
    return target, prediction, rng.integers(0, 2, (5, 4)).astype("float32")


def test_with_weights_of_one_the_loss_equals_keras(some):
    target, prediction, _ = some
    expected = keras.losses.BinaryCrossentropy()(target, prediction)
    ours = binary_cross_entropy(target, prediction, np.ones_like(target))
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_masked_tags_do_not_change_the_loss(some):
    target, prediction, weight = some
    other = np.where(weight > 0, prediction, 1 - prediction)
    assert float(binary_cross_entropy(target, prediction, weight)) == pytest.approx(
        float(binary_cross_entropy(target, other, weight))
    )


def test_weights_of_zero_give_zero_not_nan(some):
    target, prediction, weight = some
    assert float(binary_cross_entropy(target, prediction, 0 * weight)) == 0


def test_a_wrong_probability_of_one_is_large_but_finite():
    assert 10 < float(binary_cross_entropy([[1.0]], [[0.0]], [[1.0]])) < 20


def test_exclusive_classes_equal_keras(rng):
    prediction = rng.dirichlet(np.ones(3), (2, 4, 5)).astype("float32")
    target = np.eye(3, dtype="float32")[rng.integers(0, 3, (2, 4, 5))]
    weight = rng.uniform(0, 1, (2, 4, 5)).astype("float32")
    each = -np.log((prediction * target).sum(-1))
    expected = (each * weight).sum() / weight.sum()
    assert float(cross_entropy(target, prediction, weight)) == pytest.approx(expected, rel=1e-5)


def test_a_weighted_mean_divides_by_the_weights():
    assert float(weighted_mean([1.0, 3.0], [0.5, 0.25])) == pytest.approx((0.5 + 0.75) / 0.75)
