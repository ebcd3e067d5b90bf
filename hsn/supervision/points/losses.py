"""Losses of learning from points: of detection, and of segmentation from two coarse labels and a CRF.

After Qu et al. (IEEE TMI 2020): a weighted squared error for detection. For segmentation, half the cross-entropy of the
Voronoi label and half that of the cluster label, each over its known pixels; in the last epochs also a CRF loss.
"""

from keras import ops

from ...losses.crf import crf_loss
from ...losses.cross_entropy import EPSILON, binary_cross_entropy
from ...losses.objects import object_loss

LABELS = 2  # Voronoi and clusters


def make_loss(config):
    """Return the loss of the segmenter, with the CRF term if `config.crf_weight` is above 0.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, 2), prediction (N, H, W, 2), weight (N, H, W, 2), image (N, H, W, 3)) -> scalar``, on the
        backend's tensors. The channels of the target are the two labels, those of the prediction background and
        nucleus. The normalized `image` is used by the CRF term only.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.points.config import preset
    >>> loss = make_loss(preset("qu2020").replace(crf_weight=0.0))
    >>> half, known = np.full((1, 1, 1, 2), 0.5), np.array([[[[1, 0]]]])
    >>> round(float(loss(np.ones((1, 1, 1, 2)), half, known, None)), 4)
    0.3466
    """

    normalization = config.normalization

    def loss(target, prediction, weight, image):
        nucleus = ops.cast(prediction[..., 1], "float32")  # (N, H, W)
        value = (
            sum(binary_cross_entropy(target[..., k], nucleus, weight[..., k]) for k in range(LABELS)) / LABELS
        )
        if not config.crf_weight:
            return value
        std, mean = (
            ops.convert_to_tensor(levels, "float32") for levels in (normalization.std, normalization.mean)
        )
        pixels = ops.cast(image, "float32") * std + mean
        colors = ops.clip(pixels / 255, 0, 1)
        sxy_px = config.crf_sigma_um / config.mpp
        crf = crf_loss(
            nucleus, colors, sxy_px=sxy_px, srgb=config.crf_sigma_rgb, gradient=config.crf_gradient
        )
        return value + config.crf_weight * crf

    return loss


def detection_loss(target, prediction, weight, image):
    """Return the weighted squared error over the known pixels: ``sum w (p - t)^2 / sum (w > 0)``.

    Parameters
    ----------
    target, weight : tensors, shape (N, H, W)
        Of `hsn.supervision.points.detection.click_targets`.
    prediction : tensor, shape (N, H, W, 1)
    image
        Not used.

    Returns
    -------
    float32 scalar tensor
        0 for a batch without known pixels.

    Examples
    --------
    >>> import numpy as np
    >>> weight = np.array([[[10.0, 1.0, 0.0]]])
    >>> round(float(detection_loss(np.ones((1, 1, 3)), np.full((1, 1, 3, 1), 0.5), weight, None)), 4)
    1.375
    """
    weight = ops.cast(weight, "float32")
    error = ops.cast(prediction[..., 0], "float32") - ops.cast(target, "float32")
    known = ops.sum(ops.cast(weight > 0, "float32"))
    return ops.sum(weight * ops.square(error)) / ops.maximum(known, EPSILON)


def make_object_loss(config):
    """Return the loss of the last stage; see `hsn.losses.objects.object_loss`."""

    def loss(target, prediction, weight, image):
        return object_loss(target, prediction, weight, variance=config.targets.variance_weight)

    return loss
