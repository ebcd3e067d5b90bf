"""Resolve overlapping scored masks to instances, and select pseudo-labels.

The mask with the higher score keeps the shared pixels. Mask R-CNN predicts such masks. Pseudo-labels follow Lou et al.,
"Which pixel to annotate", IEEE TMI 2022: they are selected by score, overlap and size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..checks import same_length, same_shape
from ..errors import InputError
from ..instances import renumber


class PlacedMask(NamedTuple):
    """A mask and its position in the image.

    Attributes
    ----------
    top, left : int
        Position of its first pixel.
    mask : bool (h, w)
    """

    top: int
    left: int
    mask: np.ndarray


class ScoredInstances(NamedTuple):
    """Instances and their scores.

    Attributes
    ----------
    instances : int32 (H, W)
        0 background, 1..n.
    scores : float32 (n,)
        Score of object k at index k - 1.
    """

    instances: np.ndarray
    scores: np.ndarray


def resolve_overlaps(
    masks: Sequence[PlacedMask],
    scores: Sequence[float],
    shape: tuple[int, int],
    *,
    min_area_px: int = 1,
    min_visible: float = 0.5,
) -> ScoredInstances:
    """Place masks into one image in the order of falling score; placed pixels are not overwritten.

    Parameters
    ----------
    masks : sequence of PlacedMask
        They lie inside the image.
    scores : sequence of float
        One score for each mask. Equal scores keep their order.
    shape : (int, int)
        Height and width of the image.
    min_area_px : int
        Smallest remaining area of an object, in pixels. Default: 1.
    min_visible : float
        Smallest remaining fraction of a mask. A mask that loses more is a duplicate detection and is dropped.
        Default: 0.5.

    Returns
    -------
    ScoredInstances
        Numbered by falling score.

    Raises
    ------
    InputError
        "length-mismatch" or "mask-outside-image".

    Examples
    --------
    >>> whole, half = PlacedMask(0, 0, np.ones((1, 4), bool)), PlacedMask(0, 3, np.ones((1, 3), bool))
    >>> resolve_overlaps([whole, half], [0.6, 0.9], (1, 7)).instances.tolist()
    [[2, 2, 2, 1, 1, 1, 0]]
    """
    same_length("masks", masks, "scores", scores)
    values = np.asarray(scores, np.float32)
    instances, kept = np.zeros(shape, np.int32), []
    for k in np.argsort(-values, kind="stable"):
        top, left, mask = masks[k]
        window = instances[top : top + mask.shape[0], left : left + mask.shape[1]]
        if min(top, left) < 0 or window.shape != mask.shape:
            raise InputError(
                "mask-outside-image",
                f"each mask must lie inside the image {tuple(shape)}",
                got=f"{mask.shape} at {top}, {left}",
                hint="crop it at the image border",
            )
        free = mask & (window == 0)
        if free.sum() >= max(min_area_px, min_visible * mask.sum(), 1):
            kept.append(k)
            window[free] = len(kept)
    return ScoredInstances(instances, values[kept])


def score_objects(instances: np.ndarray, probabilities: np.ndarray) -> ScoredInstances:
    """Score each object by its mean probability.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    probabilities : float array, shape (H, W)
        Foreground probability, in [0, 1].

    Returns
    -------
    ScoredInstances

    Raises
    ------
    InputError
        "label-image-invalid" or "shape-mismatch".

    Examples
    --------
    >>> score_objects(np.array([[1, 1, 0, 7]]), np.array([[0.5, 1.0, 0.0, 0.25]])).scores.tolist()
    [0.75, 0.25]
    """
    numbers, ids = renumber(instances)
    same_shape(
        "instances",
        numbers.shape,
        "probabilities",
        np.shape(probabilities),
        hint="give the probabilities of one class, at the size of the image",
    )
    sums = np.bincount(numbers.ravel(), np.ravel(probabilities), len(ids) + 1)[1:]
    counts = np.bincount(numbers.ravel(), minlength=len(ids) + 1)[1:]
    return ScoredInstances(numbers, (sums / counts).astype(np.float32))


def select_pseudo_labels(
    scored: ScoredInstances, *, min_score: float, min_area_px: float = 0, max_area_px: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Select the objects that are reliable enough to train on.

    Parameters
    ----------
    scored : ScoredInstances
        From `resolve_overlaps` or `score_objects`.
    min_score : float
        Smallest score of a selected object.
    min_area_px, max_area_px : float
        Range of the area of a selected object, in pixels, inclusive. Default: no limits.

    Returns
    -------
    instances : int32 (H, W)
        Selected objects, 1..n.
    valid_mask : bool (H, W)
        False on objects that were not selected: these pixels are neither object nor background in training.

    Raises
    ------
    InputError
        "length-mismatch" if an object has no score.

    Examples
    --------
    >>> scored = ScoredInstances(np.array([[1, 1, 0, 2, 2, 3]]), np.array([0.9, 0.4, 0.8]))
    >>> instances, valid_mask = select_pseudo_labels(scored, min_score=0.5, min_area_px=2)
    >>> instances.tolist(), valid_mask.astype(int).tolist()
    ([[1, 1, 0, 0, 0, 0]], [[1, 1, 1, 0, 0, 0]])
    """
    instances, scores = scored
    same_length("objects", range(instances.max(initial=0)), "scores", scores)
    areas = np.bincount(instances.ravel(), minlength=len(scores) + 1)
    selected = (
        np.append(True, np.asarray(scores) >= min_score) & (areas >= min_area_px) & (areas <= max_area_px)
    )
    selected[0] = False
    reliable = np.where(selected[instances], instances, 0)
    return renumber(reliable)[0], selected[instances] | (instances == 0)
