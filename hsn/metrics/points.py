"""Points found: which click answers which, within a radius, and how often.

Counts first, scores after: `PointMatching` adds up over images. The optimal pairing is one to one with as many pairs
as there can be and, among those, the smallest sum of distances; the greedy one is what the released code of Qu et
al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020, counts.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from ..errors import refuse
from .hits import Hits


@dataclass(frozen=True)
class PointMatching(Hits):
    """Counts of a comparison of points; they add up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        Pairs, points found without a partner, true points without one.
    distance_sum, square_sum : float
        Distances in pixels, and their squares, summed over the pairs.

    Examples
    --------
    >>> both = PointMatching(3, 1, 0, 6.0, 14.0) + PointMatching(1, 0, 1, 2.0, 4.0)
    >>> both.precision, both.recall, both.f1, both.mean_distance
    (0.8, 0.8, 0.8, 2.0)
    """

    distance_sum: float = 0.0
    square_sum: float = 0.0

    @property
    def mean_distance(self):
        """Mean distance of the pairs, in pixels; NaN without any."""
        return self.distance_sum / self.true_positives if self.true_positives else float("nan")

    @property
    def std_distance(self):
        """Standard deviation of the distances, in pixels (of the pairs themselves, not of a population)."""
        if not self.true_positives:
            return float("nan")
        return sqrt(max(self.square_sum / self.true_positives - self.mean_distance**2, 0.0))


def match_points(truth, found, *, radius_px, rule="optimal"):
    """Pair found points with true ones that are nearer than a radius.

    Parameters
    ----------
    truth, found : float array, shape (N, 2) and (M, 2)
        Row and column in pixels.
    radius_px : float
        Pairs are nearer than this; the paper takes the mean radius of nuclei, 11 at 0.25 um per pixel.
    rule : {"optimal", "greedy"}
        "optimal" makes as many pairs as there can be and, among those choices, takes the smallest sum of distances.
        "greedy" is the paper's: row by row, each true point takes the nearest point that is still free; the
        order can cost pairs.

    Returns
    -------
    PointMatching

    Raises
    ------
    InputError
        If points are no finite (N, 2), the radius is not positive, or there is no such rule.

    References
    ----------
    .. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020.

    Examples
    --------
    >>> truth, found = [[0, 4], [0, 9]], [[0, 5], [0, 1]]
    >>> match_points(truth, found, radius_px=7).true_positives
    2
    >>> match_points(truth, found, radius_px=7, rule="greedy").true_positives
    1
    """
    truth, found = _checked(truth, "truth"), _checked(found, "found")
    if not radius_px > 0:
        refuse("`radius_px` must be positive", expected="pixels", received=radius_px,
               remedy="take the mean radius of the nuclei")  # fmt: skip
    if rule not in _RULES:
        refuse("there is no such rule", expected="'optimal' or 'greedy'", received=repr(rule),
               remedy="use 'greedy' only to compare with the paper")  # fmt: skip
    paired = _RULES[rule](truth, found, *_candidates(truth, found, radius_px))
    pairs = len(paired)
    distances = float(paired.sum()), float(np.square(paired).sum())
    return PointMatching(pairs, len(found) - pairs, len(truth) - pairs, *distances)


def _checked(points, name):
    points = np.asarray(points)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if (
        points.dtype.kind not in "iuf"
        or points.ndim != 2
        or points.shape[1] != 2
        or not np.isfinite(points).all()
    ):
        refuse(f"`{name}` must be points", expected="finite (N, 2), row and column",
               received=f"{points.dtype} {points.shape}", remedy="give one (row, col) a point")  # fmt: skip
    return points.astype(np.float64)


def _candidates(truth, found, radius):
    """Pairs that are near enough: index of truth, index of found, distance."""
    if not len(truth) or not len(found):
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    near = KDTree(truth).sparse_distance_matrix(KDTree(found), radius, output_type="coo_matrix")
    inside = near.data < radius
    return near.row[inside].astype(int), near.col[inside].astype(int), near.data[inside]


def _optimal(truth, found, of, to, distance):
    """Distances of the best pairs: a minimum weight perfect matching on sparse edges.

    Each point may also stay alone, for which it has an edge to a stand-in of its own; the stand-ins of two
    candidates are linked, so that they are served when their points are paired.
    """
    n, m = len(truth), len(found)
    if not len(distance):
        return distance
    rows = np.concatenate((of, n + to, np.arange(n), n + np.arange(m)))
    columns = np.concatenate((to, m + of, m + np.arange(n), np.arange(m)))
    share = distance / distance.max(initial=1.0)
    # Weights are 1 at least, because a sparse array may drop 0. One pair more is worth any lengthening of the others.
    alone = np.full(n + m, min(n, m) + 3.0)
    weights = np.concatenate((1 + share, np.ones(len(share)), alone))
    edges = coo_array((weights, (rows, columns)), shape=(n + m, n + m)).tocsr()
    matched_row, matched_column = min_weight_full_bipartite_matching(edges)
    partner = np.empty(n + m, np.int64)
    partner[matched_row] = matched_column
    return distance[partner[of] == to]


def _greedy(truth, found, of, to, distance):
    """Distances of the pairs that the paper's code makes."""
    place = np.empty(len(truth), int)
    place[np.lexsort(truth.T[::-1])] = np.arange(len(truth))  # row by row
    free, served, taken = np.ones(len(found), bool), np.zeros(len(truth), bool), []
    for k in np.lexsort((to, distance, place[of])):
        if free[to[k]] and not served[of[k]]:
            free[to[k]], served[of[k]] = False, True
            taken.append(distance[k])
    return np.array(taken)


_RULES = {"optimal": _optimal, "greedy": _greedy}
