"""The overlap table of two label images: shared pixels of each pair of instances.

All instance metrics (`objects`, `outlines`) use this table. It is sparse, so time and memory grow with the number of
overlapping pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from ..errors import InputError
from ..instances import renumber


@dataclass(frozen=True)
class Overlaps:
    """Overlaps of true and predicted instances.

    Instances are numbered from 0 in the order of their ids. Pairs with shared pixels are sorted by truth, then by
    prediction.

    Attributes
    ----------
    truth_areas, prediction_areas : int64 (n,), (m,)
        Pixels of each instance.
    truth, prediction : int64 (k,)
        The two instances of each overlapping pair.
    shared : int64 (k,)
        Shared pixels of each pair, at least 1.
    """

    truth_areas: np.ndarray
    prediction_areas: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    shared: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Pixels of the union of each pair, int64 (k,)."""
        return self.truth_areas[self.truth] + self.prediction_areas[self.prediction] - self.shared

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, float64 (k,) in (0, 1]."""
        return self.shared / self.union

    @property
    def dice(self) -> np.ndarray:
        """Dice coefficient of each pair, float64 (k,) in (0, 1]."""
        return 2 * self.shared / (self.union + self.shared)


def overlaps(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> Overlaps:
    """Count the shared pixels of each pair of instances.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
        0 background; any positive ids, gaps allowed. All pixels with the same id are one instance.

    Returns
    -------
    Overlaps

    Raises
    ------
    InputError
        "label-image-invalid" or "shape-mismatch".

    Examples
    --------
    >>> table = overlaps(np.array([[1, 1, 0, 9]]), np.array([[0, 4, 4, 4]]))
    >>> table.truth.tolist(), table.prediction.tolist(), table.shared.tolist()
    ([0, 1], [0, 0], [1, 1])
    >>> table.truth_areas.tolist(), table.prediction_areas.tolist()
    ([2, 1], [3])
    """
    if np.shape(truth) != np.shape(prediction):
        raise InputError(
            "shape-mismatch",
            f"`prediction` must have the shape of the truth, {np.shape(truth)}",
            got=np.shape(prediction),
            hint="resize the prediction to the truth, or check the file names",
        )
    (truth, truth_ids), (prediction, prediction_ids) = renumber(truth), renumber(prediction)
    both = (truth > 0) & (prediction > 0)
    pairs = (truth[both] - 1, prediction[both] - 1)
    shape = (max(len(truth_ids), 1), max(len(prediction_ids), 1))  # a sparse array has no empty side
    table = coo_array((np.ones(len(pairs[0]), np.int64), pairs), shape=shape).tocsr()
    table.sum_duplicates()
    table = table.tocoo()
    return Overlaps(
        np.bincount(truth.ravel(), minlength=1)[1:],
        np.bincount(prediction.ravel(), minlength=1)[1:],
        table.row.astype(np.int64),
        table.col.astype(np.int64),
        table.data,
    )
