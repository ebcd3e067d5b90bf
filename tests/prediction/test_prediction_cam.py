"""Grad-CAM: the closed form equals the gradient; both normalizations."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.nets import histonet
from hsn.prediction import cam


def shaken(net, rng):
    """Give batch normalization statistics that are not those of a new net."""
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights([rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=shape),
                               rng.uniform(0.5, 2, shape)])  # fmt: skip
    return net


def seen(net, rng, count=3):
    features = histonet.feature_layer(net)
    maps = keras.Model(net.input, features.output)(rng.normal(size=(count, 32, 32, 3)).astype("float32"))
    return features, histonet.logits_layer(net), keras.ops.convert_to_numpy(maps)


def unit(alpha):
    return alpha / np.linalg.norm(alpha, axis=-2, keepdims=True)


@pytest.mark.parametrize("name", ["x1.7", "m1", "m2", "m3", "m4", "m6", "m7", "vgg16"])
def test_the_closed_form_is_the_gradient(name, rng):
    net = shaken(histonet.FAMILY[name](4, width=0.1, input_px=32), rng)
    features, logits, maps = seen(net, rng)
    alpha, slope = cam.closed_form_weights(features, logits), cam.gradient_weights(features, logits, maps)
    for of_one_patch in slope:
        np.testing.assert_allclose(unit(alpha), unit(of_one_patch), atol=1e-5)


def test_the_released_pipeline_of_steps_gives_the_same_map(rng):
    """RMS-normalize gradient, mean over positions, weighted sum, peak 1: what the release does, step by step."""
    net = shaken(histonet.x1_7(3, width=0.1, input_px=32), rng)
    features, logits, maps = seen(net, rng, count=2)
    # The gradient at each position, not its mean: of every pooled channel one position alone has it.
    head = keras.Model(features.output, logits.output)
    from hsn.prediction.gradients import gradient

    for c in range(3):
        g = gradient(lambda x, c=c: keras.ops.sum(head(x, training=False)[:, c]), maps)
        g = g / (np.sqrt((g**2).mean()) + 1e-5)
        by_hand = np.maximum((maps * g.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0)
        by_hand = by_hand / np.maximum(by_hand.max(axis=(1, 2), keepdims=True), 1e-7)
        ours = cam.normalize(cam.weight_features(maps, cam.closed_form_weights(features, logits)))[..., c]
        np.testing.assert_allclose(ours, by_hand, atol=1e-5)


def test_a_hidden_layer_has_no_closed_form(rng):
    net = histonet.m5(4, width=0.1, input_px=32)
    features, logits, maps = seen(net, rng)
    assert cam.closed_form_weights(features, logits) is None
    alpha = cam.gradient_weights(features, logits, maps)
    assert alpha.shape == (3, maps.shape[-1], 4)
    assert cam.weight_features(maps, alpha).shape == (*maps.shape[:3], 4)


def branching():
    x = layers.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, name="features")(x)
    pooled = layers.Concatenate()(
        [layers.GlobalMaxPooling2D()(features), layers.GlobalAveragePooling2D()(features)]
    )
    return keras.Model(x, layers.Dense(2, name="logits")(pooled))


def overlapping_pools():
    x = layers.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, name="features")(x)
    pooled = layers.GlobalMaxPooling2D()(layers.MaxPooling2D(3, strides=1)(features))
    return keras.Model(x, layers.Dense(2, name="logits")(pooled))


@pytest.mark.parametrize("build", [branching, overlapping_pools])
def test_a_head_that_divides_or_repeats_gradients_has_no_closed_form(build):
    net = build()
    assert cam.closed_form_weights(net.get_layer("features"), net.get_layer("logits")) is None


def test_normalization_per_class_and_per_image():
    cams = np.array([[[[-1.0, 2.0], [4.0, 1.0]]]])  # (1, 1, 2, 2)
    assert cam.normalize(cams, "per_class").tolist() == [[[[0.0, 1.0], [1.0, 0.5]]]]
    assert cam.normalize(cams, "per_image").tolist() == [[[[0.0, 0.5], [1.0, 0.25]]]]


def test_maps_below_the_floor_are_not_scaled_to_1():
    assert cam.normalize(np.full((1, 2, 2, 1), 1e-9)).max() == pytest.approx(1e-2)


def test_an_unknown_normalization_is_an_error(raises_code):
    with raises_code("cam-norm-unknown"):
        cam.normalize(np.zeros((1, 1, 1, 1)), "whole")
