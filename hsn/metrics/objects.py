"""Metrics of instance segmentation, computed from one overlap table: F1, panoptic quality, GlaS rule, AJI.

`table.overlaps` counts the shared pixels once; these functions only use the table. Counts of several images add up
(`sum(matches, start=Matching())`), so that a score can be computed per image and pooled.

If truth and prediction are both empty, every score is 1; if only one is empty, it is 0.

References
----------
.. [1] Sirinukunwattana et al., Gland segmentation in colon histology images: the GlaS challenge contest,
   Medical Image Analysis 2017 (the gland rule).
.. [2] Kumar et al., A dataset and a technique for generalized nuclear segmentation, IEEE TMI 2017 (AJI).
.. [3] Graham et al., HoVer-Net, Medical Image Analysis 2019 (AJI+).
.. [4] Kirillov et al., Panoptic segmentation, CVPR 2019 (PQ = DQ x SQ).
.. [5] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution
   neural network and spatial constrained loss, MICCAI 2019 (the "paper-fullnet" rules, from its released
   code).
.. [6] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020
   (the "paper-points" rule, from its released code).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..checks import one_of
from ..errors import InputError
from .counts import Hits
from .pairing import assigned_pairs, best_pairs, greedy_pairs
from .table import Overlaps


@dataclass(frozen=True)
class Matching(Hits):
    """Counts of matched instances; they add up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        Matched predictions, unmatched predictions, unmatched true instances.
    iou_sum, dice_sum : float
        Sums of IoU and Dice over the matched pairs.
    """

    iou_sum: float = 0.0
    dice_sum: float = 0.0

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched pairs; the segmentation quality (SQ) of panoptic quality."""
        return self._ratio(self.iou_sum, self.true_positives)

    @property
    def mean_dice(self) -> float:
        """Mean Dice of the matched pairs."""
        return self._ratio(self.dice_sum, self.true_positives)

    @property
    def pq(self) -> float:
        """Panoptic quality, DQ x SQ."""
        return self.f1 * self.mean_iou


@dataclass(frozen=True)
class Jaccard:
    """Pixel counts of an aggregated Jaccard index; they add up over images.

    Attributes
    ----------
    shared, union : int
        Pixels of all intersections, and of all unions including unmatched instances.
    """

    shared: int = 0
    union: int = 0

    def __add__(self, other: "Jaccard") -> "Jaccard":
        return Jaccard(self.shared + other.shared, self.union + other.union)

    @property
    def score(self) -> float:
        """Aggregated Jaccard index, in [0, 1]; 1 if both sides are empty."""
        return self.shared / self.union if self.union else 1.0


def _matching(table: Overlaps, pairs: np.ndarray) -> Matching:
    return Matching(len(pairs), len(table.prediction_areas) - len(pairs), len(table.truth_areas) - len(pairs),
                    float(table.iou[pairs].sum()), float(table.dice[pairs].sum()))  # fmt: skip


def match(table: Overlaps, *, iou: float = 0.5) -> Matching:
    """Match instances one to one if their IoU is above a threshold.

    The result has the detection F1 (`f1`, DQ), SQ (`mean_iou`) and panoptic quality (`pq`). From 0.5 on, the matching
    is unique. Below, it has the maximum number of pairs, and among these the highest sum of IoU.

    Parameters
    ----------
    table : Overlaps
    iou : float
        Threshold in [0, 1); pairs must be strictly above. Default: 0.5.

    Returns
    -------
    Matching

    Raises
    ------
    InputError
        "iou-range".

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> counts = match(overlaps(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 2, 0]])))
    >>> counts.true_positives, counts.f1, round(counts.pq, 3)
    (1, 0.5, 0.333)
    """
    if not 0 <= iou < 1:
        raise InputError(
            "iou-range", "`iou` must be in [0, 1)", got=iou, hint="use 0.5, as panoptic quality does"
        )
    pairs = np.flatnonzero(table.iou > iou)
    count = max(min(len(table.truth_areas), len(table.prediction_areas)), 1)
    # Half of the gain is for the pair itself, so that one more pair outweighs any sum of IoU.
    return _matching(table, assigned_pairs(table, pairs, 0.5 + table.iou[pairs] / (2 * count + 1)))


def match_glas(table: Overlaps, *, cover: float = 0.5) -> Matching:
    """Match instances by the rule of the GlaS challenge.

    A prediction is assigned to the true instance with the largest overlap. It is a true positive if it covers at least
    half of that instance. A true instance without a true positive is a false negative.

    Parameters
    ----------
    table : Overlaps
    cover : float
        Minimum covered fraction of the true instance. Default: 0.5.

    Returns
    -------
    Matching
        IoU and Dice are summed over the true positives.

    Notes
    -----
    The page of the challenge says "at least 50 %"; one of its scripts requires more than 50 %. They differ only if
    exactly half is covered. Two predictions can then match one true instance, which counts once in the recall.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> counts = match_glas(overlaps(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 2, 0]])))
    >>> counts.true_positives, counts.false_positives, counts.false_negatives
    (1, 1, 1)
    """
    pairs = best_pairs(table.prediction, table.truth, table.shared)
    right = pairs[table.shared[pairs] >= cover * table.truth_areas[table.truth[pairs]]]
    found = len(np.unique(table.truth[right]))
    counts = _matching(table, right)
    return Matching(counts.true_positives, counts.false_positives, len(table.truth_areas) - found,
                    counts.iou_sum, counts.dice_sum)  # fmt: skip


def match_paper(table: Overlaps) -> Matching:
    """Match instances as the released evaluation of FullNet: any overlap, in the order of the true ids.

    Only for comparison with that paper; not comparable with an F1 at IoU 0.5.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> match_paper(overlaps(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 2, 0]]))).f1
    0.5
    """
    return _matching(table, greedy_pairs(table))


def aji(table: Overlaps, *, rule: str = "standard") -> Jaccard:
    """Compute the aggregated Jaccard index (AJI).

    Parameters
    ----------
    table : Overlaps
    rule : {"standard", "paper-fullnet", "paper-points"}
        "standard" (default): each true instance is paired with the prediction of highest IoU; a prediction can be used
        several times [2]_. "paper-fullnet": a prediction is used once, in the order of the true ids (`greedy_pairs`)
        [5]_. "paper-points": as standard, but a true instance without overlap is also paired with the first prediction
        [6]_.

    Returns
    -------
    Jaccard
        Its `score` is the index.

    Raises
    ------
    InputError
        "rule-unknown".

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> two_in_one = overlaps(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[1, 1, 1, 1, 1, 1]]))
    >>> aji(two_in_one).score, aji(two_in_one, rule="paper-fullnet").score
    (0.4166666666666667, 0.2222222222222222)
    """
    one_of(
        "rule", rule, ("standard", "paper-fullnet", "paper-points"), hint="leave it out for the standard AJI"
    )
    if rule == "paper-fullnet":
        return _jaccard(table, greedy_pairs(table))
    best = best_pairs(table.truth, table.prediction, table.iou)
    return _jaccard(table, best, charged=0 if rule == "paper-points" else None)


def aji_plus(table: Overlaps) -> Jaccard:
    """Compute AJI+: the aggregated Jaccard index of the one-to-one matching with the highest sum of IoU.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> aji_plus(overlaps(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[1, 1, 1, 1, 1, 1]]))).score
    0.375
    """
    return _jaccard(table, assigned_pairs(table, np.arange(len(table.shared)), table.iou))


def _jaccard(table: Overlaps, pairs: np.ndarray, *, charged: int | None = None) -> Jaccard:
    """Sum pairs and unmatched instances; each unmatched true instance also adds the prediction `charged`."""
    alone = np.ones(len(table.truth_areas), bool)
    alone[table.truth[pairs]] = False
    unused = np.ones(len(table.prediction_areas), bool)
    unused[table.prediction[pairs]] = False
    union = table.union[pairs].sum() + table.truth_areas[alone].sum()
    if charged is not None and len(unused) and alone.any():
        union += alone.sum() * table.prediction_areas[charged]
        unused[charged] = False
    return Jaccard(int(table.shared[pairs].sum()), int(union + table.prediction_areas[unused].sum()))


def count_deviation(truth_counts: npt.ArrayLike, prediction_counts: npt.ArrayLike) -> np.ndarray:
    """Compute the relative error of the number of instances, per image.

    Parameters
    ----------
    truth_counts, prediction_counts : int array (n,)
        Number of instances of each image.

    Returns
    -------
    float64 (n,)
        |prediction - truth| / truth; 0 if both are 0, infinite if only the truth is 0.

    Raises
    ------
    InputError
        "length-mismatch".

    Examples
    --------
    >>> count_deviation([4, 10, 0], [5, 8, 0]).tolist()
    [0.25, 0.2, 0.0]
    """
    truth, prediction = np.asarray(truth_counts, float), np.asarray(prediction_counts, float)
    if truth.shape != prediction.shape or truth.ndim != 1:
        raise InputError(
            "length-mismatch",
            "`truth_counts` and `prediction_counts` must be lists of one number per image",
            got=f"{truth.shape} and {prediction.shape}",
            hint="count both over the same images",
        )
    error = np.abs(prediction - truth)
    return np.divide(error, truth, out=np.where(error > 0, np.inf, 0.0), where=truth > 0)
