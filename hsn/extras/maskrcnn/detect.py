"""Detections: what the heads say of regions becomes boxes with scores, and their masks pieces of the image."""

from typing import NamedTuple

import numpy as np

from . import boxes as b
from .nms import nms


class Found(NamedTuple):
    """Objects of one image or tile.

    Attributes
    ----------
    boxes : float32 (n, 4)
        In pixels.
    scores : float32 (n,) in [0, 1]
        By which they fall.
    classes : int (n,)
        From 1.
    said : tuple of str
        Which limit was reached, in sentences; empty where none was.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    said: tuple[str, ...]


def choose(regions, logits, deltas, shape, *, spread, least_score, overlap, limit):
    """Refine regions, and keep the surest of those that show the same object.

    Parameters
    ----------
    regions : float array, shape (n, 4)
    logits : float array, shape (n, C)
        Background first.
    deltas : float array, shape (n, C, 4)
    shape : (int, int)
        Height and width of the image.
    spread : sequence of 4 float
    least_score : float
        Softmax of the likeliest kind of object from which a detection counts; below a half, background may be
        likelier still.
    overlap : float
        IoU above which the lower of two goes, whatever their classes: a pixel belongs to one object.
    limit : int
        How many are kept; that it left any out is said.

    Returns
    -------
    Found

    Examples
    --------
    >>> logits, deltas = np.float32([[0, 2], [2, 0], [0, 1]]), np.zeros((3, 2, 4), np.float32)
    >>> regions = np.float32([[0, 0, 8, 8], [9, 9, 12, 12], [20, 20, 25, 25]])
    >>> found = choose(regions, logits, deltas, (32, 32), spread=(0.1, 0.1, 0.2, 0.2), least_score=0.5, overlap=0.3,
    ...                limit=1)
    >>> found.boxes.tolist(), found.scores.round(2).tolist()
    ([[0.0, 0.0, 8.0, 8.0]], [0.8799999952316284])
    >>> found.said
    ('the limit of 1 detections left out objects; raise `detections` or use smaller tiles',)
    """
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = scores / scores.sum(axis=1, keepdims=True)
    classes = 1 + scores[:, 1:].argmax(axis=1)
    rows = np.arange(len(scores))
    sure = scores[rows, classes]
    boxes = b.clip(b.decode(regions, deltas[rows, classes], spread), shape)
    counts = np.flatnonzero((sure >= least_score) & (b.areas(boxes) >= 1))
    kept = counts[nms(boxes[counts], sure[counts], overlap=overlap, limit=limit + 1)]
    said = ()
    if len(kept) > limit:
        said = (f"the limit of {limit} detections left out objects; raise `detections` or use smaller tiles",)
    kept = kept[:limit]
    return Found(boxes[kept].astype(np.float32), sure[kept], classes[kept], said)


def paste(mask, box, shape):
    """Draw a mask at the size of its box.

    Parameters
    ----------
    mask : float array, shape (S, S)
        How surely each sample belongs to the object, in [0, 1]; the first and the last samples lie on the first and
        the last pixel of the box, as `targets.masks_in` takes them.
    box : float array, shape (4,)
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    top, left : int
    piece : bool array, shape (h, w)
        True where it is surer than a half; its first pixel is at (top, left).

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
        # Bilinear as a matrix: a pixel takes from the samples nearer than one step.
        weights.append(np.maximum(1 - np.abs(sample[:, None] - np.arange(len(mask))), 0))
        starts.append(round(start))
    return max(starts[0], 0), max(starts[1], 0), weights[0] @ mask @ weights[1].T > 0.5
