"""Patch encoders: the deepest maps, at the scale of the net, and names that differ between weights."""

import keras
import numpy as np
import pytest
from keras import ops

from hsn.models.torch_file import read_state
from hsn.nets import fullnet, histonet, resnet_state, resunet, unet
from hsn.prediction.patch_encoders import deepest_maps, net_encoder


@pytest.mark.parametrize(
    ("build", "channels", "smaller"),
    [
        (lambda: unet.build(1, depth=3, width=4), 32, 8),
        (lambda: resunet.build(1, depth=18, width=4), 32, 32),
        (lambda: resunet.extract_encoder(resunet.build(1, depth=18, width=4)), 32, 32),
        (lambda: fullnet.build(layers_per_block=4, growth=4), 16, 1),
        (lambda: histonet.build(((4,), (8,)), 3, input_px=None), 8, 4),
    ],
)
def test_the_deepest_maps_are_found(build, channels, smaller):
    net = build()
    maps = ops.convert_to_numpy(keras.Model(net.input, deepest_maps(net))(np.zeros((1, 64, 64, 3), "f4")))
    assert maps.shape[1] == 64 // smaller
    assert maps.shape[3] == channels


def test_vectors_are_means_of_the_deepest_maps(rng):
    net = unet.build(1, depth=2, width=4, seed=0)
    patches = rng.integers(0, 256, (19, 64, 64, 3), np.uint8)  # more than a batch
    found = net_encoder(net, mean=(100, 110, 120), std=50).embed(patches)
    x = (patches - np.float32((100, 110, 120))) / np.float32(50)
    maps = ops.convert_to_numpy(keras.Model(net.input, deepest_maps(net))(x, training=False))
    np.testing.assert_allclose(found, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert net_encoder(net, mean=0, std=1).embed(patches[:0]).shape == found[:0].shape


@pytest.mark.parametrize(
    ("scale", "side", "seen"), [(1, 64, 64), (0.5, 128, 64), (0.2, 256, 64), (1, 40, 32), (0.1, 64, 32)]
)
def test_patches_are_resampled_to_the_scale_and_valid_sides_of_the_net(scale, side, seen):
    x = inputs = keras.Input((None, None, 3))
    shapes = []

    class Noted(keras.layers.Layer):
        def call(self, x):
            shapes.append(tuple(x.shape[1:3]))
            return x

    net = keras.Model(inputs, Noted()(x))
    net_encoder(net, mean=0, std=1, scale=scale).embed(np.zeros((1, side, side, 3), np.uint8))
    assert shapes[-1] == (seen, seen)


def test_a_net_for_one_size_gets_it():
    net = histonet.m5(3, width=0.1, input_px=64, seed=0)
    encoder = net_encoder(net, mean=0, std=255)
    assert encoder.embed(np.zeros((1, 100, 100, 3), np.uint8)).shape[0] == 1


def test_names_differ_between_weights_and_scales(raises_code):
    one, two = (resunet.extract_encoder(resunet.build(1, depth=18, width=2, seed=s)) for s in (0, 5000))
    names = {net_encoder(one, mean=0, std=255).name, net_encoder(two, mean=0, std=255).name}
    names |= {
        net_encoder(one, mean=0, std=255, scale=0.5).name,
        net_encoder(one, mean=0, std=255, name="mine").name,
    }
    assert len(names) == 4
    assert net_encoder(one, mean=0, std=255).name in names
    with raises_code("scale-positive"):
        net_encoder(one, mean=0, std=1, scale=0)


def test_the_input_of_a_resnet_from_a_file_is_pixels_over_255(tmp_path, rng):
    """The forward pass itself is held against torch's operations in tests/nets/test_nets_resunet.py."""
    encoder = resunet.extract_encoder(resunet.build(1, depth=50, width=4, seed=0))
    parts = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for layer in encoder.layers:
        name = layer.name.replace("-", ".")  # torchvision's names have dots
        for variable in layer.weights:
            array = ops.convert_to_numpy(variable)
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else rng.uniform(0.5, 1, array.shape)
            state[f"{name}.{parts[variable.name]}"] = array.astype("f4")
    np.savez(tmp_path / "r.npz", **state, **{"fc.weight": np.ones((10, 128)), "fc.bias": np.ones(10)})
    resnet_state.load_encoder(loaded := resunet.build(1, depth=50, width=4), state)
    patches = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    maps = ops.convert_to_numpy(resunet.extract_encoder(loaded)((patches / 255).astype("f4"), training=False))
    found = net_encoder(resnet_state.build_encoder(read_state(tmp_path / "r.npz")), mean=0, std=255).embed(
        patches
    )
    assert found.shape == (2, 128)
    np.testing.assert_allclose(found, maps.mean(axis=(1, 2)), rtol=1e-4)
