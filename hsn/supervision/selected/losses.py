"""Loss of learning from chosen patches: as from full masks, where objects are known; a detector has its own."""

from ...extras.maskrcnn import losses
from ...losses.objects import object_loss


def loss(config):
    """Weighted cross-entropy and the variance term; with a `detector` the five terms of Mask R-CNN.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, 4), prediction (N, H, W, 3), weight (N, H, W), image) -> scalar``, on the backend's tensors;
        `target` as `targets` made it. A detector's targets and predictions are dicts, as
        `hsn.extras.maskrcnn.MaskRCNN.examples` makes them, and weights are in them.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.selected.config import preset
    >>> even = np.full((1, 1, 1, 3), 1 / 3)
    >>> round(float(loss(preset("cpu"))(np.array([[[[0, 1, 0, 1]]]]), even, np.ones((1, 1, 1)), None)), 4)
    1.0986
    """

    def of(target, prediction, weight, image):
        if config.detector is not None:
            return losses.loss(target, prediction)
        return object_loss(target, prediction, weight, variance=config.targets.variance_weight)

    return of
