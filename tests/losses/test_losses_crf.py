"""The CRF loss: values of the released code, finite differences, and equality of the three backends."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from hsn import _native
from hsn.losses.crf import crf_loss, energies

ENGINES = [
    "scipy",
    pytest.param("native", marks=pytest.mark.skipif(not _native.kernel, reason="not compiled")),
]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def waves():
    """A made image and probability with published results: float32 (1, 16, 16, 3) and (1, 16, 16)."""
    y, x = np.mgrid[:16, :16].astype(np.float32)
    image = np.stack([0.5 + 0.4 * np.sin(0.5 * x + 0.3 * y * (c + 1)) for c in range(3)], axis=-1)
    probability = 1 / (1 + np.exp(-(np.sin(0.7 * x) + np.cos(0.4 * y))))
    return image[None], probability[None]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_published_loss(waves, engine):
    image, probability = waves
    energy, _ = energies(probability, image, sxy_px=9, srgb=0.1, engine=engine)
    assert energy[0] == pytest.approx(0.531411, abs=2e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_published_loss_of_a_crop_with_black_padding(waves, engine):
    image, probability = waves
    image[:, :2] = 0
    energy, slope = energies(probability, image, sxy_px=9, srgb=0.1, engine=engine)
    assert energy[0] == pytest.approx(0.528044, abs=2e-6)
    assert not slope[:, :2].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_released_gradient_is_the_published_one_doubled(waves, engine):
    image, probability = waves
    _, slope = energies(probability, image, sxy_px=9, srgb=0.1, gradient="released", engine=engine)
    assert slope.ravel()[[0, 100]] / 2 == pytest.approx([-0.001291, -0.000119], abs=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_exact_gradient_equals_finite_differences(waves, engine, rng):
    image, probability = waves
    _, slope = energies(probability, image, sxy_px=9, srgb=0.1, engine=engine)
    for _ in range(5):
        direction = rng.normal(size=probability.shape).astype(np.float32)

        def loss(step, direction=direction):
            return energies(probability + step * direction, image, sxy_px=9, srgb=0.1, engine=engine)[0][0]

        # The loss is quadratic, so that central differences are exact but for rounding.
        assert (loss(0.5) - loss(-0.5)) == pytest.approx((slope * direction).sum(), rel=2e-4, abs=2e-5)


def slope_on_this_backend(image, probability):
    """The gradient of `crf_loss` by the backend's own differentiation."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(probability)
        with tf.GradientTape() as tape:
            loss = tf.function(crf_loss)(variable, image)
        return tape.gradient(loss, variable).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.jit(jax.grad(lambda p: crf_loss(p, image)))(probability))
    import torch

    tensor = torch.tensor(probability, requires_grad=True)
    crf_loss(tensor, torch.tensor(image)).backward()
    return tensor.grad.numpy()


def test_the_backend_applies_the_gradient(waves):
    images, probabilities = (np.concatenate([each, each[:, ::-1]]) for each in waves)
    energy, slope = energies(probabilities, images, sxy_px=9, srgb=0.1)
    assert float(crf_loss(probabilities, images)) == pytest.approx(energy.mean(), abs=1e-6)
    assert slope_on_this_backend(images, probabilities) == pytest.approx(slope / 2, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends_give_the_same_gradient(backend):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-k", "the_backend_applies", __file__]
    surroundings = {**os.environ, "KERAS_BACKEND": backend}
    run = subprocess.run(command, env=surroundings, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout


def test_uniform_predictions_cost_nothing_and_mixed_ones_do():
    image = np.full((2, 6, 6, 3), 0.5, np.float32)
    mixed = np.zeros((2, 6, 6), np.float32)
    mixed[:, ::2] = 1
    assert float(crf_loss(np.ones_like(mixed), image)) == 0
    assert float(crf_loss(mixed, image)) > 1


def test_a_black_image_has_no_loss_and_no_gradient():
    energy, slope = energies(np.full((1, 3, 3), 0.5), np.zeros((1, 3, 3, 3)), sxy_px=9, srgb=0.1)
    assert energy[0] == 0
    assert not slope.any()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"gradient": "double"}, "gradient-unknown"),
        ({"sxy_px": 0}, "sxy-px-positive"),
        ({"srgb": float("nan")}, "srgb-positive"),
    ],
)
def test_invalid_arguments_raise_input_errors(options, code, raises_code):
    with raises_code(code):
        crf_loss(np.ones((1, 2, 2)), np.ones((1, 2, 2, 3)), **options)
