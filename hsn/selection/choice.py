"""Select one patch for each kind of tissue, by two rounds of clustering and a score.

The method follows Lou et al. [1]_. Patches are clustered by their features. The quarters of the patches in each cluster
are clustered again. The patch with the lowest score is selected in each cluster. The score is the sum of three
distances:

- from the patch to the center of its cluster (the patch is representative);
- from its quarters to the center of the most common quarter cluster, the texture (the quarters are representative);
- between its two most different quarters (the patch is uniform).

References
----------
.. [1] Lou et al., Which Pixel to Annotate: a Label-Efficient Nuclei Segmentation Framework, IEEE TMI 2022, and its
   released code.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from .clusters import kmeans

QUARTERS = 4  # top left, top right, bottom left, bottom right
_ROWS = 2048  # patches that are scored at a time; bounds the memory


class Choice(NamedTuple):
    """Selected patches, in the order of falling cluster size.

    Attributes
    ----------
    patches : int64 (k,)
        Indices of the selected patches.
    terms : float64 (k, 3)
        Terms of their scores; see `score_terms`.
    labels : int32 (n,)
        Cluster of every patch; cluster i is the cluster of `patches[i]`.
    """

    patches: np.ndarray
    terms: np.ndarray
    labels: np.ndarray


def choose(
    features: np.ndarray,
    quarters: np.ndarray,
    n: int,
    *,
    textures: int = 4,
    standardize: bool = False,
    restarts: int = 10,
    seed: int = 0,
) -> Choice:
    """Select n representative patches.

    Parameters
    ----------
    features : float array, shape (N, d)
        Features of the patches; at least n rows differ.
    quarters : float array, shape (N, 4, d)
        Features of their quarters, by the same encoder. Memory-mapped arrays are read one cluster at a time.
    n : int
        Number of patches; K1 in the paper.
    textures : int
        Number of quarter clusters in a patch cluster; K2 in the paper. Default: 4.
    standardize : bool
        Divide each feature by its standard deviation over all patches. Use it for features of different units, not for
        the features of a net. Default: False.
    restarts : int
        Restarts of k-means. Default: 10.
    seed : int

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        "features-shape-mismatch", "too-few-patches" or "features-not-finite".

    Examples
    --------
    >>> features = np.float32([[0], [1], [2], [10], [11], [14]])
    >>> quarters = np.repeat(features[:, None], 4, axis=1)
    >>> choose(features, quarters, 2, textures=1).patches.tolist()
    [1, 4]
    """
    if np.ndim(features) != 2 or np.shape(quarters) != (len(features), QUARTERS, np.shape(features)[1]):
        raise InputError(
            "features-shape-mismatch",
            f"`features` and `quarters` must have the shapes (N, d) and (N, {QUARTERS}, d)",
            got=f"{np.shape(features)} and {np.shape(quarters)}",
            hint="embed both with the same encoder",
        )
    shift, unit = _scale(features) if standardize else (0.0, 1.0)
    features = (np.asarray(features, np.float32) - shift) / unit
    found = kmeans(features, n, seed=seed, restarts=restarts)
    sizes = np.bincount(found.labels, minlength=n)
    if not sizes.all():
        raise InputError(
            "too-few-patches",
            f"there must be at least {n} different patches",
            got=np.count_nonzero(sizes),
            hint="ask for fewer, or give more images",
        )
    order = np.argsort(-sizes, kind="stable")
    patches, terms = [], []
    for cluster in order:
        members = np.flatnonzero(found.labels == cluster)
        parts = (np.asarray(quarters[members], np.float32) - shift) / unit  # (m, 4, d)
        best, best_terms = _best_of_cluster(
            features[members], parts, found.centers[cluster], textures, restarts, seed
        )
        patches.append(members[best])
        terms.append(best_terms)
    return Choice(np.array(patches), np.array(terms), np.argsort(order).astype(np.int32)[found.labels])


def score_terms(
    features: ArrayLike, quarters: ArrayLike, center: ArrayLike, texture: ArrayLike
) -> np.ndarray:
    """Compute the three terms of the score of each patch. The score is their sum; lower is better.

    Parameters
    ----------
    features : float array, shape (n, d)
        Features of the patches.
    quarters : float array, shape (n, 4, d)
        Features of their quarters.
    center : float array, shape (d,)
        Center of the cluster of the patches.
    texture : float array, shape (d,)
        Center of the most common quarter cluster.

    Returns
    -------
    float64 array, shape (n, 3)
        Distance to the center; mean distance of the quarters to the texture; largest distance between two quarters.

    Examples
    --------
    >>> score_terms([[3, 4]], [[[0, 0], [0, 0], [0, 0], [0, 8]]], center=[0, 0], texture=[0, 0]).tolist()
    [[5.0, 2.0, 8.0]]
    """
    features, quarters = np.asarray(features, np.float64), np.asarray(quarters, np.float64)
    pairs = [_norm(quarters[:, q] - quarters[:, r]) for q, r in combinations(range(QUARTERS), 2)]
    to_texture = _norm(quarters - texture).mean(axis=1)
    return np.stack([_norm(features - center), to_texture, np.max(pairs, axis=0)], axis=1)


def most_common(labels: ArrayLike, k: int) -> int:
    """Return the cluster with most members; the first one in case of a tie.

    Examples
    --------
    >>> most_common([2, 1, 1, 2, 0], 4)
    1
    """
    return int(np.bincount(np.ravel(labels), minlength=k).argmax())


def best_patch(scores: ArrayLike, quarter_labels: ArrayLike, texture: int) -> int:
    """Return the patch with the lowest score among the patches that have a quarter of the texture.

    Parameters
    ----------
    scores : float array, shape (n,)
    quarter_labels : int array, shape (n, 4)
        Cluster of each quarter.
    texture : int
        The most common of these clusters.

    Returns
    -------
    int
        The first patch in case of a tie.

    Examples
    --------
    >>> best_patch([1.0, 3.0, 3.0], [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]], texture=1)
    1
    """
    eligible = (np.asarray(quarter_labels) == texture).any(axis=1)
    return int(np.where(eligible, scores, np.inf).argmin())


def _best_of_cluster(
    features: np.ndarray, quarters: np.ndarray, center: np.ndarray, textures: int, restarts: int, seed: int
) -> tuple[int, np.ndarray]:
    """Return the index of the best patch of one cluster, and the terms of its score."""
    pieces = quarters.reshape(-1, quarters.shape[-1])  # (4 m, d)
    found = kmeans(pieces, min(textures, len(pieces)), seed=seed, restarts=restarts)
    texture = most_common(found.labels, len(found.centers))
    blocks = (slice(k, k + _ROWS) for k in range(0, len(features), _ROWS))
    terms = np.concatenate(
        [score_terms(features[rows], quarters[rows], center, found.centers[texture]) for rows in blocks]
    )
    best = best_patch(terms.sum(axis=1), found.labels.reshape(-1, QUARTERS), texture)
    return best, terms[best]


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature; constant features get a deviation of 1."""
    values = np.asarray(features, np.float64)
    deviation = values.std(axis=0)
    return values.mean(axis=0).astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(vectors).sum(axis=-1))
