"""The overlap table: which objects share pixels and how many, counted once for every object score.

All object scores (`objects`, `outlines`) are short functions of this table. It is sparse, so time and memory
grow with the pixels and the touching pairs, not with truth objects times predicted ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

from ..errors import refuse
from ..instances import renumber


@dataclass(frozen=True)
class Overlaps:
    """Which truth object overlaps which predicted object, and by how much.

    Objects are numbered from 0 in the order of their ids. Only pairs that share a pixel are listed, sorted by
    truth, then by prediction.

    Attributes
    ----------
    truth_areas, prediction_areas : int64 (n,), (m,)
        Pixels of every object.
    truth, prediction : int64 (k,)
        The two objects of every overlapping pair.
    shared : int64 (k,)
        Pixels that the two have in common, at least 1.
    """

    truth_areas: np.ndarray
    prediction_areas: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    shared: np.ndarray

    @property
    def union(self):
        """Pixels that either object of a pair has, int64 (k,)."""
        return self.truth_areas[self.truth] + self.prediction_areas[self.prediction] - self.shared

    @property
    def iou(self):
        """Intersection over union of every pair, float64 (k,) in (0, 1]."""
        return self.shared / self.union

    @property
    def dice(self):
        """Dice of every pair, float64 (k,) in (0, 1]."""
        return 2 * self.shared / (self.union + self.shared)


def overlaps(truth, prediction):
    """Count the pixels that every pair of objects shares, in one pass over the pixels.

    Parameters
    ----------
    truth, prediction : integer array (H, W)
        0 background; any positive ids, gaps allowed, as many as there are. An id is one object, in however
        many pieces.

    Returns
    -------
    Overlaps

    Raises
    ------
    InputError
        If an array is no label image, or the two differ in shape.

    Examples
    --------
    >>> table = overlaps(np.array([[1, 1, 0, 9]]), np.array([[0, 4, 4, 4]]))
    >>> table.truth.tolist(), table.prediction.tolist(), table.shared.tolist()
    ([0, 1], [0, 0], [1, 1])
    >>> table.truth_areas.tolist(), table.prediction_areas.tolist()
    ([2, 1], [3])
    """
    if np.shape(truth) != np.shape(prediction):
        refuse("Truth and prediction must be of the same image",
               expected=f"two arrays of shape {np.shape(truth)}",
               received=f"a prediction of shape {np.shape(prediction)}",
               remedy="resize the prediction to the truth, or check the file names")  # fmt: skip
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
