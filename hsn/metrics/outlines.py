"""Outlines: how well the shape of each object is met, by object Dice and object Hausdorff distance.

Both go through the objects of the truth and of the prediction in turn, give each its partner of largest
overlap, and weight it by its share of all object pixels; the two directions count half each (GlaS challenge:
Sirinukunwattana et al., Medical Image Analysis 2017). Dice needs the overlap table only. Distances are
measured inside the smallest box around the two objects, so their cost follows the objects and not the image.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from ..instances import renumber
from .pairing import best_pairs
from .table import overlaps


def object_dice(table):
    """Object Dice of the GlaS challenge.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        In [0, 1]. An object without overlap scores 0; 1 where neither side has an object.

    Examples
    --------
    >>> object_dice(overlaps(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])))
    0.6666666666666666
    """
    return _two_sided(table, table.dice)


def object_iou(table):
    """Object IoU: as `object_dice`, with the IoU of each object and its partner.

    Examples
    --------
    >>> object_iou(overlaps(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 1]])))
    0.5
    """
    return _two_sided(table, table.iou)


def hausdorff(one, other):
    """Hausdorff distance of two sets of pixels: how far the farthest pixel of either is from the other set.

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


def object_hausdorff(truth, prediction, *, table=None, one_empty_px=np.inf):
    """Object Hausdorff distance of the GlaS challenge.

    An object that overlaps nothing takes the smallest distance to any object of the other side.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
        0 background; any positive ids, gaps allowed.
    table : Overlaps, optional
        Their overlap table, if it is there already.
    one_empty_px : float
        The distance where just one side has objects, in pixels. The released code of FullNet says 1e5.

    Returns
    -------
    float
        In pixels; 0 where neither side has an object.

    Raises
    ------
    InputError
        If an array is no label image, or the two differ in shape.

    Examples
    --------
    >>> object_hausdorff(np.array([[1, 1, 1, 0, 0]]), np.array([[0, 4, 4, 0, 4]]))
    2.0
    """
    table = overlaps(truth, prediction) if table is None else table
    n, m = len(table.truth_areas), len(table.prediction_areas)
    if n == 0 or m == 0:
        return 0.0 if n == m else float(one_empty_px)
    shapes = _Objects(truth), _Objects(prediction)
    known = {}  # both directions ask for mostly the same pairs
    there = _one_sided_distance(*shapes, table.truth, table.prediction, table, known, flip=False)
    back = _one_sided_distance(*shapes[::-1], table.prediction, table.truth, table, known, flip=True)
    there = np.average(there, weights=table.truth_areas)
    back = np.average(back, weights=table.prediction_areas)
    return float(there + back) / 2


def matched_hausdorff(truth, prediction, table, pairs):
    """Mean Hausdorff distance of matched objects, as FullNet's released evaluation of nuclei gives it.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
    table : Overlaps
        Their overlap table.
    pairs : int array
        Which of its pairs are matched, from `pairing.greedy_pairs`.

    Returns
    -------
    float
        In pixels; NaN where nothing is matched, because then nothing is measured.

    Examples
    --------
    >>> truth, prediction = np.array([[1, 1, 0, 2]]), np.array([[1, 0, 0, 2]])
    >>> matched_hausdorff(truth, prediction, overlaps(truth, prediction), [0, 1])
    0.5
    """
    one, other = _Objects(truth), _Objects(prediction)
    each = [_distance(one, table.truth[pair], other, table.prediction[pair]) for pair in pairs]
    return float(np.mean(each)) if each else float("nan")


def _two_sided(table, score):
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


class _Objects:
    """The objects of a label image, each with its box: rows from, columns from, rows to, columns to."""

    def __init__(self, instances):
        self.numbers, ids = renumber(instances)
        boxes = [(r.start, c.start, r.stop, c.stop) for r, c in find_objects(self.numbers)]
        self.boxes = np.array(boxes, np.int64).reshape(len(ids), 4)

    def mask(self, index, box):
        return self.numbers[box[0] : box[2], box[1] : box[3]] == index + 1


def _distance(one, i, other, j):
    """Hausdorff distance of object i of one image and object j of the other, within the box of both."""
    box = np.append(np.minimum(one.boxes[i, :2], other.boxes[j, :2]),
                    np.maximum(one.boxes[i, 2:], other.boxes[j, 2:]))  # fmt: skip
    return hausdorff(one.mask(i, box), other.mask(j, box))


def _one_sided_distance(one, other, owner, partner, table, known, *, flip):
    """Distance of every object of `one` to its partner in `other`, or to the nearest where none overlaps."""

    def distance(i, j):
        key = (j, i) if flip else (i, j)
        if key not in known:
            known[key] = _distance(one, i, other, j)
        return known[key]

    partners = np.full(len(one.boxes), -1)
    pairs = best_pairs(owner, partner, table.shared)
    partners[owner[pairs]] = partner[pairs]
    distances = np.empty(len(one.boxes))
    for i, j in enumerate(partners.tolist()):
        distances[i] = distance(i, j) if j >= 0 else _nearest(one, i, other, distance)
    return distances


def _nearest(one, i, other, distance):
    """The smallest distance of object i to any object of `other`.

    Two sets whose boxes differ by d on a side are at least d apart, because the outermost pixel on that side
    has no partner nearer. Candidates are tried in the order of this bound, until it rules out the rest.
    """
    bounds = np.abs(other.boxes - one.boxes[i]).max(axis=1)
    best = np.inf
    for j in np.argsort(bounds, kind="stable").tolist():
        if bounds[j] >= best:
            break
        best = min(best, distance(i, j))
    return best
