"""k-means for many long vectors: seeded, restarted, in products of matrices.

Lloyd's rounds from random members, the best of several starts kept, as Lou et al. (Which Pixel to Annotate, IEEE TMI
2022) cluster the features of patches.
"""

from typing import NamedTuple

import numpy as np

from ..errors import refuse

# A start has settled when its centres move, all squares together, by less than this share of a value's variance.
_SETTLED = 1e-4
_ROWS = 8192  # values a product: bounds memory, whatever their number


class Clusters(NamedTuple):
    """A partition of n values of d numbers.

    Attributes
    ----------
    labels : int32 (n,)
        Cluster of each value, 0..k-1.
    centres : float32 (k, d)
    spread : float
        Sum of the squared distances of all values to their centres.
    """

    labels: np.ndarray
    centres: np.ndarray
    spread: float


def kmeans(values, k, *, seed=0, restarts=10, rounds=300):
    """Part values into k clusters of little spread.

    Parameters
    ----------
    values : float array, shape (n, d)
        Euclidean distances between them must mean something. Read in blocks of rows, so it may lie in a file.
    k : int
        At most n.
    seed : int
        Of the starts.
    restarts : int
        Starts from k members drawn at random; the one that ends with the least spread is kept.
    rounds : int
        The most that a start may take to settle.

    Returns
    -------
    Clusters
        A cluster without members is moved to the value that lies farthest from its centre. So clusters are empty
        only where there are fewer different values than clusters.

    Raises
    ------
    InputError
        If there are fewer values than clusters, or a value is not finite.

    Examples
    --------
    >>> found = kmeans(np.float32([[0], [1], [10], [11], [12]]), 2)
    >>> sorted(found.centres.ravel().tolist()), found.spread
    ([0.5, 11.0], 2.5)
    """
    values = np.asanyarray(values)
    if not 1 <= k <= len(values):
        refuse("there are not as many clusters", expected=f"1 to {len(values)}, the number of patches", received=k,
               remedy="ask for fewer, or give more images")  # fmt: skip
    squares, mean = np.zeros(len(values)), np.zeros(values.shape[1])
    for rows, block in _blocks(values):
        squares[rows] = np.einsum("nd,nd->n", block, block, dtype=np.float64)
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= len(values)
    if not np.isfinite(squares).all():
        refuse("features must be finite numbers", expected="no NaN and no infinity",
               received=f"{np.count_nonzero(~np.isfinite(squares))} bad vectors",
               remedy="check what the encoder gives")  # fmt: skip
    variance = max(squares.mean() - mean @ mean, 0) / values.shape[1]
    rng = np.random.default_rng(seed)
    starts = [np.sort(rng.choice(len(values), k, replace=False)) for _ in range(restarts)]
    tried = (_settle(values, squares, values[start], rounds, _SETTLED * variance) for start in starts)
    return min(tried, key=lambda found: found.spread)


def _settle(values, squares, centres, rounds, least_move):
    """Lloyd's rounds from some centres."""
    centres = np.array(centres, np.float32)
    for _ in range(rounds):
        labels, away, sums = _assign(values, squares, centres)
        counts = np.bincount(labels, minlength=len(centres))
        moved = np.where(counts[:, None], sums / np.maximum(counts, 1)[:, None], centres)
        for cluster in np.flatnonzero(counts == 0):
            moved[cluster] = values[away.argmax()]
            away[away.argmax()] = 0
        change = np.square(moved - centres).sum()
        centres = moved.astype(np.float32)
        if change <= least_move:
            break
    labels, away, _ = _assign(values, squares, centres)
    return Clusters(labels, centres, float(away.sum()))


def _assign(values, squares, centres):
    """The nearest centre of each value, the squared distance to it, and the sum of the values of each centre."""
    labels, away = np.empty(len(values), np.int32), np.empty(len(values))
    sums = np.zeros(centres.shape)
    lengths = np.square(centres, dtype=np.float64).sum(axis=1)
    for rows, block in _blocks(values):
        # |v - c|^2 = |v|^2 - 2 v c + |c|^2, one product for all
        distances = lengths - 2 * (block @ centres.T)  # (rows, k)
        nearest = distances.argmin(axis=1)
        labels[rows] = nearest
        away[rows] = distances[np.arange(len(block)), nearest]
        members = (nearest == np.arange(len(centres))[:, None]).astype(np.float32)  # (k, rows)
        sums += members @ block
    return labels, np.maximum(away + squares, 0), sums


def _blocks(values):
    for first in range(0, len(values), _ROWS):
        rows = slice(first, first + _ROWS)
        yield rows, np.asarray(values[rows], np.float32)
