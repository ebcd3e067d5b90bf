"""Options of the loop: weight decay, precision and accumulated gradients."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.config import TrainConfig
from hsn.training.loop import LoopSpec, computing_in, fit_net
from hsn.training.schedules import cosine


def net():
    x = layers.Input((4,))
    y = layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=1))(x)
    return keras.Model(x, layers.Activation("softmax", dtype="float32", name="probabilities")(y))


def plan(steps=4, size=2, rate=0.1):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 8)]
    rows = [np.arange(size) + k * size for k in range(steps)]

    def batch(epoch, step):
        return x[rows[step]], y[rows[step]], np.ones(size, "float32")

    validate = {"validation_loss": 0.0}.copy
    return LoopSpec(
        1, steps, batch, learning_rate=lambda epoch: rate, validate=validate, monitor="validation_loss"
    )


def entropy(target, prediction, weight, image):
    return -ops.mean(ops.sum(target * ops.log(prediction), axis=-1))


def run(out, the_plan=None, optimizer=None, **options):
    learned = net()
    optimizer = optimizer or keras.optimizers.SGD()
    fit_net(learned, entropy, the_plan or plan(), optimizer=optimizer, out=out, train=TrainConfig(**options))
    return learned


def test_decay_goes_through_the_gradient(tmp_path):
    before = net().get_weights()
    after = run(tmp_path / "decayed", plan(steps=1, rate=0.5), weight_decay=0.2).get_weights()
    free = run(tmp_path / "free", plan(steps=1, rate=0.5)).get_weights()
    for start, decayed, other in zip(before, after, free, strict=True):
        np.testing.assert_allclose(decayed, other - 0.5 * 0.2 * start, atol=1e-6)


def test_two_halves_make_one_batch(tmp_path):
    half = keras.optimizers.SGD(gradient_accumulation_steps=2)
    halves = run(tmp_path / "halves", plan(steps=2, size=4), half).get_weights()
    whole = run(tmp_path / "whole", plan(steps=1, size=8)).get_weights()
    for one, other in zip(halves, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_lower_precision_gives_nearly_the_same_float32_net(tmp_path, precision):
    low, exact = run(tmp_path / "low", precision=precision), run(tmp_path / "exact")
    assert {layer.compute_dtype for layer in low.layers} == {"float32"}
    assert {str(w.dtype) for w in low.weights} == {"float32"}
    for one, other, start in zip(low.get_weights(), exact.get_weights(), net().get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.02)
        assert np.abs(one - start).max() > 0.01
    assert any((a != b).any() for a, b in zip(low.get_weights(), exact.get_weights(), strict=True))


def test_the_last_layer_stays_exact():
    learned = net()
    with computing_in(learned, "mixed_bfloat16"):
        assert [layer.compute_dtype for layer in learned.layers[1:]] == ["bfloat16", "float32"]


def test_a_precision_that_does_not_exist_is_an_error(raises_code):
    with raises_code("precision-unknown"), computing_in(net(), "float8"):
        pass


def test_the_cosine_ends_at_the_lowest_rate():
    rates = [cosine(k / 10, lowest=1e-5, highest=1e-3) for k in range(11)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == pytest.approx((1e-3, 1e-5))
