"""Draw points from masks, and subsets of points, to simulate partial point annotation.

References
----------
.. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import center_of_mass, distance_transform_edt, find_objects

from ..checks import one_of
from ..errors import InputError
from ..instances import renumber
from .points import as_points


def points_from_instances(instances: npt.ArrayLike, *, place: str = "box") -> np.ndarray:
    """Return one point per instance of a label image.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    place : {"box", "centroid", "inside"}
        "box" (default): center of the bounding box, rounded down, as in [1]_. "centroid": mean of the pixels. Both can
        be outside of a concave instance. "inside": the pixel of the instance with the largest distance to its border.

    Returns
    -------
    float32 array, shape (N, 2)
        Row and column, in the order of the ids.

    Raises
    ------
    InputError
        "label-image-invalid" or "place-unknown".

    References
    ----------
    .. [1] Qu et al., IEEE TMI 2020.

    Examples
    --------
    >>> points_from_instances(np.array([[7, 7, 7, 0], [0, 0, 7, 5]])).tolist()
    [[1.0, 3.0], [0.0, 1.0]]
    """
    numbers, ids = renumber(instances)
    one_of("place", place, ("box", "centroid", "inside"))
    if place == "centroid":
        return as_points(center_of_mass(numbers > 0, numbers, np.arange(1, len(ids) + 1)))
    boxes = find_objects(numbers)
    if place == "box":
        return as_points([[(side.start + side.stop - 1) // 2 for side in box] for box in boxes])
    return as_points([_innermost_pixel(numbers[box] == k, box) for k, box in enumerate(boxes, 1)])


def sample_points(
    points: npt.ArrayLike, ratio: float, *, rng_or_seed: Any, replace: bool = False
) -> np.ndarray:
    """Draw a random subset of points.

    Parameters
    ----------
    points : float array, shape (N, 2)
    ratio : float
        Fraction to keep, in (0, 1].
    rng_or_seed : numpy.random.Generator or int
    replace : bool
        False (default) keeps round(N ratio) points, at least one. True draws int(N ratio) times with replacement, as
        the code of Qu et al.: fewer distinct points remain (9.5 % at a ratio of 0.1, 63 % at 1).

    Returns
    -------
    float32 array, shape (M, 2)
        Distinct points, in the order of `points`.

    Raises
    ------
    InputError
        "ratio-range".

    Examples
    --------
    >>> sample_points(np.arange(20).reshape(10, 2), 0.3, rng_or_seed=0).shape
    (3, 2)
    """
    points = as_points(points)
    if not 0 < ratio <= 1:
        raise InputError(
            "ratio-range", "`ratio` must be above 0 and at most 1", got=ratio, hint="write 10 % as 0.1"
        )
    rng = np.random.default_rng(rng_or_seed)
    if replace:
        count = int(len(points) * ratio)
        drawn = np.unique(rng.integers(len(points), size=count)) if len(points) else np.zeros(0, np.int64)
    else:
        count = min(len(points), max(1, round(len(points) * ratio)))
        drawn = np.sort(rng.choice(len(points), count, replace=False))
    return points[drawn]


def _innermost_pixel(mask: np.ndarray, box: tuple[slice, slice]) -> list[int]:
    """Return the pixel of a mask with the largest distance to its border, as (row, col) of the image."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    inner = np.unravel_index(depth.argmax(), depth.shape)
    return [side.start + int(at) for side, at in zip(box, inner, strict=True)]
