"""Loss of learning from mixed annotation: the sum over heads and kinds of the mean loss of their known pixels.

The weights of a batch are packed into one array, (N, H, W, 2 heads + tagged classes): the weight of each head, the
source of each head, and the share of a present tag's tile that the crop holds.
"""

from keras import ops

from ...losses.cross_entropy import EPSILON
from ...losses.objects import instance_variance
from .from_tags import channels_of, class_probability
from .sources import MASK, SOURCES


def make_loss(config):
    """Return the loss of a config.

    A pixel's cross-entropy is ``-ln(sum of p over the possible classes)``. For each head and kind it is summed with the
    weights, and divided by the number of known pixels, at least `min_known_px`. Outlined objects add the variance term
    of `masks`. A present tag adds ``-ln(pool(p))`` with ``pool(p) = ln(mean(exp(r p))) / r`` over its tile.

    Parameters
    ----------
    config : Config

    Returns
    -------
    callable
        ``(target (N, H, W, C + 1), prediction (N, H, W, C), weight (N, H, W, K), image) -> scalar``. `target` holds the
        possible classes of all heads, then the numbers of the components of outlined objects.

    References
    ----------
    .. [1] Pinheiro, Collobert, From image-level to pixel-level labeling, CVPR 2015: pooling by log-sum-exp, r = 5.
    .. [2] Qu et al., FullNet + varCE, MICCAI 2019: the variance term.

    Examples
    --------
    >>> import numpy as np
    >>> from .config import preset
    >>> loss = make_loss(preset("cpu").replace(min_known_px=1.0))
    >>> target, weight = np.zeros((1, 1, 2, 4)), np.zeros((1, 1, 2, 3))
    >>> target[0, 0, 0, 1:3] = 1
    >>> weight[0, 0, 0, :2] = 1, 5
    >>> round(float(loss(target, np.array([[[[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]]]), weight, None)), 4)
    0.6931
    """
    heads = config.heads

    def loss(target, prediction, weight, image):
        target, weight = ops.cast(target, "float32"), ops.cast(weight, "float32")
        p = ops.cast(prediction, "float32")
        value = 0.0
        for k, head in enumerate(heads):
            possible, own = target[..., head.start : head.stop], p[..., head.start : head.stop]
            entropy = -ops.log(ops.clip(ops.sum(possible * own, axis=-1), EPSILON, 1.0))  # (N, H, W)
            value += _mean_by_kind(entropy, weight[..., k], weight[..., len(heads) + k], config)
        if config.has_objects and config.targets.variance_weight:
            exact = ops.cast((weight[..., len(heads)] == MASK) & (weight[..., 0] > 0), "float32")
            parts = ops.cast(target[..., -1] * exact, "int32")
            value += config.targets.variance_weight * instance_variance(parts, p[..., : heads[0].stop])
        return value + config.weight_of("present") * _pooled(p, weight[..., 2 * len(heads) :], config)

    return loss


def _mean_by_kind(entropy, weight, source, config):
    """Return the sum over kinds of the mean loss of their known pixels."""
    value = 0.0
    for kind, codes in SOURCES.items():
        if config.weight_of(kind) == 0:
            continue
        known = sum(ops.cast(source == code, "float32") for code in codes) * ops.cast(weight > 0, "float32")
        count = ops.maximum(ops.sum(known), config.min_known_px)
        value += config.weight_of(kind) * ops.sum(known * weight * entropy) / count
    return value


def _pooled(p, shares, config):
    """Return the mean loss of the present tags of a batch, weighted by the shares of their tiles."""
    rate, value, total = config.pool_rate, 0.0, 0.0
    for k in range(len(channels_of(config))):
        probability = class_probability(p, k, config)
        tile = ops.cast(shares[..., k] > 0, "float32")
        pixels = ops.sum(tile, axis=(1, 2))  # (N,)
        mean = ops.sum(tile * ops.exp(rate * probability), axis=(1, 2)) / ops.maximum(pixels, 1.0)
        pool = ops.log(ops.maximum(mean, 1.0)) / rate
        share = ops.max(shares[..., k], axis=(1, 2))
        value += ops.sum(share * -ops.log(ops.clip(pool, EPSILON, 1.0)))
        total += ops.sum(ops.cast(share > 0, "float32"))
    return value / ops.maximum(total, 1.0)
