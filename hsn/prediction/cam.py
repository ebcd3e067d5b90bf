"""Grad-CAM: where in the patch the net saw each class.

The map of class c is the features weighted by how much each matters to the class,

    cam_c = sum_k alpha_kc A_k,    alpha_kc = mean over positions of  d logit_c / d A_k

For a head of pooling and one dense layer the gradient needs no pass backwards. Batch normalization is affine at
inference, and every pooling hands the gradient of a channel on undivided, so that

    alpha_kc = W_kc gamma_k / sqrt(var_k + epsilon)        (up to a positive factor that all classes share)

and one forward pass and one matrix product give every class of every patch. `weights` finds this form, `by_gradient`
is the definition itself: it serves other heads, and is the test's oracle.

Sources: Selvaraju et al., ICCV 2017 (Grad-CAM); Chan et al., ICCV 2019 (HistoSegNet), whose order of steps this keeps.
"""

import keras
import numpy as np
from keras import layers

from ..errors import refuse
from .gradients import gradient

FLOOR = 1e-7  # below this peak a map is noise: it is not stretched up to 1


def weights(features, logits):
    """The weights alpha in closed form, where the head has one.

    Parameters
    ----------
    features, logits : keras.layers.Layer
        The layer that Grad-CAM looks at and the dense layer before the sigmoid, of one net.

    Returns
    -------
    float32 array, shape (K, C), or None
        None where the head has no closed form (a hidden dense layer, say): use `by_gradient`.

    Examples
    --------
    >>> from hsn.nets import histonet
    >>> net = histonet.m4(3, width=0.1, input_px=None)
    >>> weights(histonet.feature_layer(net), histonet.logits_layer(net)).shape
    (13, 3)
    """
    head = _between(features, logits)
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


def _between(features, logits):
    """The layers from `features` (excluded) to `logits` (excluded), or None unless each hands gradients on whole."""
    net = keras.Model(features.output, logits.output)
    chain = [layer for layer in net.layers if not isinstance(layer, layers.InputLayer)]
    came = features.output
    for layer in chain:
        if layer.input is not came:
            return None  # a branch
        came = layer.output
    head = chain[:-1]
    return head if all(_hands_on_whole(layer) for layer in head) else None


def _hands_on_whole(layer):
    # Pooling windows that overlap would hand a gradient on more than once.
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


def apply(features, alpha):
    """Class maps from features and weights: one matrix product.

    Parameters
    ----------
    features : float array, shape (N, h, w, K)
    alpha : float array, shape (K, C), or (N, K, C) where weights differ from patch to patch

    Returns
    -------
    float32 array, shape (N, h, w, C)

    Examples
    --------
    >>> apply(np.ones((1, 2, 2, 3)), np.ones((3, 5))).shape
    (1, 2, 2, 5)
    """
    n, h, w, k = features.shape
    return (features.reshape(n, h * w, k) @ alpha).reshape(n, h, w, -1).astype(np.float32)


def by_gradient(features, logits, maps):
    """The weights alpha by their definition: one pass backwards per class.

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
    """Rectify class maps and stretch them to a peak of 1.

    Parameters
    ----------
    cams : float array, shape (N, h, w, C)
    mode : {"per_class", "per_image"}
        Stretch every class map by its own peak (the release), or all maps of a patch by their common peak, which
        keeps weak classes weak (the successor study).

    Returns
    -------
    float32 array, shape (N, h, w, C), in [0, 1]

    Raises
    ------
    InputError
        If `mode` is none of these.

    Examples
    --------
    >>> normalize(np.array([[[[-1.0, 2.0]], [[4.0, 1.0]]]]), "per_image").tolist()
    [[[[0.0, 0.5]], [[1.0, 0.25]]]]
    """
    axes = {"per_class": (1, 2), "per_image": (1, 2, 3)}.get(mode)
    if axes is None:
        refuse("this normalization of class maps does not exist", expected="'per_class' or 'per_image'",
               received=repr(mode), remedy="choose one of the two")  # fmt: skip
    cams = np.maximum(cams, 0)
    return (cams / np.maximum(cams.max(axis=axes, keepdims=True), FLOOR)).astype(np.float32)
