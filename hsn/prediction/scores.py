"""Scores: from the net's probability that a tissue is somewhere in the patch to yes or no.

A class is present when its score reaches its own threshold, which is fitted on validation patches and stored with the
weights: rare tissues score low for good reasons.
"""

import numpy as np

from ..errors import refuse

LOWEST, HIGHEST = 1 / 3, 1.0  # the release clips thresholds to these
UNSEEN = 0.5  # the threshold of a class that validation never shows, or shows everywhere


def passing(scores, thresholds, *, always=()):
    """Which classes count as present.

    Parameters
    ----------
    scores : float array, shape (..., C)
    thresholds : float array, shape (C,)
    always : sequence of int
        Classes that pass whatever their score.

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
    """Per class the threshold at which misses and false alarms are equally frequent.

    It is the point of the ROC curve with the smallest ``|TPR - (1 - FPR)|``, of equal points the highest, clipped
    to [1/3, 1].

    Parameters
    ----------
    tags : bool array, shape (N, C)
        Truth: which classes are in each validation patch.
    scores : float array, shape (N, C)
        What the net said.
    place : {"halfway", "score"}
        Half-way to the next lower score, so that a well-separated class does not lose patches that score just
        below the worst of validation; or at the score itself, as published.

    Returns
    -------
    float32 array, shape (C,)
        0.5 for a class without both a positive and a negative patch.

    Raises
    ------
    InputError
        If tags and scores do not belong together, or `place` is unknown.

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
        refuse("`tags` and `scores` must belong together", expected="two arrays of one shape (N, C)",
               received=f"{tags.shape} and {scores.shape}", remedy="give one row per patch")  # fmt: skip
    if place not in ("halfway", "score"):
        refuse("a threshold cannot be placed so", expected="'halfway' or 'score'", received=repr(place),
               remedy="choose one of the two")  # fmt: skip
    return np.array([_equal_error(t, s, place) for t, s in zip(tags.T, scores.T, strict=True)], np.float32)


def _equal_error(tags, scores, place):
    if tags.all() or not tags.any():
        return UNSEEN
    order = np.argsort(-scores, kind="stable")
    distinct = np.unique(scores)[::-1]
    # Counting from the highest score down: at each distinct score, how many of each kind reach it.
    last = np.searchsorted(-scores[order], -distinct, side="right") - 1
    true_rate = np.cumsum(tags[order])[last] / tags.sum()
    false_rate = np.cumsum(~tags[order])[last] / (~tags).sum()
    best = np.argmin(np.abs(true_rate - (1 - false_rate)))
    threshold = distinct[best]
    if place == "halfway" and best + 1 < len(distinct):
        threshold = (threshold + distinct[best + 1]) / 2
    return np.clip(threshold, LOWEST, HIGHEST)
