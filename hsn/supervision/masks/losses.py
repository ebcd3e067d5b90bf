"""Loss of learning from masks: weighted cross-entropy, and the variance of probabilities within objects.

"varCE" of FullNet (Qu et al., MICCAI 2019): ``cross-entropy + variance_weight * mean variance inside objects``.
"""

from ...losses.objects import object_loss


def make_loss(config):
    """Return the loss of a config: weighted cross-entropy, and the variance term if its weight is above 0.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, C + 1), prediction (N, H, W, C), weight (N, H, W), image) -> scalar``, on the backend's
        tensors; `target` as `make_targets` returns it. With one output the mean is over the pixels with a weight; with
        three over all pixels, as published.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.masks.config import preset
    >>> loss = make_loss(preset("unet-cryonuseg"))
    >>> round(float(loss(np.array([[[[1, 1]]]]), np.array([[[[0.5]]]]), np.ones((1, 1, 1)), None)), 4)
    0.6931
    """

    def loss(target, prediction, weight, image):
        return object_loss(target, prediction, weight, variance=config.targets.variance_weight)

    return loss
