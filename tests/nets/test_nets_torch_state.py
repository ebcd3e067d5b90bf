"""Weights of torch: published logits from a state_dict, and weights that do not fit."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import correlate

from hsn.nets import fullnet, unet
from hsn.nets.torch_state import fullnet_layer_names, load_state_dict


def release_state(net, names):
    """A state_dict as FullNet's release saves it, with the weights of the published wiring golden."""
    state, number = {}, 0
    for layer, name in zip((layer for layer in net.layers if layer.weights), names, strict=True):
        if isinstance(layer, keras.layers.Conv2D):
            rows, columns, taken, given = layer.kernel.shape
            noise = np.random.RandomState(1000 + number).randn(given, taken, rows, columns)
            state[f"module.{name}.weight"] = noise * np.sqrt(2 / (rows * columns * given))
            number += 1
        else:
            channels = layer.gamma.shape[0]
            for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                state[f"module.{name}.{part}"] = np.full(channels, value, "f4")
            state[f"module.{name}.num_batches_tracked"] = np.int64(3)
    return state


def test_the_published_logits_are_computed_from_the_released_names():
    net = fullnet.build()
    state = release_state(net, fullnet_layer_names())
    shuffled = dict(sorted(state.items()))  # as .safetensors files are
    load_state_dict(net, shuffled, names=fullnet_layer_names())
    image = np.random.RandomState(7).rand(1, 3, 48, 48) - 0.5
    to_logits = keras.Model(net.input, fullnet.logits_layer(net).output)
    logits = ops.convert_to_numpy(to_logits(image.transpose(0, 2, 3, 1).astype("float32"), training=False))[0]
    assert logits[24, 24].tolist() == pytest.approx((109811.4, -35596.9, 241799.2), rel=1e-3)
    assert np.bincount(logits.argmax(axis=-1).ravel()).tolist() == [144, 280, 1880]


def test_bottlenecks_have_their_own_names():
    net = fullnet.build(layers_per_block=4, growth=2, bottleneck=True)
    names = fullnet_layer_names(layers_per_block=4, bottleneck=True)
    assert len(names) == sum(bool(layer.weights) for layer in net.layers)
    assert names[2:6] == [
        f"blocks.block1.denselayer1.conv{k}.{part}" for k in (1, 2) for part in ("conv", "bn")
    ]


def test_a_batch_normalization_loads_its_four_vectors(rng):
    net = keras.Sequential(
        [keras.layers.Input((None, None, 2)), keras.layers.BatchNormalization(epsilon=1e-5)]
    )
    gamma, beta, mean, spread = rng.uniform(1, 2, (4, 2)).astype("f4")
    load_state_dict(net, {"n.weight": gamma, "n.bias": beta, "n.running_mean": mean, "n.running_var": spread})
    x = rng.normal(size=(1, 3, 3, 2)).astype("f4")
    expected = (x - mean) / np.sqrt(spread + 1e-5) * gamma + beta
    np.testing.assert_allclose(ops.convert_to_numpy(net(x, training=False)), expected, rtol=1e-5)


def torch_double(x, state, name):
    """Two 3x3 convolutions with ReLU, on (C, H, W), as torch computes them."""
    for part in ("0", "2"):
        x = np.maximum(torch_convolution(x, state, f"{name}.{part}"), 0)
    return x


def torch_convolution(x, state, name):
    kernel, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    sums = [[correlate(x[c], k[c], mode="constant") for c in range(len(x))] for k in kernel]
    return np.sum(sums, axis=1) + bias[:, None, None]


def torch_enlarged(x):
    """Twice the sides, bilinear between pixel centres, edges repeated."""
    rows, columns = (
        np.stack(
            [np.interp((np.arange(2 * n) + 0.5) / 2 - 0.5, np.arange(n), line) for line in np.eye(n)], axis=1
        )
        for n in x.shape[1:]
    )
    return np.einsum("ih,jw,chw->cij", rows, columns, x)


def torch_unet(image, state, depth):
    """The published forward pass, in double precision."""
    x, skipped = image, []
    for level in range(depth):
        x = torch_double(x, state, f"down.{level}")
        skipped.append(x)
        x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max(axis=(2, 4))
    x = torch_double(x, state, "bottom")
    for level in range(depth):
        x = torch_double(np.concatenate([torch_enlarged(x), skipped.pop()]), state, f"up.{level}")
    return 1 / (1 + np.exp(-torch_convolution(x, state, "last")))


def torch_state_of(rng, depth, width):
    """A state_dict in the order in which torch makes the layers; its numbers keep the size of what passes."""
    widths = [width * 2**level for level in range(depth + 1)]
    doubles = [(f"down.{k}", ([3, *widths][k], widths[k])) for k in range(depth)]
    doubles += [("bottom", ([3, *widths][depth], widths[depth]))]
    doubles += [(f"up.{k}", (3 * widths[depth - 1 - k], widths[depth - 1 - k])) for k in range(depth)]
    shapes = {}
    for name, (taken, given) in doubles:
        shapes |= {f"{name}.0": (given, taken, 3, 3), f"{name}.2": (given, given, 3, 3)}
    shapes["last"] = (1, width, 1, 1)
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        state[f"{name}.bias"] = 0.1 * rng.normal(size=shape[0])
    return state


@pytest.mark.parametrize("depth", [0, 3, 4])  # 3 is the published small net, 4 the full one
def test_a_unet_is_loaded_in_the_order_of_the_file_and_equals_torch(rng, depth):
    net = unet.build(depth=depth, width=3)
    state = torch_state_of(rng, depth, 3)
    load_state_dict(net, state)
    image = rng.normal(size=(3, 32, 48))
    expected = torch_unet(image, state, depth)[0]
    found = ops.convert_to_numpy(net(image.transpose(1, 2, 0)[None].astype("f4")))[0, ..., 0]
    assert expected.std() > 0.02  # it depends on the image
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_that_do_not_fit_raise_and_change_nothing(rng, raises_code):
    net = unet.build(depth=0, width=4)
    before = net.get_weights()
    good = {}
    for k, shape in enumerate([(4, 3, 3, 3), (4, 4, 3, 3), (1, 4, 1, 1)]):
        good |= {f"c{k}.weight": np.ones(shape), f"c{k}.bias": np.ones(shape[0])}
    with raises_code("state-dict-layers"):
        load_state_dict(net, {k: v for k, v in good.items() if "c2" not in k})
    with raises_code("state-dict-array"):
        load_state_dict(net, {k: v for k, v in good.items() if k != "c2.bias"})
    with raises_code("state-dict-array"):
        load_state_dict(net, good | {"c1.weight": np.ones((4, 3, 3, 3))})
    with raises_code("state-dict-extra"):
        load_state_dict(net, good | {"c1.running_mean": np.ones(4)})
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))
