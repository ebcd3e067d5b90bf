"""Loss of learning from selected patches: that of masks where objects are known; a detector has its own."""

from ...extras.maskrcnn import losses
from ...losses.objects import object_loss


def make_loss(config):
    """Return the loss of a config: cross-entropy and variance; with a `detector` the five terms of Mask R-CNN.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, 4), prediction (N, H, W, 3), weight (N, H, W), image) -> scalar``, on the backend's tensors;
        `target` as `make_targets` returns it. The targets and predictions of a detector are dicts with weights, as
        `hsn.extras.maskrcnn.MaskRCNN.examples` returns them.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.selected.config import preset
    >>> loss, even = make_loss(preset("cpu")), np.full((1, 1, 1, 3), 1 / 3)
    >>> round(float(loss(np.array([[[[0, 1, 0, 1]]]]), even, np.ones((1, 1, 1)), None)), 4)
    1.0986
    """

    def loss(target, prediction, weight, image):
        if config.detector is not None:
            return losses.loss(target, prediction)
        return object_loss(target, prediction, weight, variance=config.targets.variance_weight)

    return loss
