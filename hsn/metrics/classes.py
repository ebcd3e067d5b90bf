"""Scores of labels: each a short function of one table of counts.

Make the table with `confusion`, add those of all images, and score once. Sources: Long et al. (CVPR 2015) for
frequency-weighted IoU; release hsn_v1 of HistoSegNet (Chan et al., ICCV 2019) for its own averages, which
differ from the usual ones and are kept under names of their own.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import refuse
from .counts import as_counts, truth_pixels
from .counts import confusion as confusion


def iou(counts):
    """Intersection over union of each class: ``hits / (truth + predicted - hits)``.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion`.

    Returns
    -------
    float64 array, shape (C,)
        In [0, 1]; NaN for a class that is neither in the truth nor in the prediction.

    Examples
    --------
    >>> iou([[1, 1], [0, 1]]).tolist()
    [0.5, 0.5]
    """
    hits, truth, predicted = _margins(counts)
    return _ratio(hits, truth + predicted - hits)


def dice(counts):
    """Dice coefficient of each class, ``2 hits / (truth + predicted)``; NaN where the class is in neither.

    Examples
    --------
    >>> dice([[1, 1], [0, 1]]).round(3).tolist()
    [0.667, 0.667]
    """
    hits, truth, predicted = _margins(counts)
    return _ratio(2 * hits, truth + predicted)


def recall(counts):
    """Share of each class's true pixels that were found; NaN for a class not in the truth.

    Examples
    --------
    >>> recall([[1, 1], [0, 1]]).tolist()
    [0.5, 1.0]
    """
    hits, truth, _ = _margins(counts)
    return _ratio(hits, truth)


def precision(counts):
    """Share of each class's predicted pixels that are right; NaN for a class never predicted.

    Examples
    --------
    >>> precision([[1, 1], [0, 1]]).tolist()
    [1.0, 0.5]
    """
    hits, _, predicted = _margins(counts)
    return _ratio(hits, predicted)


def mean_iou(counts, *, absent="skip"):
    """Mean of the classes' IoU.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion`.
    absent : {"skip", "zero"}
        What a class counts that is neither in the truth nor in the prediction: nothing, or 0 as in
        HistoSegNet's release.

    Returns
    -------
    float
        In [0, 1]; NaN if no pixel was counted and absent classes are skipped.

    Examples
    --------
    >>> counts = [[4, 0, 0], [0, 4, 0], [0, 0, 0]]
    >>> mean_iou(counts), round(mean_iou(counts, absent="zero"), 3)
    (1.0, 0.667)
    """
    if absent not in ("skip", "zero"):
        refuse("there is no such rule for absent classes", expected="'skip' or 'zero'", received=repr(absent),
               remedy="use 'skip' unless you reproduce HistoSegNet's release")  # fmt: skip
    each = iou(counts)
    if absent == "zero":
        return float(np.nan_to_num(each).mean())
    present = each[~np.isnan(each)]
    return float(present.mean()) if present.size else float("nan")


def pixel_accuracy(counts):
    """Share of the counted pixels that are right; NaN if none was counted.

    Examples
    --------
    >>> pixel_accuracy([[1, 1], [0, 2]])
    0.75
    """
    hits, _, predicted = _margins(counts)
    return float(_ratio(hits.sum(), predicted.sum()))


def frequency_weighted_iou(counts):
    """Mean of the classes' IoU, weighted by their share of the true pixels; NaN if none was counted.

    Examples
    --------
    >>> frequency_weighted_iou([[3, 0], [1, 0]])
    0.5625
    """
    truth = truth_pixels(counts)
    return float(_ratio(np.nansum(truth * np.nan_to_num(iou(counts))), truth.sum()))


def inverse_log_frequency_weights(pixels):
    """Weights of HistoSegNet's "fIoU": ``1 / ln(pixels of the class)``, scaled to sum to 1.

    They are nearly equal for all classes that occur, and by no means frequencies; an absent class weighs 0.

    Parameters
    ----------
    pixels : int array, shape (C,)
        True pixels of each class over the whole set, at the truth's own resolution.

    Returns
    -------
    float64 array, shape (C,)

    Raises
    ------
    InputError
        If a class has exactly one pixel (its logarithm is 0), or none has any.

    Examples
    --------
    >>> inverse_log_frequency_weights([8599022, 8846758]).round(6).tolist()
    [0.500444, 0.499556]
    """
    pixels = np.asarray(pixels, float)
    present = pixels > 0
    if not present.any() or (pixels[present] < 2).any():
        refuse("these counts have no inverse-log-frequency weights",
               expected="0, or at least 2 pixels a class",
               received=pixels.tolist(),
               remedy="count the truth of the whole set")  # fmt: skip
    weights = np.zeros(len(pixels))
    weights[present] = 1 / np.log(pixels[present])
    return weights / weights.sum()


def inverse_log_frequency_iou(counts, pixels=None):
    """What HistoSegNet's release calls "frequency-weighted IoU" (fIoU), under a name that says what it is.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion`.
    pixels : int array, shape (C,), optional
        True pixels of each class, for the weights; those of `counts` by default. The release counts them at
        the truth's own resolution, before it is shrunk to the image.

    Examples
    --------
    >>> round(inverse_log_frequency_iou([[50, 50], [0, 100]]), 6)
    0.583333
    """
    weights = inverse_log_frequency_weights(truth_pixels(counts) if pixels is None else pixels)
    return float((weights * np.nan_to_num(iou(counts))).sum())


@dataclass(frozen=True)
class ClassScores:
    """Scores of one evaluation; prints as a table.

    Attributes
    ----------
    names : tuple of str
        Classes in order.
    pixels : int64 (C,)
        True pixels of each class.
    iou, dice, precision, recall : float64 (C,)
        In [0, 1]; NaN where a class gives no score.
    mean_iou : float
        Over the classes in truth or prediction.
    mean_iou_absent_zero : float
        Over all classes, absent ones counting 0: HistoSegNet's mIoU.
    frequency_weighted_iou, inverse_log_frequency_iou, pixel_accuracy : float, NaN without counts
    """

    names: tuple[str, ...]
    pixels: np.ndarray
    iou: np.ndarray
    dice: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    mean_iou: float
    mean_iou_absent_zero: float
    frequency_weighted_iou: float
    inverse_log_frequency_iou: float
    pixel_accuracy: float

    def __str__(self):
        width = max(len("class"), *map(len, self.names))
        lines = [f"{'class':<{width}}      IoU     Dice  precision   recall        pixels"]
        columns = zip(self.names, self.iou, self.dice, self.precision, self.recall, self.pixels, strict=True)
        for name, *scores, pixels in columns:
            a, b, c, d = ("-" if np.isnan(s) else f"{s:.4f}" for s in scores)
            lines.append(f"{name:<{width}} {a:>8} {b:>8} {c:>10} {d:>8} {pixels:>13,}")
        lines.append(
            f"mIoU {self.mean_iou:.4f}, with absent classes as 0 {self.mean_iou_absent_zero:.4f}; "
            f"pixel accuracy {self.pixel_accuracy:.4f}"
        )
        lines.append(
            f"frequency-weighted IoU {self.frequency_weighted_iou:.4f}, "
            f"inverse-log-frequency IoU {self.inverse_log_frequency_iou:.4f}"
        )
        return "\n".join(lines)


def class_scores(counts, names, *, pixels=None):
    """Score a table of counts in every way that this file knows.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion`, summed over the images.
    names : sequence of str
        The C classes in order.
    pixels : int array, shape (C,), optional
        Passed to `inverse_log_frequency_iou`.

    Returns
    -------
    ClassScores

    Raises
    ------
    InputError
        If there are more or fewer names than classes.

    Examples
    --------
    >>> print(class_scores([[3, 0], [1, 4]], ("Other", "G.O")))
    class      IoU     Dice  precision   recall        pixels
    Other   0.7500   0.8571     0.7500   1.0000             3
    G.O     0.8000   0.8889     1.0000   0.8000             5
    mIoU 0.7750, with absent classes as 0 0.7750; pixel accuracy 0.8750
    frequency-weighted IoU 0.7812, inverse-log-frequency IoU 0.7703
    """
    counts, names = as_counts(counts), tuple(names)
    if len(names) != counts.shape[1]:
        refuse("each class needs one name", expected=f"{counts.shape[1]} names", received=f"{len(names)}",
               remedy="give the names of the taxonomy that was counted")  # fmt: skip
    truth = truth_pixels(counts)
    weighed = truth if pixels is None else np.asarray(pixels)
    weighable = weighed.any() and not (weighed == 1).any()  # the logarithm of one pixel is 0
    return ClassScores(
        names=names,
        pixels=truth,
        iou=iou(counts),
        dice=dice(counts),
        precision=precision(counts),
        recall=recall(counts),
        mean_iou=mean_iou(counts),
        mean_iou_absent_zero=mean_iou(counts, absent="zero"),
        frequency_weighted_iou=frequency_weighted_iou(counts),
        inverse_log_frequency_iou=inverse_log_frequency_iou(counts, weighed) if weighable else float("nan"),
        pixel_accuracy=pixel_accuracy(counts),
    )


def _margins(counts):
    """Hits, true pixels and predicted pixels of each class: three arrays (C,)."""
    counts = as_counts(counts)
    return np.diagonal(counts), truth_pixels(counts), counts.sum(axis=0)


def _ratio(part, whole):
    """`part / whole`, NaN where the whole is nothing."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
