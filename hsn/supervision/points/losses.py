"""Losses of learning from points: of detection, and of segmentation by two coarse labels and a CRF.

After Qu et al. (IEEE TMI 2020): squares around clicks; then half the cross-entropy of the Voronoi label, half that of
the cluster label, each where it is known, and in the last epochs like colours should say the same.
"""

from keras import ops

from ...losses.crf import crf_loss
from ...losses.cross_entropy import EPSILON, binary_cross_entropy

LABELS = 2  # Voronoi and clusters


def make_loss(config):
    """Loss of the segmenter, with the CRF where the config gives it a factor.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, 2), prediction (N, H, W, 2), weight (N, H, W, 2), image (N, H, W, 3)) -> scalar``, on the
        backend's tensors. The target's channels are the two labels, the prediction's background and nucleus; `image`
        is normalize, and only the CRF looks at it.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.points.config import preset
    >>> of = make_loss(preset("qu2020").replace(crf_weight=0.0))
    >>> half, known = np.full((1, 1, 1, 2), 0.5), np.array([[[[1, 0]]]])
    >>> round(float(of(np.ones((1, 1, 1, 2)), half, known, None)), 4)
    0.3466
    """

    normalization = config.normalization

    def of(target, prediction, weight, image):
        nucleus = ops.cast(prediction[..., 1], "float32")  # (N, H, W)
        value = (
            sum(binary_cross_entropy(target[..., k], nucleus, weight[..., k]) for k in range(LABELS)) / LABELS
        )
        if not config.crf_weight:
            return value
        std, mean = (
            ops.convert_to_tensor(each, "float32") for each in (normalization.std, normalization.mean)
        )
        pixels = ops.cast(image, "float32") * std + mean
        colors = ops.clip(pixels / 255, 0, 1)
        sxy_px = config.crf_sigma_um / config.mpp
        smooth = crf_loss(
            nucleus, colors, sxy_px=sxy_px, srgb=config.crf_sigma_rgb, gradient=config.crf_gradient
        )
        return value + config.crf_weight * smooth

    return of


def detection_loss(target, prediction, weight, image):
    """Weighted squares over the number of pixels that are known at all: ``sum w (p - t)^2 / sum (w > 0)``.

    Parameters
    ----------
    target, weight : tensors, shape (N, H, W)
        As `hsn.supervision.points.detection.click_targets` draws them.
    prediction : tensor, shape (N, H, W, 1)
    image
        Not looked at.

    Returns
    -------
    float32 scalar tensor
        0 for a batch in which nothing is known.

    Examples
    --------
    >>> import numpy as np
    >>> weight = np.array([[[10.0, 1.0, 0.0]]])
    >>> round(float(detection_loss(np.ones((1, 1, 3)), np.full((1, 1, 3, 1), 0.5), weight, None)), 4)
    1.375
    """
    weight = ops.cast(weight, "float32")
    apart = ops.cast(prediction[..., 0], "float32") - ops.cast(target, "float32")
    known = ops.sum(ops.cast(weight > 0, "float32"))
    return ops.sum(weight * ops.square(apart)) / ops.maximum(known, EPSILON)
