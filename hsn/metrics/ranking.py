"""Metrics of image-level scores: area under the ROC curve."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def roc_auc(tags: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """Compute the area under the ROC curve per class; ties count half.

    Parameters
    ----------
    tags : bool array, shape (N, C)
        True tags of N images.
    scores : float array, shape (N, C)
        Predicted scores.

    Returns
    -------
    float array, shape (C,)
        NaN for a class without positive or without negative images.

    References
    ----------
    .. [1] Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.

    Examples
    --------
    >>> roc_auc([[1], [1], [0], [0]], [[0.9], [0.4], [0.6], [0.1]]).tolist()
    [0.75]
    """
    tags = np.asarray(tags, bool)
    ranks = rankdata(scores, axis=0)
    positives, negatives = tags.sum(axis=0), (~tags).sum(axis=0)
    above = (ranks * tags).sum(axis=0) - positives * (positives + 1) / 2
    pairs = (positives * negatives).astype(float)
    return np.divide(above, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
