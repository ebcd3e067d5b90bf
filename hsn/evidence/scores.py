"""Scores: from the net's probability that a tissue is somewhere in the patch to yes or no.

A class is present when its score reaches its own threshold, which is fitted on validation patches and stored with the
weights: rare tissues score low for good reasons.
"""

import numpy as np

from .._refuse import refuse

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


def fit_thresholds(tags, scores):
    """Per class the threshold at which misses and false alarms are equally frequent.

    It is the point of the ROC curve with the smallest ``|TPR - (1 - FPR)|``, clipped to [1/3, 1]; of equal points
    the highest threshold.

    Parameters
    ----------
    tags : bool array, shape (N, C)
        Truth: which classes are in each validation patch.
    scores : float array, shape (N, C)
        What the net said.

    Returns
    -------
    float32 array, shape (C,)
        0.5 for a class without both a positive and a negative patch.

    References
    ----------
    .. [1] Hosseini et al., Atlas of Digital Pathology, CVPR 2019; the rule of its classifier code.

    Examples
    --------
    >>> fit_thresholds([[1], [1], [0], [0]], [[0.9], [0.6], [0.4], [0.1]]).tolist()
    [0.6000000238418579]
    """
    tags, scores = np.asarray(tags, bool), np.asarray(scores, np.float32)
    if tags.shape != scores.shape or tags.ndim != 2:
        refuse("`tags` and `scores` must belong together", expected="two arrays of one shape (N, C)",
               received=f"{tags.shape} and {scores.shape}", remedy="give one row per patch")  # fmt: skip
    return np.array([_equal_error(t, s) for t, s in zip(tags.T, scores.T, strict=True)], np.float32)


def _equal_error(tags, scores):
    if tags.all() or not tags.any():
        return UNSEEN
    thresholds = np.unique(-scores)
    order = np.argsort(-scores, kind="stable")
    # Counting from the highest score down: at each distinct threshold, how many of each kind reach it.
    hits, false_alarms = np.cumsum(tags[order]), np.cumsum(~tags[order])
    last = np.searchsorted(-scores[order], thresholds, side="right") - 1
    true_rate, false_rate = hits[last] / tags.sum(), false_alarms[last] / (~tags).sum()
    best = np.argmin(np.abs(true_rate - (1 - false_rate)))
    return np.clip(-thresholds[best], LOWEST, HIGHEST)
