"""Convert the outputs of the heads to detections and masks."""

from typing import NamedTuple

import numpy as np

from . import boxes as b


class Detections(NamedTuple):
    """Detected objects of one image or tile.

    Attributes
    ----------
    boxes : float32 (n, 4)
        In pixels.
    scores : float32 (n,) in [0, 1]
        In falling order.
    classes : int (n,)
        From 1.
    warnings : tuple of str
        A sentence for each limit that was reached.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    warnings: tuple[str, ...]


def select_detections(regions, logits, deltas, shape, *, spread, min_score, overlap, limit):
    """Refine regions, and keep the one with the highest score for each object.

    Parameters
    ----------
    regions : float array, shape (n, 4)
    logits : float array, shape (n, C)
        The first class is background.
    deltas : float array, shape (n, C, 4)
    shape : (int, int)
        Height and width of the image.
    spread : sequence of 4 float
        Standard deviations of the deltas.
    min_score : float
        Smallest score, the softmax of the most probable foreground class. Below 0.5, background can be more probable.
    overlap : float
        IoU above which the detection with the lower score is dropped, in any class.
    limit : int
        Largest number of detections. A warning is returned if it drops any.

    Returns
    -------
    Detections

    Examples
    --------
    >>> logits, deltas = np.float32([[0, 2], [2, 0], [0, 1]]), np.zeros((3, 2, 4), np.float32)
    >>> regions = np.float32([[0, 0, 8, 8], [9, 9, 12, 12], [20, 20, 25, 25]])
    >>> found = select_detections(regions, logits, deltas, (32, 32), spread=(0.1, 0.1, 0.2, 0.2), min_score=0.5,
    ...                           overlap=0.3, limit=1)
    >>> found.boxes.tolist(), found.scores.round(2).tolist()
    ([[0.0, 0.0, 8.0, 8.0]], [0.8799999952316284])
    >>> found.warnings
    ('the limit of 1 detections dropped objects; raise `detections` or use smaller tiles',)
    """
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = softmax / softmax.sum(axis=1, keepdims=True)
    classes = 1 + softmax[:, 1:].argmax(axis=1)
    rows = np.arange(len(softmax))
    scores = softmax[rows, classes]
    boxes = b.clip(b.decode_deltas(regions, deltas[rows, classes], spread), shape)
    valid = np.flatnonzero((scores >= min_score) & (b.areas(boxes) >= 1))
    kept = valid[b.nms(boxes[valid], scores[valid], overlap=overlap, limit=limit + 1)]
    warnings = ()
    if len(kept) > limit:
        warnings = (
            f"the limit of {limit} detections dropped objects; raise `detections` or use smaller tiles",
        )
    kept = kept[:limit]
    return Detections(boxes[kept].astype(np.float32), scores[kept], classes[kept], warnings)


def paste(mask, box, shape):
    """Resize a mask to its box.

    Parameters
    ----------
    mask : float array, shape (S, S)
        Probability of each sample, in [0, 1]. The first and the last sample lie on the first and the last pixel of the
        box, as in `targets.crop_masks`.
    box : float array, shape (4,)
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    top, left : int
    piece : bool array, shape (h, w)
        True where the probability is above 0.5. Its first pixel is at (top, left).

    Examples
    --------
    >>> top, left, piece = paste(np.float32([[1, 0], [1, 0]]), np.float32([2, 1, 4, 5]), (8, 8))
    >>> top, left, piece.astype(int).tolist()
    (2, 1, [[1, 1, 0, 0], [1, 1, 0, 0]])
    """
    weights, starts = [], []
    for axis, length in enumerate(shape):
        start, end = float(box[axis]), float(box[axis + 2]) - 1
        pixels = np.arange(max(round(start), 0), min(max(round(end), round(start)) + 1, length))
        sample = (pixels - start) / max(end - start, 1e-6) * (len(mask) - 1)
        sample = np.clip(sample, 0, len(mask) - 1)
        # Bilinear interpolation as a matrix.
        weights.append(np.maximum(1 - np.abs(sample[:, None] - np.arange(len(mask))), 0))
        starts.append(round(start))
    return max(starts[0], 0), max(starts[1], 0), weights[0] @ mask @ weights[1].T > 0.5
