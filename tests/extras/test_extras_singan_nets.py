"""CSinGAN's nets: published sizes, what they see, how they start, and that their files are of stock layers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.extras.singan import nets as singan
from hsn.models import keras_file


def trainable(net):
    return sum(int(np.prod(w.shape)) for w in net.trainable_weights)


@pytest.mark.parametrize(
    ("filters", "of_generator", "of_critic"), [(32, 30_051, 29_185), (64, 115_395, 113_665)]
)
def test_published_sizes(filters, of_generator, of_critic):
    assert trainable(singan.build_generator(filters)) == of_generator
    for activation in ("leaky", "relu6"):
        net = singan.build_critic(filters, activation=activation)
        assert trainable(net) == net.count_params() == of_critic


def test_the_generator_adds_to_the_coarser_image(rng):
    net = singan.build_generator(4, seed=0)
    condition = rng.normal(size=(1, 22, 30, 4)).astype("float32")
    coarser = rng.normal(size=(1, 22, 30, 3)).astype("float32")
    painted = ops.convert_to_numpy(net([condition, coarser]))
    detail = ops.convert_to_numpy(
        keras.Model(net.inputs, net.get_layer("detail").output)([condition, coarser])
    )
    assert painted.shape == (1, 12, 20, 3)
    np.testing.assert_allclose(painted, coarser[:, 5:-5, 5:-5] + detail, atol=1e-6)
    assert abs(detail).max() < 1


@pytest.mark.parametrize("kind", ["generator", "critic"])
def test_the_receptive_field_is_11_px(kind, rng):
    """A pixel that changes is seen by all scores up to 5 px away, and by none beyond."""
    before = rng.normal(size=(1, 31, 31, 4 if kind == "generator" else 3)).astype("float32")
    after = before.copy()
    after[0, 15, 15] += 3
    # A normalize batch would carry the change everywhere.
    net = (
        singan.build_generator(4, seed=1)
        if kind == "generator"
        else singan.build_critic(4, batch_norm=False, seed=1)
    )
    outputs = [net([x, np.zeros((1, 31, 31, 3))]) if kind == "generator" else net(x) for x in (before, after)]
    one, other = map(ops.convert_to_numpy, outputs)
    rows, columns = np.nonzero(abs(one - other)[0].max(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 15, 5, 15)  # of 21 x 21


def test_the_published_critic_is_bounded_and_the_default_is_not(rng):
    noise = 50 * rng.normal(size=(2, 24, 24, 3)).astype("float32")
    for activation, bounded in (("relu6", True), ("leaky", False)):
        net = singan.build_critic(8, activation=activation, seed=2)
        last = [layer for layer in net.layers if isinstance(layer, layers.Conv2D)][-1]
        last.kernel.assign(1e4 * last.kernel)
        scores = ops.convert_to_numpy(net(noise))
        assert (scores.min() >= 0 and scores.max() <= 6) == bounded


def test_blocks_are_the_published_ones():
    for net, normal, activation in (
        (singan.build_generator(4), layers.BatchNormalization, layers.LeakyReLU),
        (singan.build_critic(4), singan.BatchStatistics, layers.LeakyReLU),
        (singan.build_critic(4, activation="relu6"), singan.BatchStatistics, layers.ReLU),
    ):
        kinds = [type(layer) for layer in net.layers if layer.weights or isinstance(layer, activation)]
        assert kinds[:12] == [layers.Conv2D, normal, activation] * 4
        for layer in net.layers:
            if isinstance(layer, layers.BatchNormalization):
                assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
            if isinstance(layer, layers.Conv2D):
                assert (layer.kernel_size, layer.padding) == ((3, 3), "valid")
            if isinstance(layer, layers.LeakyReLU):
                assert layer.negative_slope == 0.2
            if isinstance(layer, layers.ReLU):
                assert layer.max_value == 6
    assert isinstance(net.layers[-1], layers.ReLU)


def test_batch_statistics_equal_keras_in_training(rng):
    x = rng.normal(3, 2, size=(2, 5, 6, 4)).astype("float32")
    ours, stock = singan.BatchStatistics(seed=0), layers.BatchNormalization(epsilon=1e-5)
    expected = stock(x, training=True)
    made = ours(x)
    expected = ops.convert_to_numpy(ours.gamma) * ops.convert_to_numpy(expected)
    np.testing.assert_allclose(ops.convert_to_numpy(made), expected, atol=1e-4)


@pytest.mark.parametrize("activation", ["leaky", "relu6"])
def test_the_initialization_is_the_published_one_and_repeats_with_a_seed(activation):
    one, two, other = (singan.build_critic(64, activation=activation, seed=s) for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one.get_weights(), two.get_weights(), strict=True))
    assert (one.get_weights()[0] != other.get_weights()[0]).any()
    for layer in one.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            assert kernel.std() == pytest.approx(0.02, rel=0.1)
            assert abs(bias).max() <= (9 * kernel.shape[2]) ** -0.5
        elif isinstance(layer, singan.BatchStatistics):
            gamma, beta = layer.get_weights()
            assert gamma.mean() == pytest.approx(1, abs=0.01)
            assert gamma.std() == pytest.approx(0.02, rel=0.4)
            assert not beta.any()


def test_critics_without_normalization_start_with_different_scores(rng):
    """With kernels as small as the published ones, hardly anything of an image would come through."""
    noise = rng.uniform(-1, 1, size=(1, 30, 30, 3)).astype("float32")
    plain = singan.build_critic(32, batch_norm=False, seed=0)
    assert not [layer for layer in plain.layers if isinstance(layer, singan.BatchStatistics)]
    before_last = keras.Model(plain.input, plain.layers[-2].output)
    assert ops.convert_to_numpy(before_last(noise)).std() > 0.1


def test_files_of_generators_pass_the_check_of_untrusted_files(tmp_path):
    """Only generators are kept."""
    net, path = singan.build_generator(2), tmp_path / "net.keras"
    keras_file.write(path, net)
    keras_file.check(path)
    again = keras_file.read(path)
    assert all((a == b).all() for a, b in zip(net.get_weights(), again.get_weights(), strict=True))


@pytest.mark.parametrize("build", [singan.build_generator, singan.build_critic])
def test_nets_need_channels(build, raises_code):
    with raises_code("singan-filters"):
        build(0)


def test_unknown_activations_raise(raises_code):
    with raises_code("activation-unknown"):
        singan.build_critic(4, activation="relu")
