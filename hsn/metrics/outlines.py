"""Shape metrics of instances: object Dice, object IoU and object Hausdorff distance.

Each instance of truth and prediction is paired with the instance of largest overlap on the other side. Pairs are
weighted by area; the two directions count half each (GlaS challenge: Sirinukunwattana et al., Medical Image Analysis
2017). Distances are computed within the bounding box of the two instances. The cost does not depend on the size of
the image.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from ..instances import renumber
from .pairing import best_pairs
from .table import Overlaps, overlaps


def object_dice(table: Overlaps) -> float:
    """Compute the object Dice of the GlaS challenge.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        In [0, 1]. Instances without overlap count 0; 1 if both sides are empty.

    Examples
    --------
    >>> object_dice(overlaps(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])))
    0.6666666666666666
    """
    return _two_sided(table, table.dice)


def object_iou(table: Overlaps) -> float:
    """Compute the object IoU: as `object_dice`, with the IoU of each pair.

    Examples
    --------
    >>> object_iou(overlaps(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])))
    0.5
    """
    return _two_sided(table, table.iou)


def hausdorff(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the Hausdorff distance of two masks: the largest distance of a pixel of one mask to the other mask.

    Parameters
    ----------
    one, other : bool array (H, W)
        Each with at least one pixel.

    Returns
    -------
    float
        In pixels.

    Examples
    --------
    >>> hausdorff(np.array([[1, 1, 0, 0, 0]], bool), np.array([[0, 1, 0, 0, 1]], bool))
    3.0
    """
    there = distance_transform_edt(~other)[one].max()
    back = distance_transform_edt(~one)[other].max()
    return float(max(there, back))


def object_hausdorff(
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    *,
    table: Overlaps | None = None,
    one_empty_px: float = np.inf,
) -> float:
    """Compute the object Hausdorff distance of the GlaS challenge.

    An instance without overlap has the smallest distance to any instance of the other side.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
        0 background; any positive ids, gaps allowed.
    table : Overlaps, optional
        Overlap table of the two. Default: compute it.
    one_empty_px : float
        Distance in pixels if only one side has instances. Default: infinity. FullNet's released code uses 1e5.

    Returns
    -------
    float
        In pixels; 0 if both sides are empty.

    Raises
    ------
    InputError
        "label-image-invalid" or "shape-mismatch".

    Examples
    --------
    >>> object_hausdorff(np.array([[1, 1, 1, 0, 0]]), np.array([[0, 4, 4, 0, 4]]))
    2.0
    """
    table = overlaps(truth, prediction) if table is None else table
    n, m = len(table.truth_areas), len(table.prediction_areas)
    if n == 0 or m == 0:
        return 0.0 if n == m else float(one_empty_px)
    shapes = (_Instances(truth), _Instances(prediction))
    cache: dict[tuple[int, int], float] = {}  # both directions need mostly the same pairs
    there = _one_sided_distances(*shapes, table.truth, table.prediction, table, cache, flip=False)
    back = _one_sided_distances(*shapes[::-1], table.prediction, table.truth, table, cache, flip=True)
    mean_there = np.average(there, weights=table.truth_areas)
    mean_back = np.average(back, weights=table.prediction_areas)
    return float(mean_there + mean_back) / 2


def matched_hausdorff(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, table: Overlaps, pairs: Sequence[int] | np.ndarray
) -> float:
    """Compute the mean Hausdorff distance of matched instances, as the released evaluation of FullNet.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
    table : Overlaps
        Overlap table of the two.
    pairs : int array
        Indices of the matched pairs of the table, from `pairing.greedy_pairs`.

    Returns
    -------
    float
        In pixels; NaN without matched pairs.

    Examples
    --------
    >>> truth, prediction = np.array([[1, 1, 0, 2]]), np.array([[1, 0, 0, 2]])
    >>> matched_hausdorff(truth, prediction, overlaps(truth, prediction), [0, 1])
    0.5
    """
    one, other = _Instances(truth), _Instances(prediction)
    distances = [_distance(one, table.truth[pair], other, table.prediction[pair]) for pair in pairs]
    return float(np.mean(distances)) if distances else float("nan")


def _two_sided(table: Overlaps, score: np.ndarray) -> float:
    if len(table.truth_areas) == 0 or len(table.prediction_areas) == 0:
        return float(len(table.truth_areas) == len(table.prediction_areas))
    total = 0.0
    for owner, partner, areas in (
        (table.truth, table.prediction, table.truth_areas),
        (table.prediction, table.truth, table.prediction_areas),
    ):
        pairs = best_pairs(owner, partner, table.shared)
        total += score[pairs] @ areas[owner[pairs]] / areas.sum()
    return float(total / 2)


class _Instances:
    """Instances of a label image and their boxes: first row, first column, end row, end column."""

    def __init__(self, instances: npt.ArrayLike) -> None:
        self.numbers, ids = renumber(instances)
        boxes = [(r.start, c.start, r.stop, c.stop) for r, c in find_objects(self.numbers)]
        self.boxes = np.array(boxes, np.int64).reshape(len(ids), 4)

    def mask(self, index: int, box: np.ndarray) -> np.ndarray:
        return self.numbers[box[0] : box[2], box[1] : box[3]] == index + 1


def _distance(one: _Instances, i: int, other: _Instances, j: int) -> float:
    """Compute the Hausdorff distance of instance i of one image and instance j of the other."""
    box = np.append(np.minimum(one.boxes[i, :2], other.boxes[j, :2]),
                    np.maximum(one.boxes[i, 2:], other.boxes[j, 2:]))  # fmt: skip
    return hausdorff(one.mask(i, box), other.mask(j, box))


def _one_sided_distances(
    one: _Instances,
    other: _Instances,
    owner: np.ndarray,
    partner: np.ndarray,
    table: Overlaps,
    cache: dict[tuple[int, int], float],
    *,
    flip: bool,
) -> np.ndarray:
    """Return the distance of each instance of `one` to its partner in `other`, or to the nearest without overlap."""

    def distance(i: int, j: int) -> float:
        key = (j, i) if flip else (i, j)
        if key not in cache:
            cache[key] = _distance(one, i, other, j)
        return cache[key]

    partners = np.full(len(one.boxes), -1)
    pairs = best_pairs(owner, partner, table.shared)
    partners[owner[pairs]] = partner[pairs]
    distances = np.empty(len(one.boxes))
    for i, j in enumerate(partners.tolist()):
        distances[i] = distance(i, j) if j >= 0 else _smallest_distance(one, i, other, distance)
    return distances


def _smallest_distance(
    one: _Instances, i: int, other: _Instances, distance: Callable[[int, int], float]
) -> float:
    """Return the smallest distance of instance i to any instance of `other`.

    The Hausdorff distance is at least the difference of the boxes on any side. Candidates are tried in the order of
    this bound, until it excludes the rest.
    """
    bounds = np.abs(other.boxes - one.boxes[i]).max(axis=1)
    best = np.inf
    for j in np.argsort(bounds, kind="stable").tolist():
        if bounds[j] >= best:
            break
        best = min(best, distance(i, j))
    return best
