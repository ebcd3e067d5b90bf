"""Sampling: points drawn from masks, and some of many points, to try what learning from few clicks gives.

How Qu et al. draw them (Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020),
with and without its habits.
"""

import numpy as np
from scipy.ndimage import center_of_mass, distance_transform_edt, find_objects

from ..errors import refuse
from ..instances import renumber
from .points import as_points


def from_instances(instances, *, place="box"):
    """One point for each object of a label image.

    Parameters
    ----------
    instances : int array, shape (H, W)
        0 background; any positive ids.
    place : {"box", "centroid", "inside"}
        "box" is the middle of the bounding box, rounded down, as in the paper; "centroid" the mean of the pixels.
        Both may miss an object that is bent. "inside" is the pixel of the object that is farthest from its border.

    Returns
    -------
    float32 array, shape (N, 2)
        In the order of the ids.

    Raises
    ------
    InputError
        If `instances` are no label image, or there is no such place.

    Examples
    --------
    >>> from_instances(np.array([[7, 7, 7, 0], [0, 0, 7, 5]])).tolist()
    [[1.0, 3.0], [0.0, 1.0]]
    """
    numbers, ids = renumber(instances)
    if place not in ("box", "centroid", "inside"):
        refuse("there is no such place", expected="'box', 'centroid' or 'inside'", received=repr(place),
               remedy="leave it out for the paper's")  # fmt: skip
    if place == "centroid":
        found = center_of_mass(numbers > 0, numbers, np.arange(1, len(ids) + 1))
        return as_points(found)
    boxes = find_objects(numbers)
    if place == "box":
        return as_points([[(side.start + side.stop - 1) // 2 for side in box] for box in boxes])
    return as_points([_deepest(numbers[box] == k, box) for k, box in enumerate(boxes, 1)])


def sample(points, ratio, *, rng_or_seed, replace=False):
    """Keep a share of the points, chosen by lot.

    Parameters
    ----------
    points : float array, shape (N, 2)
    ratio : float
        Share, above 0 and up to 1.
    rng_or_seed : numpy.random.Generator or int
    replace : bool
        False keeps round(N ratio) points, at least one. True draws as the paper's code does, int(N ratio) times with
        replacement: fewer distinct points stay (9.5 % at a ratio of 0.1, 63 % at 1), and of few points none.

    Returns
    -------
    float32 array, shape (M, 2)
        Distinct, in the order of `points`.

    Raises
    ------
    InputError
        If the ratio is no share.

    Examples
    --------
    >>> sample(np.arange(20).reshape(10, 2), 0.3, rng_or_seed=0).shape
    (3, 2)
    """
    points = as_points(points)
    if not 0 < ratio <= 1:
        refuse("`ratio` is a share of the points", expected="above 0 and up to 1", received=ratio,
               remedy="write 10 % as 0.1")  # fmt: skip
    rng = np.random.default_rng(rng_or_seed)
    if replace:
        drawn = np.unique(rng.integers(len(points), size=int(len(points) * ratio))) if len(points) else []
    else:
        count = min(len(points), max(1, round(len(points) * ratio)))
        drawn = np.sort(rng.choice(len(points), count, replace=False))
    return points[np.asarray(drawn, np.int64)]


def _deepest(mask, box):
    """The pixel of a mask that is farthest from its border, as (row, col) of the image."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    inner = np.unravel_index(depth.argmax(), depth.shape)
    return [side.start + at for side, at in zip(box, inner, strict=True)]
