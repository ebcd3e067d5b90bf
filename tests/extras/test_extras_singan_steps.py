"""Optimizer steps on some of the nets of a loss, on every backend."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.extras.singan.steps import make_step


def line(start):
    """A net of one weight and no offset."""
    net = keras.Sequential([layers.Input((1,)), layers.Dense(1, use_bias=False)])
    net.layers[0].kernel.assign([[start]])
    return net


def test_only_trained_nets_change():
    mine, theirs = line(2.0), line(3.0)

    def loss(x):
        return ops.stack([ops.mean(mine(x) * theirs(x)), ops.mean(mine(x))])

    step = make_step(loss, trained=[mine], nets=[mine, theirs], optimizer=keras.optimizers.SGD(0.1))
    assert step(np.ones((1, 1))) == pytest.approx([6, 2])
    assert float(mine.layers[0].kernel[0, 0]) == pytest.approx(2 - 0.1 * (3 + 1))
    assert float(theirs.layers[0].kernel[0, 0]) == 3


def test_alternating_steps_use_the_updated_weights():
    mine, theirs = line(1.0), line(1.0)
    first = make_step(lambda x: ops.reshape(mine(x) * theirs(x), (1,)), trained=[mine], nets=[mine, theirs],
                    optimizer=keras.optimizers.SGD(0.5))  # fmt: skip
    second = make_step(lambda x: ops.reshape(-mine(x) * theirs(x), (1,)), trained=[theirs], nets=[mine, theirs],
                     optimizer=keras.optimizers.SGD(0.5))  # fmt: skip
    one = np.ones((1, 1))
    assert first(one) == pytest.approx([1])  # mine becomes 1 - 0.5 * 1
    assert second(one) == pytest.approx([-0.5])  # theirs becomes 1 + 0.5 * 0.5
    assert first(one) == pytest.approx([0.625])
    assert float(mine.layers[0].kernel[0, 0]) == pytest.approx(0.5 - 0.5 * 1.25)


# One program a backend: both parties of an adversarial step on tiny nets, from the same weights and inputs.
ROUNDS = """
import sys
import keras, numpy as np
from keras import ops
from hsn.extras.singan.adversarial import critic_images, critic_terms, generator_terms
from hsn.extras.singan.penalty import gradient_penalty
from hsn.extras.singan import nets as singan
from hsn.extras.singan.steps import make_step

assert keras.backend.backend() == sys.argv[1]
rng = np.random.default_rng(0)
generator, critic_nets = singan.build_generator(2), [singan.build_critic(2) for _ in range(3)]
nets = [generator, *critic_nets]
for net in nets:
    for weight in net.trainable_variables:
        weight.assign(0.3 * rng.normal(size=weight.shape))
critics = [lambda x, critic=critic: critic(x, training=True) for critic in critic_nets]
mask = np.where(rng.random((1, 14, 14, 1)) > 0.5, 1, -1)
condition, coarser = rng.normal(size=(1, 24, 24, 4)), rng.normal(size=(1, 24, 24, 3))
real, parts = rng.normal(size=(3, 1, 14, 14, 3)), rng.random((3, 1, 4, 4, 1))

def of_critics(condition, coarser, mask, real, parts):
    made = [ops.stop_gradient(v) for v in critic_images(generator([condition, coarser], training=True), mask)]
    slopes = [gradient_penalty(critic, real[k], made[k], 0.4) for k, critic in enumerate(critic_nets)]
    return critic_terms(critics, real, made, parts, parts, slopes)

def of_generator(condition, coarser, mask, parts, image):
    made = generator([condition, coarser], training=True)
    return generator_terms(critics, critic_images(made, mask), parts, made, image)

adams = [keras.optimizers.Adam(1e-2, 0.5, 0.999, epsilon=1e-8) for _ in range(2)]
first = make_step(of_critics, trained=critic_nets, nets=nets, optimizer=adams[0])
second = make_step(of_generator, trained=[generator], nets=nets, optimizer=adams[1])
terms = []
for _ in range(3):
    terms += [*first(condition, coarser, mask, real, parts), *second(condition, coarser, mask, parts, real[0])]
statistics = [v for v in generator.non_trainable_variables if "moving" in v.path]
print(*terms, *(float(ops.mean(v)) for v in statistics))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backends_give_the_same_steps(backend):
    results = {}
    for name in (backend, "tensorflow"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
        environment = os.environ | {"KERAS_BACKEND": name, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-c", ROUNDS, name], env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        results[name] = np.array(done.stdout.split(), float)
    assert len(results[backend]) == 3 * 7 + 8
    np.testing.assert_allclose(results[backend], results["tensorflow"], rtol=2e-2, atol=2e-3)
