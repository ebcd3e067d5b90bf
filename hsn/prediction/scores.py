"""Scores: decide which classes are present in a patch.

A class is present when its score reaches its threshold. Thresholds are fitted per class on validation patches and
stored with the weights, because scores of rare tissues are low.
"""

import numpy as np

from ..checks import one_of
from ..errors import InputError

LOWEST, HIGHEST = 1 / 3, 1.0  # the release clips thresholds to these
DEFAULT = 0.5  # the threshold of a class that is in none or in all of the validation patches


def passing(scores, thresholds, *, always=()):
    """Decide which classes count as present.

    Parameters
    ----------
    scores : float array, shape (..., C)
    thresholds : float array, shape (C,)
    always : sequence of int
        Classes that are present whatever their score.

    Returns
    -------
    bool array, shape (..., C)

    Examples
    --------
    >>> passing([0.5, 0.2, 0.1], [0.5, 0.3, 0.3], always=[2]).tolist()
    [True, False, True]
    """
    passed = np.asarray(scores) >= np.asarray(thresholds)
    passed[..., list(always)] = True
    return passed


def fit_thresholds(tags, scores, *, place="halfway"):
    """Fit per class the threshold at which misses and false alarms are equally frequent.

    It is the point of the ROC curve with the smallest ``|TPR - (1 - FPR)|``, clipped to [1/3, 1]. Ties take the
    highest threshold.

    Parameters
    ----------
    tags : bool array, shape (N, C)
        Truth: classes present in each validation patch.
    scores : float array, shape (N, C)
        Scores of the net.
    place : {"halfway", "score"}
        "score" takes the score itself, as published. "halfway" takes the middle between it and the next lower score.
        Default: "halfway", which keeps patches that score slightly lower than all of validation.

    Returns
    -------
    float32 array, shape (C,)
        0.5 for a class without both a positive and a negative patch.

    Raises
    ------
    InputError
        "scores-shape" or "place-unknown".

    References
    ----------
    .. [1] Hosseini et al., Atlas of Digital Pathology, CVPR 2019; the rule of its classifier code.

    Examples
    --------
    >>> tags, scores = [[1], [1], [0], [0]], [[0.9], [0.625], [0.375], [0.1]]
    >>> [fit_thresholds(tags, scores, place=p).tolist() for p in ("halfway", "score")]
    [[0.5], [0.625]]
    """
    tags, scores = np.asarray(tags, bool), np.asarray(scores, np.float32)
    if tags.shape != scores.shape or tags.ndim != 2:
        raise InputError(
            "scores-shape",
            "`tags` and `scores` must have one shape (N, C)",
            got=f"{tags.shape} and {scores.shape}",
            hint="give one row per patch",
        )
    one_of("place", place, ("halfway", "score"))
    return np.array([_equal_error(t, s, place) for t, s in zip(tags.T, scores.T, strict=True)], np.float32)


def _equal_error(tags, scores, place):
    if tags.all() or not tags.any():
        return DEFAULT
    order = np.argsort(-scores, kind="stable")
    distinct = np.unique(scores)[::-1]
    # For each distinct score, from the highest down: the number of patches that reach it.
    last = np.searchsorted(-scores[order], -distinct, side="right") - 1
    true_rate = np.cumsum(tags[order])[last] / tags.sum()
    false_rate = np.cumsum(~tags[order])[last] / (~tags).sum()
    best = np.argmin(np.abs(true_rate - (1 - false_rate)))
    threshold = distinct[best]
    if place == "halfway" and best + 1 < len(distinct):
        threshold = (threshold + distinct[best + 1]) / 2
    return np.clip(threshold, LOWEST, HIGHEST)
