"""Choice: of many patches one for each kind of tissue, in two rounds of clustering and a score.

Lou et al., Which Pixel to Annotate, IEEE TMI 2022: patches are clustered, each cluster's quarters of patches are
clustered again, and the patch of least score (`hsn.selection.score`) is chosen. What is clustered are features of any
encoder; nothing here knows pixels.
"""

from typing import NamedTuple

import numpy as np

from ..errors import refuse
from .clusters import kmeans
from .score import QUARTERS, best, commonest, terms

_ROWS = 2048  # patches scored at a time: bounds memory


class Choice(NamedTuple):
    """Which patches were chosen, the one of the largest cluster first.

    Attributes
    ----------
    patches : int64 (k,)
        Which of the n patches.
    terms : float64 (k, 3)
        Their scores' parts; see `hsn.selection.score.terms`.
    labels : int32 (n,)
        The cluster of every patch; cluster i is the one of `patches[i]`.
    """

    patches: np.ndarray
    terms: np.ndarray
    labels: np.ndarray


def choose(features, quarters, n, *, textures=4, standardize=False, restarts=10, seed=0):
    """Choose n patches that stand for all.

    Parameters
    ----------
    features : float array, shape (N, d)
        Of patches, at least n different ones.
    quarters : float array, shape (N, 4, d)
        Of their quarters, by the same encoder. Both may lie in files; one cluster is held at a time.
    n : int
        How many patches can be annotated: K1 of the paper.
    textures : int
        Into how many clusters the quarters of a cluster are parted: K2 of the paper.
    standardize : bool
        Whether each feature counts in units of its own spread over all patches. Right for measures of different
        kinds, not for the features of a net.
    restarts : int
        Of k-means.
    seed : int

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If there are fewer different patches than wanted, or shapes do not fit.

    References
    ----------
    .. [1] Lou et al., IEEE TMI 2022.

    Examples
    --------
    >>> features = np.float32([[0], [1], [2], [10], [11], [14]])
    >>> quarters = np.repeat(features[:, None], 4, axis=1)
    >>> choose(features, quarters, 2, textures=1).patches.tolist()
    [1, 4]
    """
    if np.ndim(features) != 2 or np.shape(quarters) != (len(features), QUARTERS, np.shape(features)[1]):
        refuse("patches and their quarters must have the same features", received=np.shape(quarters),
               expected=f"(N, d) and (N, {QUARTERS}, d), with {np.shape(features)}",
               remedy="embed both with one encoder")  # fmt: skip
    shift, unit = _scale(features) if standardize else (0.0, 1.0)
    features = (np.asarray(features, np.float32) - shift) / unit
    found = kmeans(features, n, seed=seed, restarts=restarts)
    sizes = np.bincount(found.labels, minlength=n)
    if not sizes.all():
        refuse("there are fewer different patches than wanted", expected=f"{n} that differ",
               received=np.count_nonzero(sizes), remedy="ask for fewer, or give more images")  # fmt: skip
    order = np.argsort(-sizes, kind="stable")
    chosen, scored = [], []
    for cluster in order:
        members = np.flatnonzero(found.labels == cluster)
        parts = (np.asarray(quarters[members], np.float32) - shift) / unit  # (m, 4, d)
        winner, its_terms = _of_cluster(
            features[members], parts, found.centres[cluster], textures, restarts, seed
        )
        chosen.append(members[winner])
        scored.append(its_terms)
    return Choice(np.array(chosen), np.array(scored), np.argsort(order).astype(np.int32)[found.labels])


def _of_cluster(features, quarters, centre, textures, restarts, seed):
    """Which patch of one cluster is best, and the parts of its score."""
    pieces = quarters.reshape(-1, quarters.shape[-1])  # (4 m, d)
    found = kmeans(pieces, min(textures, len(pieces)), seed=seed, restarts=restarts)
    texture = commonest(found.labels, len(found.centres))
    blocks = (slice(k, k + _ROWS) for k in range(0, len(features), _ROWS))
    parts = np.concatenate(
        [terms(features[rows], quarters[rows], centre, found.centres[texture]) for rows in blocks]
    )
    winner = best(parts.sum(axis=1), found.labels.reshape(-1, QUARTERS), texture)
    return winner, parts[winner]


def _scale(features):
    """Mean and spread of each feature; one that never changes keeps its unit."""
    values = np.asarray(features, np.float64)
    spread = values.std(axis=0)
    return values.mean(axis=0).astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32)
