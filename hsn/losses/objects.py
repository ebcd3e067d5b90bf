"""Objects: what a net that sees insides and contours learns of outlined objects, and by which loss.

After FullNet (Qu et al., MICCAI 2019): an object is its inside and a contour around it, so that neighbours come apart;
pixels between objects weigh more; and what the net says should be the same everywhere inside an object ("varCE"). A net
with one output learns the inside alone.
"""

import numpy as np
from keras import ops
from scipy.ndimage import binary_dilation

from ..instances import renumber
from ..objects.borders import outline_weights
from ..objects.cleaning import number_parts
from ..objects.contours import INSIDE, ternary
from .known import binary_cross_entropy, pixel_weighted_cross_entropy
from .variance import instance_variance

TERNARY = ("background", "inside", "contour")


def encode(instances, outputs, *, shrink_px=0, contour_px=1):
    """What a net learns of objects.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    outputs : {1, 3}
        Of the net: the inside; or background, inside and contour.
    shrink_px : int
        What every object loses all around before its contour is drawn.
    contour_px : int
        How far the contour reaches into what is left; outside it is one pixel wide, whatever its width inside.

    Returns
    -------
    float32 array, shape (H, W, outputs + 1)
        0 or 1 for each output, then the number of the 8-connected part of the inside that a pixel belongs to, 0
        outside; the variance term needs it.

    Examples
    --------
    >>> encode(np.array([[0, 3, 3, 0, 4]]), 1)[0].tolist()
    [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]
    """
    numbers = renumber(instances)[0]
    if outputs == 1:
        inside = numbers > 0
        hot = inside[..., None].astype(np.float32)  # (H, W, 1)
    else:
        classes = _classes(_shrunk(numbers, shrink_px), contour_px)
        hot = np.eye(len(TERNARY), dtype=np.float32)[classes]  # (H, W, 3)
        inside = classes == INSIDE
    return np.concatenate([hot, number_parts(inside)[..., None].astype(np.float32)], axis=2)


def _shrunk(numbers, radius_px):
    return np.where(ternary(numbers, radius_px=radius_px) == INSIDE, numbers, 0) if radius_px else numbers


def _classes(numbers, contour_px):
    mask = numbers > 0
    return np.where(mask | binary_dilation(mask), ternary(numbers, radius_px=contour_px), 0)


def weights_of(instances, *, sigma_px, height):
    """The weight of each pixel, float32 (H, W): 1, and up to `height` more between objects.

    Parameters
    ----------
    instances : int array, shape (H, W)
    sigma_px : float
        Width of the bump where the outlines of two objects meet.
    height : float
        0 weighs all alike.

    Examples
    --------
    >>> weights_of(np.array([[1, 0, 2]]), sigma_px=5, height=0).tolist()
    [[1.0, 1.0, 1.0]]
    """
    if not height:
        return np.ones(np.shape(instances), np.float32)
    return 1 + outline_weights(instances, sigma_px=sigma_px, height=height)


def object_loss(target, prediction, weight, *, variance=0.0):
    """Weighted cross-entropy, and `variance` times the mean variance inside objects.

    Parameters
    ----------
    target : tensor, shape (N, H, W, C + 1)
        Of `encode`.
    prediction : tensor, shape (N, H, W, C)
        Probabilities. With one output the mean is over the pixels that count; with three over all pixels, as published.
    weight : tensor, shape (N, H, W)
    variance : float

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
