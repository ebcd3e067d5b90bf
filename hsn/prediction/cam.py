"""Grad-CAM: one heatmap per class from the features of a classifier.

The map of class c is a weighted sum of the feature maps,

    cam_c = sum_k alpha_kc A_k,    alpha_kc = mean over positions of  d logit_c / d A_k

A head of pooling and one dense layer needs no backward pass. Batch normalization is affine at inference, and pooling
keeps the sum of a channel's gradient. Therefore

    alpha_kc = W_kc gamma_k / sqrt(var_k + epsilon)        (up to a positive factor that all classes share)

One forward pass and one matrix product give every class of every patch. `closed_form_weights` computes this form.
`gradient_weights` computes the definition: it serves other heads and tests the closed form.

Sources: Selvaraju et al., ICCV 2017 (Grad-CAM); Chan et al., ICCV 2019 (HistoSegNet; the same order of steps).
"""

import keras
import numpy as np
from keras import layers

from ..checks import one_of
from .gradients import gradient

FLOOR = 1e-7  # a map with a lower peak is noise: it is not scaled to 1


def closed_form_weights(features, logits):
    """Compute the weights alpha in closed form.

    Parameters
    ----------
    features, logits : keras.layers.Layer
        The feature layer of Grad-CAM and the dense layer before the sigmoid, of one net.

    Returns
    -------
    float32 array, shape (K, C), or None
        None for a head without a closed form, such as one with a hidden layer: use `gradient_weights`.

    Examples
    --------
    >>> from hsn.nets import histonet
    >>> net = histonet.m4(3, width=0.1, input_px=None)
    >>> closed_form_weights(histonet.feature_layer(net), histonet.logits_layer(net)).shape
    (13, 3)
    """
    head = _head_layers(features, logits)
    if head is None or not isinstance(logits, layers.Dense):
        return None
    kernel = np.asarray(keras.ops.convert_to_numpy(logits.kernel), np.float32)
    channels = features.output.shape[-1]
    # After `Flatten` each position has weights of its own; alpha is their mean over positions.
    alpha = kernel.reshape(-1, channels, kernel.shape[1]).mean(axis=0)  # (K, C)
    for layer in head:
        if isinstance(layer, layers.BatchNormalization):
            alpha = alpha * _slope(layer)[:, None]
    return alpha


def _head_layers(features, logits):
    """Return the layers between `features` and `logits`, or None if one of them has no closed form."""
    net = keras.Model(features.output, logits.output)
    chain = [layer for layer in net.layers if not isinstance(layer, layers.InputLayer)]
    previous = features.output
    for layer in chain:
        if layer.input is not previous:
            return None  # a branch
        previous = layer.output
    head = chain[:-1]
    return head if all(_keeps_gradient_sum(layer) for layer in head) else None


def _keeps_gradient_sum(layer):
    # Overlapping pooling windows count a gradient more than once.
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return tuple(layer.pool_size) == tuple(layer.strides)
    return isinstance(
        layer,
        layers.BatchNormalization
        | layers.Dropout
        | layers.GlobalAveragePooling2D
        | layers.GlobalMaxPooling2D
        | layers.Flatten,
    )


def _slope(batch_norm):
    variance = keras.ops.convert_to_numpy(batch_norm.moving_variance)
    gamma = keras.ops.convert_to_numpy(batch_norm.gamma) if batch_norm.scale else 1.0
    return gamma / np.sqrt(variance + batch_norm.epsilon)


def weight_features(features, alpha):
    """Compute class maps: the sum of the feature maps, weighted per class.

    Parameters
    ----------
    features : float array, shape (N, h, w, K)
    alpha : float array, shape (K, C), or (N, K, C) for weights that differ between patches

    Returns
    -------
    float32 array, shape (N, h, w, C)

    Examples
    --------
    >>> weight_features(np.ones((1, 2, 2, 3)), np.ones((3, 5))).shape
    (1, 2, 2, 5)
    """
    n, h, w, k = features.shape
    return (features.reshape(n, h * w, k) @ alpha).reshape(n, h, w, -1).astype(np.float32)


def gradient_weights(features, logits, maps):
    """Compute the weights alpha by their definition, with one backward pass per class.

    Parameters
    ----------
    features, logits : keras.layers.Layer
    maps : float array, shape (N, h, w, K)
        Output of the feature layer for N patches.

    Returns
    -------
    float32 array, shape (N, K, C)
    """
    head = keras.Model(features.output, logits.output)

    def slope(c):
        return gradient(lambda x: keras.ops.sum(head(x, training=False)[:, c]), maps).mean(
            axis=(1, 2)
        )  # (N, K)

    return np.stack([slope(c) for c in range(logits.output.shape[-1])], axis=-1)


def normalize(cams, mode="per_class"):
    """Set negative values of class maps to 0 and scale their peak to 1.

    Parameters
    ----------
    cams : float array, shape (N, h, w, C)
    mode : {"per_class", "per_image"}
        "per_class" scales every class map by its own peak, as the release does. "per_image" scales all maps of a
        patch by their common peak, as the successor study does: weak classes stay weak.

    Returns
    -------
    float32 array, shape (N, h, w, C), in [0, 1]

    Raises
    ------
    InputError
        "cam-norm-unknown".

    Examples
    --------
    >>> normalize(np.array([[[[-1.0, 2.0]], [[4.0, 1.0]]]]), "per_image").tolist()
    [[[[0.0, 0.5]], [[1.0, 0.25]]]]
    """
    one_of("cam_norm", mode, ("per_class", "per_image"))
    axes = {"per_class": (1, 2), "per_image": (1, 2, 3)}[mode]
    cams = np.maximum(cams, 0)
    return (cams / np.maximum(cams.max(axis=axes, keepdims=True), FLOOR)).astype(np.float32)
