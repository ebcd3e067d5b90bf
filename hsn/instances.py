"""Label images of instances: check and renumber them."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .strips import count_labels, look_up


def renumber(instances: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Renumber the objects of a label image to 1..n, in the order of their ids.

    Parameters
    ----------
    instances : integer array (H, W)
        0 is background. Ids are positive; gaps are allowed.

    Returns
    -------
    numbers : int32 (H, W)
        0 background, 1..n.
    ids : integer array (n,)
        The original id of each number, ascending.

    Raises
    ------
    InputError
        "label-image-invalid" if the array is not two-dimensional, not integer, or has negative ids.

    Examples
    --------
    >>> numbers, ids = renumber(np.array([[0, 70, 5], [70, 0, 900]]))
    >>> numbers.tolist(), ids.tolist()
    ([[0, 2, 1], [2, 0, 3]], [5, 70, 900])
    """
    instances = np.asarray(instances)
    lowest = instances.min(initial=0) if instances.dtype.kind in "iub" else None
    if instances.ndim != 2 or lowest is None or lowest < 0:
        raise InputError(
            "label-image-invalid",
            "a label image must hold integers (height, width), 0 for background and ids above 0",
            got=f"{instances.dtype} {instances.shape}, lowest value {lowest}",
            hint="convert colors or probabilities to ids first",
        )
    highest = int(instances.max(initial=0))
    if highest > 4 * instances.size + 1024:  # a lookup table would be too large: sort instead
        ids, numbers = np.unique(np.append(0, instances.astype(np.int64)), return_inverse=True)
        return numbers[1:].reshape(instances.shape).astype(np.int32), ids[1:]
    present = count_labels(instances, minlength=highest + 1) > 0
    present[0] = False
    return look_up((np.cumsum(present) * present).astype(np.int32), instances), np.flatnonzero(present)


def object_areas(instances: np.ndarray) -> np.ndarray:
    """Return the areas of the objects of a label image in pixels, int64 (n,); ids without pixels are left out.

    Examples
    --------
    >>> object_areas(np.array([[0, 1, 1, 3]])).tolist()
    [2, 1]
    """
    areas = count_labels(instances)[1:]
    return areas[areas > 0]


def count_objects(instances: np.ndarray) -> int:
    """Return the number of objects of a label image; masked pixels and ids without pixels do not count.

    Examples
    --------
    >>> count_objects(np.array([[0, 1, 1, 3]]))
    2
    """
    return int(np.count_nonzero(np.unique(np.ma.filled(instances, 0)) > 0))


def median_diameter(areas: Sequence[np.ndarray]) -> float | None:
    """Return the median over images of the median diameter of objects, of circles of their areas; None without objects.

    Every image has the same weight, so that one with many small objects does not decide.

    Parameters
    ----------
    areas : sequence of float arrays
        Of each image, in square micrometers; the diameter is then in micrometers.

    Examples
    --------
    >>> round(median_diameter([object_areas(np.ones((10, 10), int)) * 0.5**2]), 2)
    5.64
    """
    medians = [np.median(image_areas) for image_areas in areas if len(image_areas)]
    return 2 * math.sqrt(float(np.median(medians)) / math.pi) if medians else None
