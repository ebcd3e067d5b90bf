"""Loss of learning from masks: cross-entropy that minds borders, and probabilities alike within an object.

"varCE" of FullNet (Qu et al., MICCAI 2019): ``cross-entropy + variance * mean variance inside objects``.
"""

from keras import ops

from ...losses.known import binary_cross_entropy, pixel_weighted_cross_entropy
from ...losses.variance import instance_variance


def loss(recipe):
    """Weighted cross-entropy, and the variance term where the recipe gives it a factor.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    callable
        ``(target (N, H, W, C + 1), prediction (N, H, W, C), weight (N, H, W), image) -> scalar``, on the backend's
        tensors. The last channel of `target` numbers the parts of the inside, as `targets` made it. With one output
        the mean is over the pixels that count; with three over all pixels, as published.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.masks.recipe import unet
    >>> of = loss(unet())
    >>> round(float(of(np.array([[[[1, 1]]]]), np.array([[[[0.5]]]]), np.ones((1, 1, 1)), None)), 4)
    0.6931
    """
    count = len(recipe.classes)

    def of(target, prediction, weight, image):
        classes, parts = target[..., :count], target[..., count]
        if recipe.ternary:
            value = pixel_weighted_cross_entropy(classes, prediction, weight)
        else:
            value = binary_cross_entropy(classes, prediction, ops.expand_dims(weight, -1))
        if not recipe.variance:
            return value
        return value + recipe.variance * instance_variance(ops.cast(parts, "int32"), prediction)

    return of
