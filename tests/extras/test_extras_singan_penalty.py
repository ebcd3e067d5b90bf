"""The gradient penalty: its value by hand, and its gradient against finite differences, on every backend."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.extras.singan.penalty import gradient_penalty

# In its own program: a backend is chosen once. The critic is smooth, so that differences are derivatives; what
# normalises its batches is the critics' own layer. Doubles, but Keras takes means as singles on JAX.
CHECK = """
import sys
import keras, numpy as np
from keras import layers, ops

keras.config.set_dtype_policy("float64")
keras.config.set_floatx("float64")
from hsn.extras.singan.penalty import gradient_penalty
from hsn.extras.singan.nets import BatchStatistics
from hsn.extras.singan.steps import make_step

assert keras.backend.backend() == sys.argv[1]
rng = np.random.default_rng(0)
x = image = layers.Input((None, None, 2))
for _ in range(2):
    x = layers.Activation("softplus")(BatchStatistics()(layers.Conv2D(2, 3)(x)))
critic = keras.Model(image, layers.Conv2D(1, 3)(x))
weights = critic.trainable_variables
before = [rng.normal(size=w.shape) for w in weights]
real, made = (ops.convert_to_tensor(rng.normal(size=(2, 9, 8, 2))) for _ in range(2))

def put(values):
    for weight, value in zip(weights, values):
        weight.assign(value)

def value(direction, far):
    put([start + far * along for start, along in zip(before, direction)])
    return float(gradient_penalty(critic, real, made, 0.3))

class Descent(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, ops.cast(gradient, variable.dtype))  # in double precision, with rate 1

def loss(nothing):  # the score's offset has no part in its slope: give it a gradient of 0
    return ops.reshape(gradient_penalty(critic, real, made, 0.3) + 0 * ops.sum(weights[-1]), (1,))

put(before)
gradient_value = make_step(loss, trained=[critic], nets=[critic], optimizer=Descent(1.0))(np.zeros(1))[0]
slopes = [start - ops.convert_to_numpy(w) for start, w in zip(before, weights)]
worst = 0
for _ in range(2):
    direction = [rng.normal(size=slope.shape) for slope in slopes]
    difference = (value(direction, 1e-3) - value(direction, -1e-3)) / 2e-3
    worst = max(worst, abs(sum((a * b).sum() for a, b in zip(slopes, direction)) / difference - 1))
put(before)
print(gradient_value, worst, float(np.abs(slopes[1]).max()))
"""


@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=pytest.mark.slow),
        pytest.param("torch", marks=pytest.mark.slow),
    ],
)
def test_its_gradient_equals_finite_differences(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, backend], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    penalty, worst, idle = map(float, done.stdout.split())
    assert penalty > 0.1
    assert worst < 2e-3
    assert idle < 1e-6  # normalization takes away what the first convolution adds


def linear(weights):
    """A critic that weighs channels: its slope is the same everywhere."""
    net = keras.Sequential([layers.Input((None, None, len(weights))), layers.Conv2D(1, 1, use_bias=False)])
    net.layers[0].kernel.assign(np.reshape(weights, (1, 1, -1, 1)).astype("float32"))
    return net


@pytest.mark.parametrize(("weights", "expected"), [((0.6, 0.8), 0.0), ((3.0, 4.0), 16.0), ((0.0, 0.5), 0.25)])
def test_its_value_is_the_distance_of_the_norm_over_channels_from_one(weights, expected, rng):
    real, made = rng.normal(size=(2, 1, 4, 5, 2)).astype("float32")
    penalty = gradient_penalty(linear(weights), ops.convert_to_tensor(real), ops.convert_to_tensor(made), 0.5)
    assert float(penalty) == pytest.approx(expected, abs=1e-5)


def test_it_is_evaluated_between_the_images():
    """The slope of x^2 is 2 x: the penalty depends on the x at which it is evaluated."""
    inputs = layers.Input((1, 1, 1))
    net = keras.Model(inputs, layers.Multiply()([inputs, inputs]))
    real, made = ops.full((1, 1, 1, 1), 3.0), ops.full((1, 1, 1, 1), 1.0)
    assert float(gradient_penalty(net, real, made, 0.25)) == pytest.approx((2 * 1.5 - 1) ** 2)


def test_a_saturated_critic_does_not_give_nan():
    net = keras.Sequential(
        [layers.Input((2, 2, 3)), layers.Conv2D(1, 1, kernel_initializer="zeros"), layers.ReLU(6)]
    )
    assert float(gradient_penalty(net, ops.ones((1, 2, 2, 3)), ops.ones((1, 2, 2, 3)), 0.5)) == pytest.approx(
        1, abs=1e-5
    )
