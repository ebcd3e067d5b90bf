"""Metrics of point detection: match detected points with true points within a radius.

References
----------
.. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020
   (`rule="greedy"`, from its released code).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from ..checks import one_of, positive
from ..errors import InputError
from .counts import Hits
from .pairing import assign


@dataclass(frozen=True)
class PointMatching(Hits):
    """Counts of matched points; they add up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        Pairs, unmatched detections, unmatched true points.
    distance_sum, square_sum : float
        Sums of the distances of the pairs in pixels, and of their squares.

    Examples
    --------
    >>> both = PointMatching(3, 1, 0, 6.0, 14.0) + PointMatching(1, 0, 1, 2.0, 4.0)
    >>> both.precision, both.recall, both.f1, both.mean_distance
    (0.8, 0.8, 0.8, 2.0)
    """

    distance_sum: float = 0.0
    square_sum: float = 0.0

    @property
    def mean_distance(self) -> float:
        """Mean distance of the pairs in pixels; NaN without pairs."""
        return self.distance_sum / self.true_positives if self.true_positives else float("nan")

    @property
    def std_distance(self) -> float:
        """Standard deviation of the distances in pixels (ddof 0); NaN without pairs."""
        if not self.true_positives:
            return float("nan")
        return sqrt(max(self.square_sum / self.true_positives - self.mean_distance**2, 0.0))


def match_points(
    truth: npt.ArrayLike, found: npt.ArrayLike, *, radius_px: float, rule: str = "optimal"
) -> PointMatching:
    """Match detected points with true points within a radius.

    Parameters
    ----------
    truth, found : float array, shape (N, 2) and (M, 2)
        True and detected points, row and column in pixels.
    radius_px : float
        Pairs must be nearer than this. The paper uses the mean radius of nuclei, 11 at 0.25 um per pixel.
    rule : {"optimal", "greedy"}
        "optimal" (default): the maximum number of one-to-one pairs, and among these the smallest sum of distances.
        "greedy": as in the paper, row by row, each true point is paired with the nearest unused point; this can give
        fewer pairs.

    Returns
    -------
    PointMatching

    Raises
    ------
    InputError
        "points-shape", "radius-px-positive" or "rule-unknown".

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
    truth, found = _as_points(truth, "truth"), _as_points(found, "found")
    positive("radius_px", radius_px, hint="give the mean radius of the nuclei")
    one_of("rule", rule, _RULES, hint="use 'greedy' only to compare with the paper")
    distances = _RULES[rule](truth, found, *_candidates(truth, found, radius_px))
    sums = float(distances.sum()), float(np.square(distances).sum())
    pairs = len(distances)
    return PointMatching(pairs, len(found) - pairs, len(truth) - pairs, *sums)


def _as_points(points: npt.ArrayLike, name: str) -> np.ndarray:
    points = np.asarray(points)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if (
        points.dtype.kind not in "iuf"
        or points.ndim != 2
        or points.shape[1] != 2
        or not np.isfinite(points).all()
    ):
        raise InputError(
            "points-shape",
            f"`{name}` must be finite numbers (N, 2), row and column",
            got=f"{points.dtype} {points.shape}",
            hint="give one (row, col) per point",
        )
    return points.astype(np.float64)


def _candidates(
    truth: np.ndarray, found: np.ndarray, radius_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs within the radius: index of truth, index of found, distance."""
    if not len(truth) or not len(found):
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    near = KDTree(truth).sparse_distance_matrix(KDTree(found), radius_px, output_type="coo_matrix")
    inside = near.data < radius_px
    return near.row[inside].astype(int), near.col[inside].astype(int), near.data[inside]


def _optimal(
    truth: np.ndarray,
    found: np.ndarray,
    true_index: np.ndarray,
    found_index: np.ndarray,
    distance: np.ndarray,
) -> np.ndarray:
    """Return the distances of the optimal pairs."""
    n, m = len(truth), len(found)
    # Costs of at least 1, because a sparse array may drop 0. One more pair is worth any increase of distances.
    cost = 1 + distance / distance.max(initial=1.0)
    return distance[assign((n, m), true_index, found_index, cost, linked=1.0, alone=min(n, m) + 3.0)]


def _greedy(
    truth: np.ndarray,
    found: np.ndarray,
    true_index: np.ndarray,
    found_index: np.ndarray,
    distance: np.ndarray,
) -> np.ndarray:
    """Return the distances of the pairs of the paper's code."""
    order = np.empty(len(truth), int)
    order[np.lexsort(truth.T[::-1])] = np.arange(len(truth))  # row by row
    true_free, found_free, distances = np.ones(len(truth), bool), np.ones(len(found), bool), []
    for k in np.lexsort((found_index, distance, order[true_index])):
        if found_free[found_index[k]] and true_free[true_index[k]]:
            found_free[found_index[k]] = true_free[true_index[k]] = False
            distances.append(distance[k])
    return np.array(distances)


_RULES = {"optimal": _optimal, "greedy": _greedy}
