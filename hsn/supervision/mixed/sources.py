"""Sources of what is known about a pixel, and what is known about the pixels of an image, for each head of a net.

A pixel's target is a set of possible classes: one class where the annotation is exact, "inside or contour" of an object
that was only clicked, "all but stroma" where stroma is absent. The loss is ``-log(sum of p over the set)``.
"""

from typing import NamedTuple

import numpy as np

from ...checks import as_mask

UNKNOWN, MASK, SCRIBBLE, POINT, VORONOI, CLUSTER, ABSENT_TAG, PSEUDO, SYNTHETIC, BOX = range(10)
UNUSED = 255  # ignored, outside of the image, or held out: no pseudo-label either

NAMES = {
    MASK: "mask", SCRIBBLE: "scribble", POINT: "click", VORONOI: "Voronoi label", CLUSTER: "cluster label",
    ABSENT_TAG: "absent tag", PSEUDO: "pseudo-label", SYNTHETIC: "synthetic", BOX: "box",
}  # fmt: skip

# Sources of each kind of annotation, the most precise kind first.
SOURCES = {
    "masks": (MASK, SYNTHETIC),
    "scribbles": (SCRIBBLE,),
    "points": (POINT, VORONOI, CLUSTER),
    "boxes": (BOX,),
    "tags": (ABSENT_TAG,),
    "unlabeled": (PSEUDO,),
}


class HeadMaps(NamedTuple):
    """Maps of what is known about the pixels of an image, for one head.

    Attributes
    ----------
    possible : int32 (H, W)
        Bit k is set if class k of the head is possible.
    weight : float32 (H, W)
        0 where nothing is known.
    source : uint8 (H, W)
    """

    possible: np.ndarray
    weight: np.ndarray
    source: np.ndarray

    def write(self, mask, classes, source, *, weight=1.0):
        """Set the possible classes of some pixels; later calls overwrite earlier ones.

        Parameters
        ----------
        mask : bool array, shape (H, W)
        classes : sequence of int
        source : int
        weight : float or float array (H, W)
            Default: 1.
        """
        as_mask(mask)  # numbers would be taken for indices
        self.possible[mask] = bits(classes)
        self.weight[mask] = weight[mask] if isinstance(weight, np.ndarray) else weight
        self.source[mask] = source


def blank(shape):
    """Return the maps of an image about which nothing is known.

    Examples
    --------
    >>> maps = blank((1, 2))
    >>> maps.write(np.array([[True, False]]), [1, 2], POINT)
    >>> maps.possible.tolist(), maps.weight.tolist(), maps.source.tolist()
    ([[6, 0]], [[1.0, 0.0]], [[3, 0]])
    """
    return HeadMaps(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.uint8))


def bits(classes):
    """Return the set of some classes as a number.

    Examples
    --------
    >>> bits([0, 2])
    5
    """
    return sum(1 << int(k) for k in classes)


def to_possible(numbers, classes):
    """Return sets as 0 and 1 for each class, float32 (..., C).

    Examples
    --------
    >>> to_possible(np.array([5]), 3).tolist()
    [[1.0, 0.0, 1.0]]
    """
    return ((np.asarray(numbers)[..., None] >> np.arange(classes)) & 1).astype(np.float32)


def count_known(source):
    """Return the number of pixels of each kind in a source map, dict of str to int.

    Examples
    --------
    >>> count_known(np.array([[1, 1, 3, 255]]))["masks"]
    2
    """
    numbers = np.bincount(source.ravel(), minlength=UNUSED + 1)
    return {kind: int(numbers[list(codes)].sum()) for kind, codes in SOURCES.items()}
