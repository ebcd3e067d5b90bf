"""Overlaps: scored masks that may cover one another become objects of which each pixel has at most one.

The higher score wins. Mask R-CNN gives such masks, and so does any net whose objects are scored; pseudo-labels (Lou et
al., "Which pixel to annotate", IEEE TMI 2022) are made of them by three rules: score, overlap, size.
"""

from typing import NamedTuple

import numpy as np

from ..errors import refuse
from ..instances import renumber


class Piece(NamedTuple):
    """A mask and where in the image it lies.

    Attributes
    ----------
    top, left : int
        Its first pixel.
    mask : bool (h, w)
    """

    top: int
    left: int
    mask: np.ndarray


class Scored(NamedTuple):
    """Objects and how sure they are.

    Attributes
    ----------
    instances : int32 (H, W)
        0 background, 1..n.
    scores : float32 (n,)
        Of object k at k - 1.
    """

    instances: np.ndarray
    scores: np.ndarray


def settle(pieces, scores, shape, *, least_px=1, least_left=0.5):
    """Lay masks into one image, the surest first; what is taken stays taken.

    Parameters
    ----------
    pieces : sequence of Piece
        Inside the image.
    scores : sequence of float
        One a piece. At equal scores the first goes first.
    shape : (int, int)
        Height and width of the image.
    least_px : int
        Fewer pixels left are no object.
    least_left : float
        Share of its own pixels that must be left to an object. One that loses more showed what another one shows, as
        the second of two detections of a nucleus does.

    Returns
    -------
    Scored
        Objects are numbered by falling score.

    Raises
    ------
    InputError
        If pieces and scores do not belong together, or a piece reaches beyond the image.

    Examples
    --------
    >>> whole, half = Piece(0, 0, np.ones((1, 4), bool)), Piece(0, 3, np.ones((1, 3), bool))
    >>> settle([whole, half], [0.6, 0.9], (1, 7)).instances.tolist()
    [[2, 2, 2, 1, 1, 1, 0]]
    """
    if len(pieces) != len(scores):
        refuse("each mask needs a score", expected=f"{len(pieces)} scores", received=len(scores),
               remedy="give one number a mask")  # fmt: skip
    scores = np.asarray(scores, np.float32)
    instances, kept = np.zeros(shape, np.int32), []
    for k in np.argsort(-scores, kind="stable"):
        top, left, mask = pieces[k]
        there = instances[top : top + mask.shape[0], left : left + mask.shape[1]]
        if min(top, left) < 0 or there.shape != mask.shape:
            refuse("a mask reaches beyond the image", expected=f"pieces inside {tuple(shape)}",
                   received=f"{mask.shape} at {top}, {left}", remedy="cut it at the image's end")  # fmt: skip
        free = mask & (there == 0)
        if free.sum() >= max(least_px, least_left * mask.sum(), 1):
            kept.append(k)
            there[free] = len(kept)
    return Scored(instances, scores[kept])


def score_objects(instances, evidence):
    """Score objects of a net that gives none by the mean of its evidence inside each.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    evidence : float array, shape (H, W)
        How surely a pixel belongs to an object, in [0, 1].

    Returns
    -------
    Scored

    Examples
    --------
    >>> score_objects(np.array([[1, 1, 0, 7]]), np.array([[0.5, 1.0, 0.0, 0.25]])).scores.tolist()
    [0.75, 0.25]
    """
    numbers, ids = renumber(instances)
    if numbers.shape != np.shape(evidence):
        refuse("objects and evidence must be of one image", expected=numbers.shape, received=np.shape(evidence),
               remedy="take the evidence of one class, at the size of the image")  # fmt: skip
    sums = np.bincount(numbers.ravel(), np.ravel(evidence), len(ids) + 1)[1:]
    counts = np.bincount(numbers.ravel(), minlength=len(ids) + 1)[1:]
    return Scored(numbers, (sums / counts).astype(np.float32))


def pseudo_labels(scored, *, least_score, least_px=0, most_px=np.inf):
    """Objects that are sure enough to be learned from, and where nothing is known.

    Parameters
    ----------
    scored : Scored
        Of `settle`, or of `score_objects`.
    least_score : float
        Score from which an object is believed.
    least_px, most_px : float
        Pixels of a believed object, both included.

    Returns
    -------
    instances : int32 (H, W)
        Believed objects, 1..n.
    known : bool (H, W)
        False where an object was seen but is not believed: there is neither object nor background to learn.

    Examples
    --------
    >>> scored = Scored(np.array([[1, 1, 0, 2, 2, 3]]), np.array([0.9, 0.4, 0.8]))
    >>> instances, known = pseudo_labels(scored, least_score=0.5, least_px=2)
    >>> instances.tolist(), known.astype(int).tolist()
    ([[1, 1, 0, 0, 0, 0]], [[1, 1, 1, 0, 0, 0]])
    """
    instances, scores = scored
    if instances.max(initial=0) != len(scores):
        refuse("each object needs a score", expected=f"{instances.max(initial=0)} scores", received=len(scores),
               remedy="score the objects with score_objects")  # fmt: skip
    areas = np.bincount(instances.ravel(), minlength=len(scores) + 1)
    believed = np.append(True, np.asarray(scores) >= least_score) & (areas >= least_px) & (areas <= most_px)
    believed[0] = False
    sure = np.where(believed[instances], instances, 0)
    return renumber(sure)[0], believed[instances] | (instances == 0)
