"""Loss: five terms of equal weight - class and box of anchors; class, box and mask of regions."""

from keras import ops


def loss(target, prediction):
    """Return the sum of the five terms. Each is a weighted mean, or 0 if all weights are 0.

    Parameters
    ----------
    target : dict of tensors
        Anchors: ``objects``, ``known`` (N, A), ``deltas`` (N, A, 4). Regions: ``classes``, ``roi_known`` (N, R),
        ``roi_deltas`` (N, R, 4) and ``masks`` (N, P, S, S). The first P regions of each image have a mask.
    prediction : dict of tensors
        ``anchor_logits`` (N, A, 2), ``anchor_deltas`` (N, A, 4); ``class_logits`` (N R, classes), ``box_deltas``
        (N R, classes, 4); ``mask_logits`` (N P, S, S, classes).

    Returns
    -------
    float tensor
    """
    return sum(terms(target, prediction).values())


def terms(target, prediction):
    """Return the five terms by name; see `loss`."""
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
            select_class(prediction["box_deltas"], classes, axis=1),
            ops.cast(classes > 0, "float32") * roi_known,
        ),
        "roi_mask": mask_entropy(masks, prediction["mask_logits"], ops.reshape(masked, (-1,))),
    }


def cross_entropy(classes, logits, weight):
    """Return the weighted mean of the softmax cross-entropy: classes, weight (...,), logits (..., C).

    Examples
    --------
    >>> logits = ops.log(ops.convert_to_tensor([[0.25, 0.75], [0.5, 0.5]]))
    >>> value = cross_entropy(ops.convert_to_tensor([1, 0]), logits, ops.convert_to_tensor([1.0, 0.0]))
    >>> round(float(value), 4)
    0.2877
    """
    one_hot = ops.one_hot(classes, logits.shape[-1], dtype="float32")
    entropy = ops.logsumexp(logits, axis=-1) - ops.sum(one_hot * logits, axis=-1)
    return _mean(entropy, weight)


def smooth_l1(target, prediction, weight):
    """Return the weighted mean of the smooth L1 distance: half the square below 1, the distance minus 0.5 above.

    Examples
    --------
    >>> distance = ops.convert_to_tensor([[0.5, 3.0, 0.0, 0.0]])
    >>> float(smooth_l1(ops.zeros((1, 4)), distance, ops.ones((1,))))
    0.65625
    """
    distance = ops.abs(target - prediction)
    value = ops.where(distance < 1, 0.5 * ops.square(distance), distance - 0.5)
    return _mean(ops.mean(value, axis=-1), weight)


def mask_entropy(masks, logits, classes):
    """Return the mean binary cross-entropy of object masks (n, S, S), in the channel of their class.

    Examples
    --------
    >>> logits = ops.zeros((2, 1, 1, 2))
    >>> value = mask_entropy(ops.ones((2, 1, 1)), logits, ops.convert_to_tensor([1, 0]))
    >>> round(float(value), 4)
    0.6931
    """
    logits = select_class(logits, classes, axis=3)  # (n, S, S)
    # log(1 + e^x) - x t, without overflow
    entropy = ops.relu(logits) - logits * masks + ops.log1p(ops.exp(-ops.abs(logits)))
    return _mean(ops.mean(entropy, axis=(1, 2)), ops.cast(classes > 0, "float32"))


def select_class(values, classes, *, axis):
    """Select the values of the class of each row (n, ...) and drop the class axis."""
    one_hot = ops.one_hot(classes, values.shape[axis], dtype="float32")  # (n, C)
    shape = [1] * len(values.shape)
    shape[0], shape[axis] = -1, values.shape[axis]
    return ops.sum(values * ops.reshape(one_hot, shape), axis=axis)


def _mean(values, weight):
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), 1.0)
