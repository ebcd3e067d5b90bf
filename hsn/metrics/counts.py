"""Counts for metrics: confusion matrices of pixels, and true and false positives of detections.

Counts of several images add up, so that a score can be computed per image and pooled.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ..checks import one_of
from ..errors import InputError


@dataclass(frozen=True)
class Hits:
    """Counts of a detection; they and the fields of subclasses add up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int

    Examples
    --------
    >>> both = Hits(3, 1, 0) + Hits(1, 0, 1)
    >>> both.precision, both.recall, both.f1
    (0.8, 0.8, 0.8)
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def precision(self) -> float:
        """Fraction of the detections that are correct; 1 if there is nothing on either side."""
        return self._ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Fraction of the truth that is detected; 1 if there is nothing on either side."""
        return self._ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; the detection quality (DQ) of panoptic quality."""
        wrong = self.false_positives + self.false_negatives
        return self._ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    def _ratio(self, part: float, whole: float) -> float:
        empty = not (self.true_positives or self.false_positives or self.false_negatives)
        return 1.0 if empty else float(part / whole) if whole else 0.0


def confusion_matrix(
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    classes: int,
    *,
    valid_mask: npt.ArrayLike | None = None,
    unlisted: str = "ignore",
) -> np.ndarray:
    """Count pixels by true class (rows) and predicted class (columns).

    Parameters
    ----------
    truth, prediction : int array, same shape
        Class indices below `classes`.
    classes : int
        Number of classes, C.
    valid_mask : bool array, same shape, optional
        Where the truth is known. Default: everywhere.
    unlisted : {"ignore", "false_alarms"}
        Pixels outside of `valid_mask`. "ignore" (default) leaves them out. "false_alarms" counts them in an additional
        row, so that they enlarge the union of the predicted class, as in HistoSegNet's release.

    Returns
    -------
    int64 array, shape (C, C), or (C + 1, C) with `unlisted="false_alarms"`

    Raises
    ------
    InputError
        "shape-mismatch", "unlisted-unknown" or "labels-range".

    Examples
    --------
    >>> confusion_matrix(np.array([[0, 0, 1]]), np.array([[0, 1, 1]]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    valid_mask = np.ones(truth.shape, bool) if valid_mask is None else np.asarray(valid_mask)
    if not truth.shape == prediction.shape == valid_mask.shape:
        raise InputError(
            "shape-mismatch",
            "truth, prediction and `valid_mask` must have the same shape",
            got=f"{truth.shape}, {prediction.shape}, {valid_mask.shape}",
            hint="resize the truth with hsn.annotations.colors.resize_labels",
        )
    hint = "use 'ignore' unless you reproduce HistoSegNet's release"
    one_of("unlisted", unlisted, ("ignore", "false_alarms"), hint=hint)
    keep_all = unlisted == "false_alarms"
    rows = np.where(valid_mask, truth, classes).ravel() if keep_all else truth[valid_mask]
    columns = prediction.ravel() if keep_all else prediction[valid_mask]
    height = classes + keep_all
    for name, found, limit in (("truth", rows, height), ("prediction", columns, classes)):
        if found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= limit):
            raise InputError(
                "labels-range",
                f"the {name} must be integers from 0 to {classes - 1}",
                got=f"{found.dtype} {found.min()} to {found.max()}",
                hint="give both in the same taxonomy",
            )
    pairs = rows.astype(np.int64) * classes + columns  # one number per pixel
    return np.bincount(pairs, minlength=height * classes).reshape(height, classes).astype(np.int64)


def truth_pixels(counts: npt.ArrayLike) -> np.ndarray:
    """Return the number of pixels of each true class, int64 (C,).

    Examples
    --------
    >>> truth_pixels([[1, 1], [0, 1]]).tolist()
    [2, 1]
    """
    counts = as_counts(counts)
    return counts[: counts.shape[1]].sum(axis=1)


def as_counts(counts: npt.ArrayLike) -> np.ndarray:
    """Return `counts` as an array if it is a confusion matrix; raise InputError "counts-shape" otherwise.

    Examples
    --------
    >>> as_counts([[1, 1], [0, 1]]).shape
    (2, 2)
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] - counts.shape[1] not in (0, 1) or counts.shape[1] < 1:
        raise InputError(
            "counts-shape",
            "`counts` must be a confusion matrix, (C, C) or (C + 1, C)",
            got=counts.shape,
            hint="make it with hsn.metrics.counts.confusion_matrix",
        )
    return counts
