"""Weights from torch: the published logits out of a state_dict, and what does not fit."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import correlate

from hsn.nets import fullnet, unet
from hsn.nets.torch_state import assign, fullnet_names


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


def test_the_published_logits_come_out_of_the_releases_names():
    net = fullnet.build()
    state = release_state(net, fullnet_names())
    shuffled = dict(sorted(state.items()))  # as .safetensors files are
    assign(net, shuffled, names=fullnet_names())
    image = np.random.RandomState(7).rand(1, 3, 48, 48) - 0.5
    to_logits = keras.Model(net.input, fullnet.logits_of(net).output)
    logits = ops.convert_to_numpy(to_logits(image.transpose(0, 2, 3, 1).astype("float32"), training=False))[0]
    assert logits[24, 24].tolist() == pytest.approx((109811.4, -35596.9, 241799.2), rel=1e-3)
    assert np.bincount(logits.argmax(axis=-1).ravel()).tolist() == [144, 280, 1880]


def test_bottlenecks_have_their_own_names():
    net = fullnet.build(layers_per_block=4, growth=2, bottleneck=True)
    names = fullnet_names(layers_per_block=4, bottleneck=True)
    assert len(names) == sum(bool(layer.weights) for layer in net.layers)
    assert names[2:6] == [
        f"blocks.block1.denselayer1.conv{k}.{part}" for k in (1, 2) for part in ("conv", "bn")
    ]


def test_a_normalisation_takes_its_four_vectors(rng):
    net = keras.Sequential(
        [keras.layers.Input((None, None, 2)), keras.layers.BatchNormalization(epsilon=1e-5)]
    )
    gamma, beta, mean, spread = rng.uniform(1, 2, (4, 2)).astype("f4")
    assign(net, {"n.weight": gamma, "n.bias": beta, "n.running_mean": mean, "n.running_var": spread})
    x = rng.normal(size=(1, 3, 3, 2)).astype("f4")
    expected = (x - mean) / np.sqrt(spread + 1e-5) * gamma + beta
    np.testing.assert_allclose(ops.convert_to_numpy(net(x, training=False)), expected, rtol=1e-5)


def test_a_unet_is_filled_in_the_order_of_the_file_and_computes_what_torch_does(rng):
    net = unet.build(depth=0, width=4)
    kernels = [(4, 3, 3, 3), (4, 4, 3, 3), (1, 4, 1, 1)]
    state = {}
    for name, shape in zip(("down.0", "down.2", "last"), kernels, strict=True):
        state[f"{name}.weight"] = rng.normal(size=shape)
        state[f"{name}.bias"] = rng.normal(size=shape[0])
    assign(net, state)
    image = rng.normal(size=(3, 6, 7))
    x = image  # (C, H, W), as torch has it
    for name in ("down.0", "down.2", "last"):
        kernel, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        sums = [[correlate(x[c], k[c], mode="constant") for c in range(len(x))] for k in kernel]
        x = np.sum(sums, axis=1) + bias[:, None, None]
        x = np.maximum(x, 0) if name != "last" else 1 / (1 + np.exp(-x))
    found = ops.convert_to_numpy(net(image.transpose(1, 2, 0)[None].astype("f4")))[0, ..., 0]
    np.testing.assert_allclose(found, x[0], rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_is_refused_and_changes_nothing(rng):
    net = unet.build(depth=0, width=4)
    before = net.get_weights()
    good = {}
    for k, shape in enumerate([(4, 3, 3, 3), (4, 4, 3, 3), (1, 4, 1, 1)]):
        good |= {f"c{k}.weight": np.ones(shape), f"c{k}.bias": np.ones(shape[0])}
    with pytest.raises(ValueError, match=r"another net; expected 3 layers with weights, received 2"):
        assign(net, {k: v for k, v in good.items() if "c2" not in k})
    with pytest.raises(ValueError, match=r"`c2\.bias` does not fit; expected shape \(1,\).*received nothing"):
        assign(net, {k: v for k, v in good.items() if k != "c2.bias"})
    with pytest.raises(ValueError, match=r"`c1\.weight` does not fit.*received \(3, 3, 3, 4\)"):
        assign(net, good | {"c1.weight": np.ones((4, 3, 3, 3))})
    with pytest.raises(ValueError, match=r"nothing left over, received \['c1\.running_mean'\]"):
        assign(net, good | {"c1.running_mean": np.ones(4)})
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))
