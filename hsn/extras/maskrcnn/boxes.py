"""Operations on boxes, (top, left, bottom, right) in pixels, ends excluded, in NumPy."""

import numpy as np
from scipy.ndimage import find_objects

MAX_LOG_SCALE = np.log(1000 / 16)  # limits the growth to 62.5 times; untrained nets would overflow
NMS_BLOCK = 256  # boxes that are compared at once, sized for the cache


def bounding_boxes(instances):
    """Return the bounding boxes of objects: float32 (n, 4), in the order of their numbers.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background, 1..n without gaps.

    Examples
    --------
    >>> bounding_boxes(np.array([[0, 2, 2], [1, 0, 2]])).tolist()
    [[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]]
    """
    ends = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in find_objects(instances)]
    return np.reshape(np.array(ends, np.float32), (-1, 4))


def areas(boxes):
    """Return the area of each box in pixels, (n,); 0 for empty boxes.

    Examples
    --------
    >>> areas(np.array([[0, 0, 2, 3], [1, 1, 0, 4]])).tolist()
    [6, 0]
    """
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def iou(boxes, others):
    """Return the intersection over union of all pairs of boxes: (n, m) in [0, 1]; 0 for empty boxes.

    Examples
    --------
    >>> iou(np.float32([[0, 0, 2, 2]]), np.float32([[0, 1, 2, 3], [5, 5, 6, 6]])).round(3).tolist()
    [[0.3330000042915344, 0.0]]
    """
    # Rows and columns are separate: a last axis of two is slow.
    (top, left, bottom, right), other = boxes[:, :, None].swapaxes(0, 1), others.T[:, None]
    shared = np.maximum(np.minimum(bottom, other[2]) - np.maximum(top, other[0]), 0)  # (n, m)
    shared = shared * np.maximum(np.minimum(right, other[3]) - np.maximum(left, other[1]), 0)
    union = areas(boxes)[:, None] + areas(others)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def covered_fractions(mask, boxes):
    """Return the fraction of each rounded box that a mask covers: float64 (n,); 0 for empty boxes.

    Parameters
    ----------
    mask : bool array, shape (H, W)
        Pixels outside of the image count as False.
    boxes : float array, shape (n, 4)

    Examples
    --------
    >>> boxes = np.array([[0, 1, 1, 3], [0, 0, 1, 2], [-1, 0, 1, 2]])
    >>> covered_fractions(np.array([[1, 1, 0, 0]], bool), boxes).tolist()
    [0.5, 1.0, 0.5]
    """
    sums = np.pad(np.cumsum(np.cumsum(mask, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    ends = np.rint(boxes).astype(int)
    top, left, bottom, right = clip(ends, mask.shape).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return inside / np.maximum(areas(ends), 1)


def encode_deltas(boxes, targets, spread):
    """Return the deltas from boxes to target boxes, (n, 4).

    They are shifts relative to the size and logarithms of the scale, divided by `spread`.

    Examples
    --------
    >>> encode_deltas(np.array([[0.0, 0, 4, 4]]), np.array([[1.0, 0, 5, 4]]), (0.1, 0.1, 0.2, 0.2)).tolist()
    [[2.5, 0.0, 0.0, 0.0]]
    """
    (center, size), (target_center, target_size) = _center_and_size(boxes), _center_and_size(targets)
    shift, scale = (target_center - center) / size, np.log(target_size / size)
    return np.concatenate([shift, scale], axis=1) / np.asarray(spread, shift.dtype)


def decode_deltas(boxes, deltas, spread):
    """Apply deltas of `encode_deltas` to boxes: (n, 4).

    Examples
    --------
    >>> decode_deltas(np.array([[0.0, 0, 4, 4]]), np.array([[2.5, 0, 0, 0]]), (0.1, 0.1, 0.2, 0.2)).tolist()
    [[1.0, 0.0, 5.0, 4.0]]
    """
    center, size = _center_and_size(boxes)
    deltas = deltas * np.asarray(spread, deltas.dtype)
    center = center + deltas[:, :2] * size
    half = size * np.exp(np.minimum(deltas[:, 2:], MAX_LOG_SCALE)) / 2
    return np.concatenate([center - half, center + half], axis=1)


def _center_and_size(boxes):
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size


def clip(boxes, shape):
    """Clip boxes to an image; boxes outside become empty.

    Examples
    --------
    >>> clip(np.array([[-3, 2, 9, 4], [5, 9, 6, 12]]), (8, 8)).tolist()
    [[0, 2, 8, 4], [5, 8, 6, 8]]
    """
    return np.clip(boxes, 0, np.tile(np.asarray(shape, boxes.dtype), 2))


def normalize(boxes, shape):
    """Return boxes by the centers of their end pixels, scaled to 0 to 1 in the image: float32 (n, 4).

    Examples
    --------
    >>> normalize(np.array([[0, 0, 5, 3]]), (5, 5)).tolist()
    [[0.0, 0.0, 1.0, 0.5]]
    """
    scale = np.tile(np.asarray(shape, np.float32) - 1, 2)
    return ((boxes - np.array([0, 0, 1, 1])) / scale).astype(np.float32)


def pyramid_levels(boxes, head_levels):
    """Return the pyramid level of each box: int32 (n,), indices into `head_levels`.

    A box with a side of 224 px belongs to level 4; half the side means one level less. Levels are limited to the range
    of `head_levels`.

    References
    ----------
    .. [1] Lin et al., Feature pyramid networks, CVPR 2017, equation 1.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 79, 79], [0, 0, 80, 80], [0, 0, 224, 224], [0, 0, 3000, 3000]])
    >>> pyramid_levels(boxes, (2, 3, 4, 5)).tolist()
    [0, 1, 2, 3]
    """
    level = 4 + np.rint(np.log2(np.maximum(np.sqrt(areas(boxes)), 1) / 224))
    return (np.clip(level, head_levels[0], head_levels[-1]) - head_levels[0]).astype(np.int32)


def nms(boxes, scores, *, overlap, limit):
    """Select boxes by non-maximum suppression: greedily by score, without boxes that overlap a selected one.

    Parameters
    ----------
    boxes : float array, shape (n, 4)
    scores : float array, shape (n,)
    overlap : float
        IoU above which the box with the lower score is dropped.
    limit : int
        Largest number of selected boxes.

    Returns
    -------
    int array, shape (m,)
        Indices of the selected boxes, by falling score; equal scores keep their order.

    Notes
    -----
    Blocks of falling score are processed in turn. A box is compared only with selected boxes and with its block.

    Examples
    --------
    >>> boxes = np.float32([[0, 0, 4, 4], [0, 1, 4, 5], [9, 9, 12, 12]])
    >>> nms(boxes, np.array([0.5, 0.9, 0.7]), overlap=0.5, limit=9).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    selected = np.zeros(0, order.dtype)
    for start in range(0, len(order), NMS_BLOCK):
        block = order[start : start + NMS_BLOCK]
        block = block[~(iou(boxes[block], boxes[selected]) > overlap).any(axis=1)]
        selected = np.concatenate([selected, block[_greedy_mask(boxes[block], overlap)]])
        if len(selected) >= limit:
            break
    return selected[:limit]


def _greedy_mask(boxes, overlap):
    """Return a mask of the boxes that a greedy selection keeps, bool (k,); earlier boxes take precedence.

    The selection is the fixed point of "keep a box unless an earlier kept box overlaps it". After k rounds the first k
    boxes are final; about three rounds suffice in practice.
    """
    overlaps = np.triu(iou(boxes, boxes) > overlap, k=1)  # (k, k): the row precedes the column
    kept = np.ones(len(boxes), bool)
    while True:
        again = ~(overlaps & kept[:, None]).any(axis=0)
        if (again == kept).all():
            return kept
        kept = again
