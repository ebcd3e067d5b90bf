"""Pairing of instances or points: best overlap, greedy, or optimal one-to-one assignment.

References
----------
.. [1] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution
   neural network and spatial constrained loss, MICCAI 2019 (`greedy_pairs`, from its released code).
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from .table import Overlaps


def best_pairs(owner: np.ndarray, partner: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return each owner's pair with the highest score; ties go to the lowest partner.

    Parameters
    ----------
    owner, partner : int array (k,)
        The two instances of each pair: `table.truth, table.prediction`, or vice versa.
    score : array (k,)
        `table.shared` or `table.iou`.

    Returns
    -------
    int64 (owners,)
        Index of one pair per owner, in the order of the owners; owners without a pair are left out.

    Examples
    --------
    >>> best_pairs(np.array([0, 0, 2]), np.array([4, 5, 5]), np.array([1, 3, 2])).tolist()
    [1, 2]
    """
    order = np.lexsort((partner, -np.asarray(score), owner))
    _, first = np.unique(owner[order], return_index=True)
    return order[first]


def greedy_pairs(table: Overlaps) -> np.ndarray:
    """Pair instances as the released evaluation of FullNet; return indices into the pairs of the table.

    In the order of the true ids, each true instance is paired with the unused prediction of highest IoU, however low.
    The result depends on the order of the ids.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> table = overlaps(np.array([[1, 2, 2, 2]]), np.array([[5, 5, 5, 5]]))
    >>> greedy_pairs(table).tolist()
    [0]
    """
    order = np.lexsort((table.prediction, -table.iou, table.truth))
    chosen, served, taken = [], set(), set()
    for pair, truth, prediction in zip(
        order.tolist(), table.truth[order].tolist(), table.prediction[order].tolist(), strict=True
    ):
        if truth not in served and prediction not in taken:
            served.add(truth)
            taken.add(prediction)
            chosen.append(pair)
    return np.array(chosen, np.int64)


def assigned_pairs(table: Overlaps, pairs: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the one-to-one choice of `pairs` with the largest total gain.

    Parameters
    ----------
    table : Overlaps
    pairs : int array (p,)
        Pairs of the table that may be chosen.
    gain : float array (p,)
        Gain of each pair, in (0, 1].

    Returns
    -------
    int64 (q,)
        Chosen pairs.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> table = overlaps(np.array([[1, 2, 2, 2]]), np.array([[5, 5, 5, 5]]))
    >>> assigned_pairs(table, np.arange(2), table.iou).tolist()
    [1]
    """
    sizes = len(table.truth_areas), len(table.prediction_areas)
    # The constant 2 per edge changes no comparison. Weights must not be 0, which a sparse array may drop.
    return pairs[assign(sizes, table.truth[pairs], table.prediction[pairs], 2 - gain, linked=2.0, alone=2.0)]


def assign(
    sizes: tuple[int, int],
    left: np.ndarray,
    right: np.ndarray,
    cost: np.ndarray,
    *,
    linked: float,
    alone: float,
) -> np.ndarray:
    """Solve a sparse assignment problem in which nodes may stay unpaired.

    Each node has an edge to a dummy node of its own, for staying unpaired. The dummy nodes of a candidate pair are
    connected, so that they are matched if the pair is chosen. A minimum weight perfect matching solves the problem.

    Parameters
    ----------
    sizes : (int, int)
        Number of nodes on the left, n, and on the right, m.
    left, right : int array (k,)
        Nodes of each candidate pair.
    cost : float array (k,)
        Cost of each pair, above 0.
    linked, alone : float
        Cost of a connected pair of dummy nodes, and of an unpaired node; above 0.

    Returns
    -------
    bool array (k,)
        Whether each candidate pair is chosen.

    Examples
    --------
    >>> left, right = np.array([0, 0]), np.array([0, 1])
    >>> assign((1, 2), left, right, np.array([2.0, 1.0]), linked=1.0, alone=9.0).tolist()
    [False, True]
    """
    n, m = sizes
    if len(cost) == 0:
        return np.zeros(0, bool)
    rows = np.concatenate((left, n + right, np.arange(n), n + np.arange(m)))
    columns = np.concatenate((right, m + left, m + np.arange(n), np.arange(m)))
    weights = np.concatenate((cost, np.full(len(cost), linked), np.full(n + m, alone)))
    edges = coo_array((weights, (rows, columns)), shape=(n + m, n + m)).tocsr()
    matched_row, matched_column = min_weight_full_bipartite_matching(edges)
    partner = np.empty(n + m, np.int64)
    partner[matched_row] = matched_column
    return partner[left] == right
