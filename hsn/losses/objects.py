"""Targets, weights and loss for nets that predict objects as inside and contour, or as inside only.

The loss follows FullNet [1]_: a cross-entropy with larger weights between objects, plus the variance of the
probabilities inside each object ("varCE"). The variance term creates gaps between touching objects and removes isolated
pixels of another class.

References
----------
.. [1] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution neural
   network and spatial constrained loss, MICCAI 2019.
"""

from typing import Any

import numpy as np
from keras import ops
from scipy.ndimage import binary_dilation

from ..instances import renumber
from ..objects.borders import outline_weights
from ..objects.cleaning import label_components
from ..objects.contours import INSIDE, instances_to_classes
from .cross_entropy import binary_cross_entropy, pixel_weighted_cross_entropy

TERNARY = ("background", "inside", "contour")


def encode_targets(
    instances: np.ndarray, outputs: int, *, shrink_px: int = 0, contour_px: int = 1
) -> np.ndarray:
    """Encode instances as the target of `object_loss`.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    outputs : {1, 3}
        Outputs of the net: inside; or background, inside and contour.
    shrink_px : int
        Width by which every object shrinks before its contour is drawn, in pixels. Default: 0.
    contour_px : int
        Width of the contour inside of the shrunk object, in pixels. Its outer width is 1. Default: 1.

    Returns
    -------
    float32 array, shape (H, W, outputs + 1)
        One-hot classes, then the number of the 8-connected component of the inside, 0 outside. The variance term uses
        the numbers.

    Examples
    --------
    >>> encode_targets(np.array([[0, 3, 3, 0, 4]]), 1)[0].tolist()
    [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]
    """
    numbers = renumber(instances)[0]
    if outputs == 1:
        inside = numbers > 0
        one_hot = inside[..., None].astype(np.float32)  # (H, W, 1)
    else:
        classes = _contour_classes(_shrink(numbers, shrink_px), contour_px)
        one_hot = np.eye(len(TERNARY), dtype=np.float32)[classes]  # (H, W, 3)
        inside = classes == INSIDE
    return np.concatenate([one_hot, label_components(inside)[..., None].astype(np.float32)], axis=2)


def _shrink(numbers: np.ndarray, radius_px: int) -> np.ndarray:
    if not radius_px:
        return numbers
    return np.where(instances_to_classes(numbers, radius_px=radius_px) == INSIDE, numbers, 0)


def _contour_classes(numbers: np.ndarray, contour_px: int) -> np.ndarray:
    mask = numbers > 0
    return np.where(mask | binary_dilation(mask), instances_to_classes(numbers, radius_px=contour_px), 0)


def compute_weights(instances: np.ndarray, *, sigma_px: float, height: float) -> np.ndarray:
    """Compute the weight of each pixel, float32 (H, W): 1, plus up to `height` between objects.

    Parameters
    ----------
    instances : int array, shape (H, W)
    sigma_px : float
        Width of the border weights, in pixels; see `hsn.objects.borders.outline_weights`.
    height : float
        Weight where two outlines coincide; 0 gives uniform weights.

    Examples
    --------
    >>> compute_weights(np.array([[1, 0, 2]]), sigma_px=5, height=0).tolist()
    [[1.0, 1.0, 1.0]]
    """
    if not height:
        return np.ones(np.shape(instances), np.float32)
    return 1 + outline_weights(instances, sigma_px=sigma_px, height=height)


def object_loss(target: Any, prediction: Any, weight: Any, *, variance: float = 0.0) -> Any:
    """Return the weighted cross-entropy plus `variance` times the variance inside objects.

    Parameters
    ----------
    target : tensor, shape (N, H, W, C + 1)
        From `encode_targets`.
    prediction : tensor, shape (N, H, W, C)
        Probabilities. With one output the mean is divided by the sum of the weights; with three by the number of
        pixels, as published.
    weight : tensor, shape (N, H, W)
    variance : float
        Factor of `instance_variance`. Default: 0.

    Returns
    -------
    scalar tensor

    Examples
    --------
    >>> target, half = np.array([[[[1, 1]]]]), np.array([[[[0.5]]]])
    >>> round(float(object_loss(target, half, np.ones((1, 1, 1)))), 4)
    0.6931
    """
    outputs = prediction.shape[-1]
    classes, parts = target[..., :outputs], target[..., outputs]
    if outputs == 1:
        value = binary_cross_entropy(classes, prediction, ops.expand_dims(weight, -1))
    else:
        value = pixel_weighted_cross_entropy(classes, prediction, weight)
    if not variance:
        return value
    return value + variance * instance_variance(ops.cast(parts, "int32"), prediction)


def instance_variance(instances: Any, prediction: Any) -> Any:
    """Return the mean variance of the probabilities inside the objects of an image, averaged over images.

    For an object S with n pixels and mean probability m::

        v(S) = sum over classes and pixels of (p - m)^2 / (n - 1);    v(S) = 0 where n = 1
        loss = mean over images of [ sum of v(S) / number of objects ]

    Objects are the 8-connected components of the inside class after augmentation. A crop can cut one object into two.

    Parameters
    ----------
    instances : int tensor (N, H, W)
        0 background, 1..n. Height and width must be static.
    prediction : tensor (N, H, W, C)
        Probabilities.

    Returns
    -------
    float32 scalar tensor
        0 or more; 0 for an image without objects.

    Examples
    --------
    >>> prediction = [[[[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.3, 0.7]]]]
    >>> round(float(instance_variance([[[1, 1, 1, 0]]], prediction)), 4)
    0.5
    """
    prediction = ops.cast(prediction, "float32")
    count = ops.shape(prediction)[0]
    _, height, width, channels = prediction.shape
    # Largest number of 8-connected objects that fit, plus background: the number of segments must be static.
    segments_max = -(-height // 2) * -(-width // 2) + 1
    first = ops.arange(count, dtype="int32")[:, None, None] * segments_max  # (N, 1, 1)
    segments = ops.reshape(ops.cast(instances, "int32") + first, (-1,))  # (N H W,)
    pixels = ops.reshape(prediction, (-1, channels))  # (N H W, C)

    def per_object(values):
        return ops.segment_sum(values, segments, num_segments=count * segments_max)

    sizes = per_object(ops.ones_like(pixels[:, :1]))  # (N segments_max, 1)
    means = per_object(pixels) / ops.maximum(sizes, 1)  # (N segments_max, C)
    squares = per_object((pixels - ops.take(means, segments, axis=0)) ** 2)  # (N segments_max, C)
    variances = ops.sum(squares / ops.maximum(sizes - 1, 1), axis=1)  # (N segments_max,)
    variances = ops.reshape(variances, (-1, segments_max))[:, 1:]  # segment 0 is background
    objects = ops.sum(ops.cast(ops.reshape(sizes, (-1, segments_max))[:, 1:] > 0, "float32"), axis=1)  # (N,)
    return ops.mean(ops.sum(variances, axis=1) / ops.maximum(objects, 1))
