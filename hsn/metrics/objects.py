"""Objects: every score of how well objects were found, as a short function of one overlap table.

Which object overlaps which is counted once (`table.overlaps`). Matching at an IoU, the GlaS rule, panoptic
quality and the AJI in its several readings then never look at a pixel again. Counts of several images add up
(`sum(matches, start=Matching())`), so a score can be had per image and pooled.

Where there is nothing to find and nothing was found, every score is 1; where only one side is empty, it is 0.

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

from ..errors import refuse
from .hits import Hits
from .pairing import assigned_pairs, best_pairs, greedy_pairs


@dataclass(frozen=True)
class Matching(Hits):
    """Counts of a comparison; they add up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        Matched predictions, unmatched predictions, unmatched truth objects.
    iou_sum, dice_sum : float
        IoU and Dice, summed over the matched pairs.
    """

    iou_sum: float = 0.0
    dice_sum: float = 0.0

    @property
    def mean_iou(self):
        """Mean IoU of the matched pairs; of panoptic quality the segmentation part, SQ."""
        return self._share(self.iou_sum, self.true_positives)

    @property
    def mean_dice(self):
        """Mean Dice of the matched pairs."""
        return self._share(self.dice_sum, self.true_positives)

    @property
    def pq(self):
        """Panoptic quality, DQ x SQ."""
        return self.f1 * self.mean_iou


@dataclass(frozen=True)
class Jaccard:
    """An aggregated Jaccard index as its two pixel counts; they add up over images.

    Attributes
    ----------
    shared, union : int
        Pixels of all intersections, and of all unions with what stayed unmatched.
    """

    shared: int = 0
    union: int = 0

    def __add__(self, other):
        return Jaccard(self.shared + other.shared, self.union + other.union)

    @property
    def score(self):
        """The index, in [0, 1]; 1 where there is nothing on either side."""
        return self.shared / self.union if self.union else 1.0


def _matching(table, pairs):
    return Matching(len(pairs), len(table.prediction_areas) - len(pairs), len(table.truth_areas) - len(pairs),
                    float(table.iou[pairs].sum()), float(table.dice[pairs].sum()))  # fmt: skip


def match(table, *, iou=0.5):
    """Match objects one to one where their IoU is above a threshold.

    Its `f1` is the detection F1 (DQ), its `mean_iou` SQ, its `pq` the panoptic quality. Above 0.5 no object
    has two candidates; below, as many pairs as possible are made, and among those the ones of highest IoU.

    Parameters
    ----------
    table : Overlaps
    iou : float
        Pairs must lie strictly above it, in [0, 1).

    Returns
    -------
    Matching

    Raises
    ------
    InputError
        If `iou` is not in [0, 1).

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> counts = match(overlaps(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 2, 0]])))
    >>> counts.true_positives, counts.f1, round(counts.pq, 3)
    (1, 0.5, 0.333)
    """
    if not 0 <= iou < 1:
        refuse("`iou` must be a share that two objects can exceed", expected="a number from 0 to below 1",
               received=iou, remedy="use 0.5, as panoptic quality does")  # fmt: skip
    pairs = np.flatnonzero(table.iou > iou)
    count = max(min(len(table.truth_areas), len(table.prediction_areas)), 1)
    # Half of the gain is for the pair itself, so one pair more outweighs any sum of IoU.
    return _matching(table, assigned_pairs(table, pairs, 0.5 + table.iou[pairs] / (2 * count + 1)))


def match_glas(table, *, cover=0.5):
    """Match objects by the rule of the GlaS challenge.

    A prediction belongs to the truth object with which it shares most pixels, and is right if it covers at
    least half of that object; a truth object is missed if no prediction is right about it.

    Parameters
    ----------
    table : Overlaps
    cover : float
        Share of the truth object's area that the prediction must cover.

    Returns
    -------
    Matching
        IoU and Dice are summed over the right predictions.

    Notes
    -----
    The challenge's page says "at least 50 %"; one of its released scripts asks for more than that. The two
    differ only where exactly half is covered. Two predictions may then be right about one truth object, which
    is still found only once: the recall never passes 1.

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


def match_paper(table):
    """Match objects as FullNet's released evaluation of nuclei does: any overlap, first come first served.

    Not comparable with an F1 at IoU 0.5; here to repeat that paper's table.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> match_paper(overlaps(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 2, 0]]))).f1
    0.5
    """
    return _matching(table, greedy_pairs(table))


def aji(table, *, rule="standard"):
    """Aggregated Jaccard index.

    Parameters
    ----------
    table : Overlaps
    rule : {"standard", "paper-fullnet", "paper-points"}
        "standard": each truth object takes its prediction of highest IoU, which others may take too [2]_.
        "paper-fullnet": a prediction is taken once, in the order of the truth ids (`greedy_pairs`) [5]_.
        "paper-points": as standard, but a truth object that nothing overlaps is charged with the first
        prediction as well, and that one counts as used [6]_.

    Returns
    -------
    Jaccard
        Its `score` is the index.

    Raises
    ------
    InputError
        If `rule` is none of these.

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> two_in_one = overlaps(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[1, 1, 1, 1, 1, 1]]))
    >>> aji(two_in_one).score, aji(two_in_one, rule="paper-fullnet").score
    (0.4166666666666667, 0.2222222222222222)
    """
    if rule not in ("standard", "paper-fullnet", "paper-points"):
        refuse("`rule` must name a reading of the AJI",
               expected="'standard', 'paper-fullnet' or 'paper-points'",
               received=repr(rule), remedy="leave it out for the standard one")  # fmt: skip
    if rule == "paper-fullnet":
        return _jaccard(table, greedy_pairs(table))
    best = best_pairs(table.truth, table.prediction, table.iou)
    return _jaccard(table, best, charged=0 if rule == "paper-points" else None)


def aji_plus(table):
    """Aggregated Jaccard index over the one-to-one pairs whose IoU sums highest (AJI+).

    Examples
    --------
    >>> from hsn.metrics.table import overlaps
    >>> aji_plus(overlaps(np.array([[1, 1, 0, 2, 2, 2]]), np.array([[1, 1, 1, 1, 1, 1]]))).score
    0.375
    """
    return _jaccard(table, assigned_pairs(table, np.arange(len(table.shared)), table.iou))


def _jaccard(table, pairs, *, charged=None):
    """Sum the pairs and what stayed alone; each truth object alone also costs the prediction `charged`."""
    alone = np.ones(len(table.truth_areas), bool)
    alone[table.truth[pairs]] = False
    unused = np.ones(len(table.prediction_areas), bool)
    unused[table.prediction[pairs]] = False
    union = table.union[pairs].sum() + table.truth_areas[alone].sum()
    if charged is not None and len(unused) and alone.any():
        union += alone.sum() * table.prediction_areas[charged]
        unused[charged] = False
    return Jaccard(int(table.shared[pairs].sum()), int(union + table.prediction_areas[unused].sum()))


def count_deviation(truth_counts, prediction_counts):
    """How far the number of predicted objects is from the true number, per image, as a share of the true one.

    Parameters
    ----------
    truth_counts, prediction_counts : int array (n,)
        Objects of every image.

    Returns
    -------
    float64 (n,)
        |prediction - truth| / truth; 0 where both are 0, infinite where only the truth is 0.

    Raises
    ------
    InputError
        If the two differ in length.

    Examples
    --------
    >>> count_deviation([4, 10, 0], [5, 8, 0]).tolist()
    [0.25, 0.2, 0.0]
    """
    truth, prediction = np.asarray(truth_counts, float), np.asarray(prediction_counts, float)
    if truth.shape != prediction.shape or truth.ndim != 1:
        refuse("Counts must come in pairs", expected="two lists of one number an image",
               received=f"{truth.shape} and {prediction.shape}",
               remedy="count both over the same images")  # fmt: skip
    away = np.abs(prediction - truth)
    share = np.where(away > 0, np.inf, 0.0)
    return np.divide(away, truth, out=share, where=truth > 0)
