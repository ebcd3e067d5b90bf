"""The variance term (varCE): published value and gradient, and the cases where it is 0."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from hsn.losses.cross_entropy import cross_entropy, pixel_weighted_cross_entropy
from hsn.losses.objects import instance_variance
from hsn.objects.cleaning import label_components


def gradient(function, x):
    """Gradient of a scalar function, on whichever backend runs."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(function)(x))
    if backend == "torch":
        x = ops.convert_to_tensor(x).requires_grad_()
        function(x).backward()
        return x.grad.cpu().numpy()
    import tensorflow as tf

    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x).numpy()


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.fixture
def golden():
    i, j = np.mgrid[:8, :8]
    logits = np.stack([np.sin(c + 1 + 0.3 * i + 0.7 * j) for c in range(3)], axis=-1)[None]
    inside = np.zeros((8, 8), bool)
    inside[1:4, 1:4] = inside[5:7, 4:8] = inside[7, 0] = True
    return logits.astype("float32"), label_components(inside)[None]


def test_the_value_equals_the_published_one(golden):
    logits, instances = golden
    assert instances.max() == 3
    assert value(instance_variance(instances, ops.softmax(logits))) == pytest.approx(0.02951038, rel=1e-5)
    for number, variance in ((1, 0.03011679), (2, 0.05841436), (3, 0.0)):
        alone = value(instance_variance((instances == number).astype(int), ops.softmax(logits)))
        assert alone == pytest.approx(variance, rel=1e-5, abs=1e-9)


def test_the_gradient_equals_the_published_one(golden):
    logits, instances = golden
    slope = gradient(lambda z: instance_variance(instances, ops.softmax(z)), logits)[0]
    assert slope[1, 1, 1] == pytest.approx(-2.333118e-4, rel=1e-4)
    assert slope[5, 5, 0] == pytest.approx(-2.075788e-3, rel=1e-4)
    assert np.abs(slope).sum() == pytest.approx(0.128201, rel=1e-5)


def naive(instances, prediction):
    images = []
    for ids, p in zip(instances, prediction, strict=True):
        objects = [p[ids == k] for k in np.unique(ids) if k]
        images.append(
            np.mean([q.var(axis=0, ddof=1).sum() if len(q) > 1 else 0 for q in objects]) if objects else 0
        )
    return np.mean(images)


@settings(deadline=None, max_examples=25)
@given(arrays(bool, (2, 5, 6)), st.integers(0, 99))
def test_it_equals_the_mean_of_variances_in_numpy(inside, seed):
    instances = np.stack([label_components(mask) for mask in inside])
    prediction = np.random.default_rng(seed).dirichlet((1, 1, 1), size=(2, 5, 6)).astype("float32")
    assert value(instance_variance(instances, prediction)) == pytest.approx(
        naive(instances, prediction), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("shape", [(5, 7), (6, 8), (1, 1)])
def test_the_largest_number_of_objects_is_supported(shape, rng):
    inside = np.zeros(shape, bool)
    inside[::2, ::2] = True
    instances = np.stack([label_components(inside)] * 2)
    prediction = rng.dirichlet((1, 1, 1), size=(2, *shape)).astype("float32")
    assert value(instance_variance(instances, prediction)) == 0  # each is one pixel


def test_no_object_gives_zero_and_a_gradient_of_zero(rng):
    prediction = rng.dirichlet((1, 1, 1), size=(2, 4, 4)).astype("float32")
    none = np.zeros((2, 4, 4), int)
    assert value(instance_variance(none, prediction)) == 0
    slope = gradient(lambda p: instance_variance(none, p), prediction)
    assert np.isfinite(slope).all()
    assert not slope.any()


def test_uniform_predictions_cost_nothing_even_if_wrong():
    instances = np.zeros((1, 4, 6), int)
    instances[:, :, :3], instances[:, :, 4:] = 1, 2
    prediction = np.zeros((1, 4, 6, 3), "float32")
    prediction[..., 0], prediction[:, :, 4:] = 1, (0.2, 0.3, 0.5)
    assert value(instance_variance(instances, prediction)) == pytest.approx(0, abs=1e-12)


def test_half_precision_is_summed_in_single_precision(golden):
    logits, instances = golden
    half = ops.cast(ops.softmax(logits), "float16")
    assert value(instance_variance(instances, half)) == pytest.approx(0.02951038, rel=2e-3)


def test_the_pixel_weighted_mean_divides_by_the_number_of_pixels(rng):
    target = keras.utils.to_categorical(rng.integers(0, 3, (2, 4, 5)), 3)
    prediction = rng.dirichlet((1, 1, 1), size=(2, 4, 5)).astype("float32")
    weight = rng.uniform(0, 11, (2, 4, 5)).astype("float32")
    expected = (-np.log((prediction * target).sum(axis=-1)) * weight).sum() / 40
    assert value(pixel_weighted_cross_entropy(target, prediction, weight)) == pytest.approx(
        expected, rel=1e-5
    )
    even = np.ones_like(weight)
    assert value(pixel_weighted_cross_entropy(target, prediction, even)) == pytest.approx(
        value(cross_entropy(target, prediction, even)), rel=1e-5
    )
