"""Cross-entropies with a weight for each pixel or tag. A weight of 0 masks it."""

from typing import Any

from keras import ops

EPSILON = 1e-7  # keeps logarithms finite; same as Keras


def weighted_mean(values: Any, weight: Any) -> Any:
    """Return the weighted mean, or 0 if all weights are 0.

    Parameters
    ----------
    values, weight : tensors of the same shape

    Examples
    --------
    >>> float(weighted_mean([2.0, 8.0], [1.0, 0.0]))
    2.0
    """
    weight = ops.cast(weight, "float32")
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), EPSILON)


def binary_cross_entropy(target: Any, prediction: Any, weight: Any) -> Any:
    """Return the weighted mean of ``-(t ln p + (1 - t) ln(1 - p))``, for classes that can occur together.

    Parameters
    ----------
    target, prediction, weight : tensors, shape (..., C)
        `prediction` holds probabilities.

    Examples
    --------
    >>> round(float(binary_cross_entropy([[1.0, 0.0]], [[0.5, 0.5]], [[1.0, 1.0]])), 4)
    0.6931
    """
    target = ops.cast(target, "float32")
    p = ops.clip(ops.cast(prediction, "float32"), EPSILON, 1 - EPSILON)
    return weighted_mean(-(target * ops.log(p) + (1 - target) * ops.log(1 - p)), weight)


def cross_entropy(target: Any, prediction: Any, weight: Any) -> Any:
    """Return the weighted mean of ``-sum_c t_c ln p_c``, for classes that exclude each other.

    Parameters
    ----------
    target, prediction : tensors, shape (N, H, W, C)
        Both sum to 1 over classes. `target` can be soft.
    weight : tensor, shape (N, H, W)

    Examples
    --------
    >>> round(float(cross_entropy([[[[0.0, 1.0]]]], [[[[0.5, 0.5]]]], [[[1.0]]])), 4)
    0.6931
    """
    return weighted_mean(_pixel_entropy(target, prediction), weight)


def pixel_weighted_cross_entropy(target: Any, prediction: Any, weight: Any) -> Any:
    """Return the mean over all pixels of ``-w sum_c t_c ln p_c``, as in FullNet.

    The mean is not divided by the sum of the weights. FullNet's weights are 1 plus the border weights of
    `hsn.objects.borders`.

    Parameters
    ----------
    target, prediction : tensors, shape (N, H, W, C)
        Both sum to 1 over classes. `target` can be soft.
    weight : tensor, shape (N, H, W)
        0 or more. A pixel with weight 0 still counts in the number of pixels.

    Examples
    --------
    >>> round(float(pixel_weighted_cross_entropy([[[[0.0, 1.0]]]], [[[[0.5, 0.5]]]], [[[3.0]]])), 4)
    2.0794
    """
    return ops.mean(ops.cast(weight, "float32") * _pixel_entropy(target, prediction))


def _pixel_entropy(target: Any, prediction: Any) -> Any:
    """Return ``-sum_c t_c ln p_c``, shape (N, H, W)."""
    p = ops.clip(ops.cast(prediction, "float32"), EPSILON, 1.0)
    return -ops.sum(ops.cast(target, "float32") * ops.log(p), axis=-1)
