"""Losses where the truth is known: a weight of 0 takes a tag or a pixel out of the mean.

Written on the backend's tensors; the truth comes first.
"""

from keras import ops

EPSILON = 1e-7  # keeps logarithms finite; Keras' own


def weighted_mean(values, weight):
    """Mean of `values` where `weight` says that they count; 0 where nothing does.

    Parameters
    ----------
    values, weight : tensors of one shape

    Examples
    --------
    >>> float(weighted_mean([2.0, 8.0], [1.0, 0.0]))
    2.0
    """
    weight = ops.cast(weight, "float32")
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), EPSILON)


def binary_cross_entropy(target, prediction, weight):
    """``-(t ln p + (1 - t) ln(1 - p))``, averaged where known: classes that do not exclude each other.

    Parameters
    ----------
    target, prediction, weight : tensors, shape (..., C)
        `prediction` is a probability.

    Examples
    --------
    >>> round(float(binary_cross_entropy([[1.0, 0.0]], [[0.5, 0.5]], [[1.0, 1.0]])), 4)
    0.6931
    """
    target = ops.cast(target, "float32")
    p = ops.clip(ops.cast(prediction, "float32"), EPSILON, 1 - EPSILON)
    return weighted_mean(-(target * ops.log(p) + (1 - target) * ops.log(1 - p)), weight)


def cross_entropy(target, prediction, weight):
    """``-sum_c t_c ln p_c`` per pixel, averaged where known: classes that exclude each other.

    Parameters
    ----------
    target, prediction : tensors, shape (N, H, W, C)
        Both sum to 1 over classes; `target` may be soft.
    weight : tensor, shape (N, H, W)

    Examples
    --------
    >>> round(float(cross_entropy([[[[0.0, 1.0]]]], [[[[0.5, 0.5]]]], [[[1.0]]])), 4)
    0.6931
    """
    p = ops.clip(ops.cast(prediction, "float32"), EPSILON, 1.0)
    return weighted_mean(-ops.sum(ops.cast(target, "float32") * ops.log(p), axis=-1), weight)


def pixel_weighted_cross_entropy(target, prediction, weight):
    """``-w sum_c t_c ln p_c``, averaged over all pixels: weights above 1 count more, and do not divide out.

    FullNet's cross-entropy, whose weights are 1 plus those of the borders (hsn.objects.borders); a weight of 0
    takes a pixel out of the sum, but not out of the number of pixels.

    Parameters
    ----------
    target, prediction : tensors, shape (N, H, W, C)
        Both sum to 1 over classes; `target` may be soft.
    weight : tensor, shape (N, H, W)
        0 and more.

    Examples
    --------
    >>> round(float(pixel_weighted_cross_entropy([[[[0.0, 1.0]]]], [[[[0.5, 0.5]]]], [[[3.0]]])), 4)
    2.0794
    """
    p = ops.clip(ops.cast(prediction, "float32"), EPSILON, 1.0)
    each = -ops.sum(ops.cast(target, "float32") * ops.log(p), axis=-1)  # (N, H, W)
    return ops.mean(ops.cast(weight, "float32") * each)
