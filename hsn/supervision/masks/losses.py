"""Loss of learning from masks: cross-entropy that minds borders, and probabilities alike within an object.

"varCE" of FullNet (Qu et al., MICCAI 2019): ``cross-entropy + variance * mean variance inside objects``.
"""

from ...losses.objects import object_loss


def loss(config):
    """Weighted cross-entropy, and the variance term where the config gives it a factor.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, C + 1), prediction (N, H, W, C), weight (N, H, W), image) -> scalar``, on the backend's
        tensors. The last channel of `target` numbers the parts of the inside, as `targets` made it. With one output
        the mean is over the pixels that count; with three over all pixels, as published.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.masks.config import preset
    >>> of = loss(preset("unet-cryonuseg"))
    >>> round(float(of(np.array([[[[1, 1]]]]), np.array([[[[0.5]]]]), np.ones((1, 1, 1)), None)), 4)
    0.6931
    """

    def of(target, prediction, weight, image):
        return object_loss(target, prediction, weight, variance=config.targets.variance_weight)

    return of
