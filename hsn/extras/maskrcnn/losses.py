"""Losses: five terms of equal weight - objectness and shift of anchors; class, shift and mask of regions."""

from keras import ops


def loss(target, prediction):
    """The sum of the five terms; each is a mean over what is known, and 0 where nothing is.

    Parameters
    ----------
    target : dict of tensors
        ``objects``, ``known`` (N, A), ``deltas`` (N, A, 4) of anchors; ``classes``, ``roi_known`` (N, R),
        ``roi_deltas`` (N, R, 4) and ``masks`` (N, P, S, S) of regions, the first P of each image being those with a
        mask.
    prediction : dict of tensors
        ``anchor_logits`` (N, A, 2), ``anchor_deltas`` (N, A, 4); ``class_logits`` (N R, classes), ``box_deltas``
        (N R, classes, 4); ``mask_logits`` (N P, S, S, classes).

    Returns
    -------
    float tensor
    """
    return sum(terms(target, prediction).values())


def terms(target, prediction):
    """The five terms by name; see `loss`."""
    objects, known = target["objects"], target["known"]
    classes = ops.reshape(target["classes"], (-1,))  # (N R,)
    roi_known = ops.reshape(target["roi_known"], (-1,))
    side = target["masks"].shape[2]
    masked = target["classes"][:, : target["masks"].shape[1]]  # (N, P)
    masks = ops.reshape(target["masks"], (-1, side, side))
    return {
        "anchor_class": cross_entropy(ops.cast(objects, "int32"), prediction["anchor_logits"], known),
        "anchor_box": smooth_l1(target["deltas"], prediction["anchor_deltas"], objects * known),
        "roi_class": cross_entropy(classes, prediction["class_logits"], roi_known),
        "roi_box": smooth_l1(
            ops.reshape(target["roi_deltas"], (-1, 4)),
            own(prediction["box_deltas"], classes, axis=1),
            ops.cast(classes > 0, "float32") * roi_known,
        ),
        "roi_mask": mask_entropy(masks, prediction["mask_logits"], ops.reshape(masked, (-1,))),
    }


def cross_entropy(classes, logits, weight):
    """Weighted mean of minus the log of the softmax at the class: classes, weight (...,), logits (..., C).

    Examples
    --------
    >>> logits = ops.log(ops.convert_to_tensor([[0.25, 0.75], [0.5, 0.5]]))
    >>> value = cross_entropy(ops.convert_to_tensor([1, 0]), logits, ops.convert_to_tensor([1.0, 0.0]))
    >>> round(float(value), 4)
    0.2877
    """
    hot = ops.one_hot(classes, logits.shape[-1], dtype="float32")
    surprise = ops.logsumexp(logits, axis=-1) - ops.sum(hot * logits, axis=-1)
    return _mean(surprise, weight)


def smooth_l1(target, prediction, weight):
    """Weighted mean over rows and their four numbers: half the square below 1, the distance less a half above.

    Examples
    --------
    >>> away = ops.convert_to_tensor([[0.5, 3.0, 0.0, 0.0]])
    >>> float(smooth_l1(ops.zeros((1, 4)), away, ops.ones((1,))))
    0.65625
    """
    away = ops.abs(target - prediction)
    value = ops.where(away < 1, 0.5 * ops.square(away), away - 0.5)
    return _mean(ops.mean(value, axis=-1), weight)


def mask_entropy(masks, logits, classes):
    """Mean binary cross-entropy of the masks (n, S, S) of objects, each by the channel of its own class.

    Examples
    --------
    >>> logits = ops.zeros((2, 1, 1, 2))
    >>> value = mask_entropy(ops.ones((2, 1, 1)), logits, ops.convert_to_tensor([1, 0]))
    >>> round(float(value), 4)
    0.6931
    """
    logits = own(logits, classes, axis=3)  # (n, S, S)
    # log(1 + e^x) - x t, written so that nothing overflows
    entropy = ops.relu(logits) - logits * masks + ops.log1p(ops.exp(-ops.abs(logits)))
    return _mean(ops.mean(entropy, axis=(1, 2)), ops.cast(classes > 0, "float32"))


def own(values, classes, *, axis):
    """What each row (n, ...) says for its own class, whose axis goes."""
    hot = ops.one_hot(classes, values.shape[axis], dtype="float32")  # (n, C)
    shape = [1] * len(values.shape)
    shape[0], shape[axis] = -1, values.shape[axis]
    return ops.sum(values * ops.reshape(hot, shape), axis=axis)


def _mean(values, weight):
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), 1.0)
