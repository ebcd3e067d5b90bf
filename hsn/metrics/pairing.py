"""Pairing: which object of the overlap table answers which, in the three ways that the field uses.

Each takes the best partner (others may take it too), first come first served, or the one-to-one choice that
is best in sum. All return indices into the pairs of an `Overlaps`.

References
----------
.. [1] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution
   neural network and spatial constrained loss, MICCAI 2019 (`greedy_pairs`, from its released code).
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching


def best_pairs(owner, partner, score):
    """Of every owner, the pair of highest score; among equals the lowest partner wins.

    Parameters
    ----------
    owner, partner : int array (k,)
        The two objects of every pair: `table.truth, table.prediction`, or the other way round.
    score : array (k,)
        What to be best in: `table.shared`, or `table.iou`.

    Returns
    -------
    int64 (owners,)
        One index per owner that is in any pair, in the order of the owners.

    Examples
    --------
    >>> best_pairs(np.array([0, 0, 2]), np.array([4, 5, 5]), np.array([1, 3, 2])).tolist()
    [1, 2]
    """
    order = np.lexsort((partner, -np.asarray(score), owner))
    _, first = np.unique(owner[order], return_index=True)
    return order[first]


def greedy_pairs(table):
    """Pair objects as FullNet's released evaluation does, as indices into the pairs of the table.

    In the order of the truth ids, each truth object takes the free prediction of highest IoU, however low,
    and no other truth object can have it. The result depends on the order of the ids.

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


def assigned_pairs(table, pairs, gain):
    """Of `pairs`, the one-to-one choice that gains most in sum.

    A minimum weight perfect matching on sparse edges. Each object may also stay alone, for which it has an
    edge to a stand-in of its own; the stand-ins of a pair are linked, so that they are served when the pair
    is.

    Parameters
    ----------
    table : Overlaps
    pairs : int array (p,)
        Pairs of the table that may be chosen.
    gain : float array (p,)
        What each is worth, in (0, 1].

    Returns
    -------
    int64 (q,)
        Those chosen.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> table = overlaps(np.array([[1, 2, 2, 2]]), np.array([[5, 5, 5, 5]]))
    >>> assigned_pairs(table, np.arange(2), table.iou).tolist()
    [1]
    """
    n, m = len(table.truth_areas), len(table.prediction_areas)
    if len(pairs) == 0:
        return pairs
    truth, prediction = table.truth[pairs], table.prediction[pairs]
    rows = np.concatenate((truth, n + prediction, np.arange(n), n + np.arange(m)))
    columns = np.concatenate((prediction, m + truth, m + np.arange(n), np.arange(m)))
    # The constant 2 an edge changes no comparison and keeps weights off 0, which a sparse array may drop.
    cost = np.concatenate((2 - gain, np.full(len(pairs) + n + m, 2.0)))
    edges = coo_array((cost, (rows, columns)), shape=(n + m, n + m)).tocsr()
    matched_row, matched_column = min_weight_full_bipartite_matching(edges)
    partner = np.empty(n + m, np.int64)
    partner[matched_row] = matched_column
    return pairs[partner[truth] == prediction]
