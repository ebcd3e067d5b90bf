"""Metrics of semantic segmentation, computed from a confusion matrix.

Add the confusion matrices of all images, then compute the scores once.

References
----------
.. [1] Long et al., CVPR 2015 (frequency-weighted IoU).
.. [2] Chan et al., HistoSegNet, ICCV 2019, release hsn_v1 (`absent="zero"`, inverse-log-frequency weights).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..checks import one_of
from ..errors import InputError
from .counts import as_counts, truth_pixels
from .counts import confusion_matrix as confusion_matrix


def iou(counts: npt.ArrayLike) -> np.ndarray:
    """Compute the intersection over union of each class: ``hits / (truth + predicted - hits)``.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion_matrix`.

    Returns
    -------
    float64 array, shape (C,)
        In [0, 1]; NaN for a class in neither truth nor prediction.

    Examples
    --------
    >>> iou([[1, 1], [0, 1]]).tolist()
    [0.5, 0.5]
    """
    return _ratio(*overlaps(counts))


def overlaps(counts: npt.ArrayLike) -> np.ndarray:
    """Count the pixels of each class in truth and prediction, and in either of them: int64 (2, C).

    Examples
    --------
    >>> overlaps([[1, 1], [0, 1]]).tolist()
    [[1, 1], [2, 2]]
    """
    hits, truth, predicted = _margins(counts)
    return np.stack([hits, truth + predicted - hits])


def dice(counts: npt.ArrayLike) -> np.ndarray:
    """Compute the Dice coefficient of each class, ``2 hits / (truth + predicted)``; NaN for a class in neither.

    Examples
    --------
    >>> dice([[1, 1], [0, 1]]).round(3).tolist()
    [0.667, 0.667]
    """
    hits, truth, predicted = _margins(counts)
    return _ratio(2 * hits, truth + predicted)


def recall(counts: npt.ArrayLike) -> np.ndarray:
    """Compute the recall of each class; NaN for a class that is not in the truth.

    Examples
    --------
    >>> recall([[1, 1], [0, 1]]).tolist()
    [0.5, 1.0]
    """
    hits, truth, _ = _margins(counts)
    return _ratio(hits, truth)


def precision(counts: npt.ArrayLike) -> np.ndarray:
    """Compute the precision of each class; NaN for a class that is never predicted.

    Examples
    --------
    >>> precision([[1, 1], [0, 1]]).tolist()
    [1.0, 0.5]
    """
    hits, _, predicted = _margins(counts)
    return _ratio(hits, predicted)


def mean_iou(counts: npt.ArrayLike, *, absent: str = "skip") -> float:
    """Compute the mean IoU over classes.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion_matrix`.
    absent : {"skip", "zero"}
        Classes in neither truth nor prediction: "skip" (default) leaves them out, "zero" counts them as 0, as in
        HistoSegNet's release.

    Returns
    -------
    float
        In [0, 1]; NaN if all classes are skipped.

    Examples
    --------
    >>> counts = [[4, 0, 0], [0, 4, 0], [0, 0, 0]]
    >>> mean_iou(counts), round(mean_iou(counts, absent="zero"), 3)
    (1.0, 0.667)
    """
    one_of("absent", absent, ("skip", "zero"), hint="use 'skip' unless you reproduce HistoSegNet's release")
    if absent == "zero":
        return float(np.nan_to_num(iou(counts)).mean())
    return mean_of_present(overlaps(counts))


def mean_of_present(overlaps: npt.ArrayLike) -> float:
    """Compute the mean IoU from the numbers of `overlaps`, (2, C); NaN if all classes are absent.

    Examples
    --------
    >>> mean_of_present([[1, 0], [2, 0]])
    0.5
    """
    shared, either = np.asarray(overlaps, float)
    present = either > 0
    return float((shared[present] / either[present]).mean()) if present.any() else float("nan")


def pixel_accuracy(counts: npt.ArrayLike) -> float:
    """Compute the fraction of correct pixels; NaN without pixels.

    Examples
    --------
    >>> pixel_accuracy([[1, 1], [0, 2]])
    0.75
    """
    hits, _, predicted = _margins(counts)
    return float(_ratio(hits.sum(), predicted.sum()))


def frequency_weighted_iou(counts: npt.ArrayLike) -> float:
    """Compute the mean IoU weighted by the frequency of the classes in the truth; NaN without pixels.

    Examples
    --------
    >>> frequency_weighted_iou([[3, 0], [1, 0]])
    0.5625
    """
    truth = truth_pixels(counts)
    return float(_ratio(np.nansum(truth * np.nan_to_num(iou(counts))), truth.sum()))


def inverse_log_frequency_weights(pixels: npt.ArrayLike) -> np.ndarray:
    """Compute the weights of HistoSegNet's "fIoU": ``1 / ln(pixels of the class)``, scaled to sum to 1.

    The weights of all present classes are nearly equal; absent classes have weight 0.

    Parameters
    ----------
    pixels : int array, shape (C,)
        True pixels of each class over the whole data set, at the resolution of the truth.

    Returns
    -------
    float64 array, shape (C,)

    Raises
    ------
    InputError
        "pixels-too-few" if a class has exactly one pixel (logarithm 0), or no class has pixels.

    Examples
    --------
    >>> inverse_log_frequency_weights([8599022, 8846758]).round(6).tolist()
    [0.500444, 0.499556]
    """
    pixels = np.asarray(pixels, float)
    present = pixels > 0
    if not present.any() or (pixels[present] < 2).any():
        raise InputError(
            "pixels-too-few",
            "`pixels` must be 0 or at least 2 for each class, and not all 0",
            got=pixels.tolist(),
            hint="count the truth of the whole data set",
        )
    weights = np.zeros(len(pixels))
    weights[present] = 1 / np.log(pixels[present])
    return weights / weights.sum()


def inverse_log_frequency_iou(counts: npt.ArrayLike, pixels: npt.ArrayLike | None = None) -> float:
    """Compute the IoU with inverse-log-frequency weights, "frequency-weighted IoU" (fIoU) in HistoSegNet's release.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion_matrix`.
    pixels : int array, shape (C,), optional
        True pixels of each class, for the weights. Default: those of `counts`. The release counts them at the
        resolution of the truth, before it is resized to the image.

    Examples
    --------
    >>> round(inverse_log_frequency_iou([[50, 50], [0, 100]]), 6)
    0.583333
    """
    weights = inverse_log_frequency_weights(truth_pixels(counts) if pixels is None else pixels)
    return float((weights * np.nan_to_num(iou(counts))).sum())


@dataclass(frozen=True)
class ClassScores:
    """Scores of an evaluation; ``str()`` gives a table.

    Attributes
    ----------
    names : tuple of str
        Classes in order.
    pixels : int64 (C,)
        True pixels of each class.
    iou, dice, precision, recall : float64 (C,)
        In [0, 1]; NaN for classes without a score.
    mean_iou : float
        Mean over the classes in truth or prediction.
    mean_iou_absent_zero : float
        Mean over all classes, absent classes as 0: HistoSegNet's mIoU.
    frequency_weighted_iou, inverse_log_frequency_iou, pixel_accuracy : float
        NaN without pixels.
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

    def __str__(self) -> str:
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


def class_scores(
    counts: npt.ArrayLike, names: Sequence[str], *, pixels: npt.ArrayLike | None = None
) -> ClassScores:
    """Compute all scores of a confusion matrix.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `confusion_matrix`, summed over all images.
    names : sequence of str
        Names of the C classes, in order.
    pixels : int array, shape (C,), optional
        True pixels for `inverse_log_frequency_iou`. Default: those of `counts`.

    Returns
    -------
    ClassScores

    Raises
    ------
    InputError
        "names-count" unless there is one name per class.

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
        raise InputError(
            "names-count",
            f"`names` must have one name for each of the {counts.shape[1]} classes",
            got=len(names),
            hint="give the names of the taxonomy of the labels",
        )
    truth = truth_pixels(counts)
    weighted = truth if pixels is None else np.asarray(pixels)
    has_weights = weighted.any() and not (weighted == 1).any()  # the logarithm of one pixel is 0
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
        inverse_log_frequency_iou=inverse_log_frequency_iou(counts, weighted)
        if has_weights
        else float("nan"),
        pixel_accuracy=pixel_accuracy(counts),
    )


def _margins(counts: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the hits, true pixels and predicted pixels of each class: three arrays (C,)."""
    counts = as_counts(counts)
    return np.diagonal(counts), truth_pixels(counts), counts.sum(axis=0)


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> np.ndarray:
    """Return `part / whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
