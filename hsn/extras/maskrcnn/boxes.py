"""Boxes: (top, left, bottom, right) in pixels, ends excluded; how they differ, overlap and change.

In NumPy, because all of it happens between two passes of the net (see the package).
"""

import numpy as np
from scipy.ndimage import find_objects

LARGEST_LOG = np.log(1000 / 16)  # a delta may enlarge a box 62.5 times; an untrained net would overflow


def around(instances):
    """Boxes around objects: float32 (n, 4), in the order of their numbers.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background, 1..n without gaps.

    Examples
    --------
    >>> around(np.array([[0, 2, 2], [1, 0, 2]])).tolist()
    [[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]]
    """
    ends = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in find_objects(instances)]
    return np.reshape(np.array(ends, np.float32), (-1, 4))


def areas(boxes):
    """Pixels of each box, (n,); 0 where it has none.

    Examples
    --------
    >>> areas(np.array([[0, 0, 2, 3], [1, 1, 0, 4]])).tolist()
    [6, 0]
    """
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def iou(boxes, others):
    """Intersection over union of each box with each other one: (n, m) in [0, 1]; an empty box overlaps nothing.

    Examples
    --------
    >>> iou(np.float32([[0, 0, 2, 2]]), np.float32([[0, 1, 2, 3], [5, 5, 6, 6]])).round(3).tolist()
    [[0.3330000042915344, 0.0]]
    """
    # Rows and columns apart: a last axis of two would be slow.
    (top, left, bottom, right), other = boxes[:, :, None].swapaxes(0, 1), others.T[:, None]
    shared = np.maximum(np.minimum(bottom, other[2]) - np.maximum(top, other[0]), 0)  # (n, m)
    shared = shared * np.maximum(np.minimum(right, other[3]) - np.maximum(left, other[1]), 0)
    union = areas(boxes)[:, None] + areas(others)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def shares(mask, boxes):
    """The share of each box, its ends rounded, that lies in a mask: float64 (n,); 0 where it has no pixel.

    Parameters
    ----------
    mask : bool array, shape (H, W)
        False is meant beyond it.
    boxes : float array, shape (n, 4)

    Examples
    --------
    >>> shares(np.array([[1, 1, 0, 0]], bool), np.array([[0, 1, 1, 3], [0, 0, 1, 2], [-1, 0, 1, 2]])).tolist()
    [0.5, 1.0, 0.5]
    """
    sums = np.pad(
        np.cumsum(np.cumsum(mask, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0))
    )  # of all before
    ends = np.rint(boxes).astype(int)
    top, left, bottom, right = clip(ends, mask.shape).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return inside / np.maximum(areas(ends), 1)


def encode(boxes, wanted, spread):
    """How boxes must change to be the wanted ones: shifts over their size and logs of growth, over `spread`; (n, 4).

    Examples
    --------
    >>> encode(np.array([[0.0, 0, 4, 4]]), np.array([[1.0, 0, 5, 4]]), (0.1, 0.1, 0.2, 0.2)).tolist()
    [[2.5, 0.0, 0.0, 0.0]]
    """
    (centre, size), (wanted_centre, wanted_size) = _centred(boxes), _centred(wanted)
    shift, growth = (wanted_centre - centre) / size, np.log(wanted_size / size)
    return np.concatenate([shift, growth], axis=1) / np.asarray(spread, shift.dtype)


def decode(boxes, deltas, spread):
    """Change boxes by deltas of `encode`: (n, 4).

    Examples
    --------
    >>> decode(np.array([[0.0, 0, 4, 4]]), np.array([[2.5, 0, 0, 0]]), (0.1, 0.1, 0.2, 0.2)).tolist()
    [[1.0, 0.0, 5.0, 4.0]]
    """
    centre, size = _centred(boxes)
    deltas = deltas * np.asarray(spread, deltas.dtype)
    centre = centre + deltas[:, :2] * size
    half = size * np.exp(np.minimum(deltas[:, 2:], LARGEST_LOG)) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _centred(boxes):
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size


def clip(boxes, shape):
    """The parts of boxes that lie in an image; a box outside becomes empty.

    Examples
    --------
    >>> clip(np.array([[-3, 2, 9, 4], [5, 9, 6, 12]]), (8, 8)).tolist()
    [[0, 2, 8, 4], [5, 8, 6, 8]]
    """
    return np.clip(boxes, 0, np.tile(np.asarray(shape, boxes.dtype), 2))


def normalize(boxes, shape):
    """Boxes by the centres of their first and last pixels, 0 and 1 being those of the image: float32 (n, 4).

    Examples
    --------
    >>> normalize(np.array([[0, 0, 5, 3]]), (5, 5)).tolist()
    [[0.0, 0.0, 1.0, 0.5]]
    """
    scale = np.tile(np.asarray(shape, np.float32) - 1, 2)
    return ((boxes - np.array([0, 0, 1, 1])) / scale).astype(np.float32)


def places(boxes, head_levels):
    """Which of the heads' levels shows a box best: int32 (n,), indices into `head_levels`.

    A box of 224 px belongs to level 4, and half the side to a level less; there are only levels from the first to the
    last of `head_levels`.

    References
    ----------
    .. [1] Lin et al., Feature pyramid networks, CVPR 2017, equation 1.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 79, 79], [0, 0, 80, 80], [0, 0, 224, 224], [0, 0, 3000, 3000]])
    >>> places(boxes, (2, 3, 4, 5)).tolist()
    [0, 1, 2, 3]
    """
    level = 4 + np.rint(np.log2(np.maximum(np.sqrt(areas(boxes)), 1) / 224))
    return (np.clip(level, head_levels[0], head_levels[-1]) - head_levels[0]).astype(np.int32)
