"""k-means for many long vectors: Lloyd's algorithm with seeded restarts, as matrix products.

Each start uses random members as centers. The best start is kept. Lou et al. (Which Pixel to Annotate, IEEE TMI 2022)
cluster patch features in this way.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError

# A start has converged if the summed squared motion of its centers is below this fraction of the variance.
_TOLERANCE = 1e-4
_ROWS = 8192  # values per matrix product; bounds the memory


class Clusters(NamedTuple):
    """Clusters of n values with d numbers each.

    Attributes
    ----------
    labels : int32 (n,)
        Cluster of each value, 0..k-1.
    centers : float32 (k, d)
    spread : float
        Sum of the squared distances of all values to their centers.
    """

    labels: np.ndarray
    centers: np.ndarray
    spread: float


def kmeans(
    values: ArrayLike, k: int, *, seed: int = 0, restarts: int = 10, max_iterations: int = 300
) -> Clusters:
    """Cluster values by k-means.

    Parameters
    ----------
    values : float array, shape (n, d)
        Memory-mapped arrays are read in blocks of rows.
    k : int
        Number of clusters, at most n.
    seed : int
        Seed of the starts.
    restarts : int
        Number of starts from k random members; the one with the smallest spread is kept. Default: 10.
    max_iterations : int
        Largest number of iterations of a start. Default: 300.

    Returns
    -------
    Clusters
        A cluster without members is moved to the value that is farthest from its center. Clusters are therefore empty
        only if there are fewer different values than clusters.

    Raises
    ------
    InputError
        "too-few-patches" if there are fewer values than clusters; "features-not-finite".

    Examples
    --------
    >>> found = kmeans(np.float32([[0], [1], [10], [11], [12]]), 2)
    >>> sorted(found.centers.ravel().tolist()), found.spread
    ([0.5, 11.0], 2.5)
    """
    values = np.asanyarray(values)
    if not 1 <= k <= len(values):
        raise InputError(
            "too-few-patches",
            f"the number of clusters must be 1 to {len(values)}, the number of patches",
            got=k,
            hint="ask for fewer, or give more images",
        )
    squares, mean = np.zeros(len(values)), np.zeros(values.shape[1])
    for rows, block in _blocks(values):
        squares[rows] = np.einsum("nd,nd->n", block, block, dtype=np.float64)
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= len(values)
    if not np.isfinite(squares).all():
        raise InputError(
            "features-not-finite",
            "features must be finite numbers",
            got=f"{np.count_nonzero(~np.isfinite(squares))} vectors with NaN or infinity",
            hint="check the output of the encoder",
        )
    variance = max(squares.mean() - mean @ mean, 0) / values.shape[1]
    rng = np.random.default_rng(seed)
    starts = [np.sort(rng.choice(len(values), k, replace=False)) for _ in range(restarts)]
    results = (
        _converge(values, squares, values[start], max_iterations, _TOLERANCE * variance) for start in starts
    )
    return min(results, key=lambda found: found.spread)


def _converge(
    values: np.ndarray, squares: np.ndarray, centers: np.ndarray, max_iterations: int, tolerance: float
) -> Clusters:
    """Run Lloyd's algorithm from some centers."""
    centers = np.array(centers, np.float32)
    for _ in range(max_iterations):
        labels, distances, sums = _assign(values, squares, centers)
        counts = np.bincount(labels, minlength=len(centers))
        moved = np.where(counts[:, None], sums / np.maximum(counts, 1)[:, None], centers)
        for cluster in np.flatnonzero(counts == 0):
            moved[cluster] = values[distances.argmax()]
            distances[distances.argmax()] = 0
        change = np.square(moved - centers).sum()
        centers = moved.astype(np.float32)
        if change <= tolerance:
            break
    labels, distances, _ = _assign(values, squares, centers)
    return Clusters(labels, centers, float(distances.sum()))


def _assign(
    values: np.ndarray, squares: np.ndarray, centers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nearest center of each value, its squared distance, and the sum of the values of each center."""
    labels, relative = np.empty(len(values), np.int32), np.empty(len(values))
    sums = np.zeros(centers.shape)
    lengths = np.square(centers, dtype=np.float64).sum(axis=1)
    for rows, block in _blocks(values):
        # |v - c|^2 = |v|^2 - 2 v c + |c|^2: one matrix product
        distances = lengths - 2 * (block @ centers.T)  # (rows, k)
        nearest = distances.argmin(axis=1)
        labels[rows] = nearest
        relative[rows] = distances[np.arange(len(block)), nearest]
        members = (nearest == np.arange(len(centers))[:, None]).astype(np.float32)  # (k, rows)
        sums += members @ block
    return labels, np.maximum(relative + squares, 0), sums


def _blocks(values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for first in range(0, len(values), _ROWS):
        rows = slice(first, first + _ROWS)
        yield rows, np.asarray(values[rows], np.float32)
