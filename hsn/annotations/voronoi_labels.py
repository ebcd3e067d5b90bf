"""Voronoi labels: every click owns the pixels that are nearest to it, and where two meet there is no nucleus.

Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020. The paper draws
polygons and needs four points in general position; nearest points by distance transform need one.
"""

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt, generate_binary_structure

from ..errors import refuse
from ..types import Targets
from .points import pixels

# Pixels at 0.25 um per pixel (40x), as in the paper.
MARK_PX = 2.0  # around a point: surely nucleus
_CROSS = generate_binary_structure(2, 1)


def cells(points, shape):
    """Number the pixels by the nearest point.

    Parameters
    ----------
    points : float array, shape (N, 2)
        At least one. A point counts at the middle of its pixel.
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    int32 array, shape (H, W)
        1..N. Who owns a pixel between two points depends on where they lie, and not on their order. Of several points
        in one pixel the first owns it, and the others own nothing.

    Raises
    ------
    InputError
        If there is no point, or one outside of the image.

    Examples
    --------
    >>> cells([[0, 1], [0, 5]], (1, 7)).tolist()
    [[1, 1, 1, 1, 2, 2, 2]]
    """
    rows, cols = nearest(points, shape)[1]
    places = pixels(points, shape)
    number = np.zeros(shape, np.int32)
    number[tuple(places[::-1].T)] = np.arange(len(places), 0, -1)  # backwards: the first one stays
    return number[rows, cols]


def nearest(points, shape):
    """Distance of every pixel to the nearest point, float64 (H, W), and that point's pixel, int32 (2, H, W).

    Examples
    --------
    >>> nearest([[0, 1]], (1, 3))[0].tolist()
    [[1.0, 0.0, 1.0]]
    """
    places = pixels(points, shape)
    if len(places) == 0:
        refuse("cells need points", expected="one point or more", received="none",
               remedy="leave images without points out")  # fmt: skip
    away = np.ones(shape, bool)
    away[tuple(places.T)] = False
    return distance_transform_edt(away, return_indices=True)


def edges(rows, cols):
    """Where cells meet: pixels with a neighbour outside of their cell, and the gaps of one pixel between such lines.

    Lines are two pixels wide, or one where it is as far to both points; such a pixel belongs to both cells.

    Parameters
    ----------
    rows, cols : int array, shape (H, W)
        Pixel of each pixel's nearest point, from `nearest`.

    Returns
    -------
    bool array, shape (H, W)
        The end of the image is no edge.

    Examples
    --------
    >>> edges(*nearest([[0, 0], [0, 3]], (1, 4))[1]).tolist()
    [[False, True, True, False]]
    >>> edges(*nearest([[0, 0], [0, 4]], (1, 5))[1]).tolist()
    [[False, False, True, False, False]]
    """
    lines = np.zeros(rows.shape, bool)
    r, c = np.indices(rows.shape, np.int64, sparse=True)
    away = (r - rows) ** 2 + (c - cols) ** 2  # (H, W), squared and whole: ties are ties
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        # The neighbour is outside of a pixel's cell if it has a nearer point than that cell's.
        across = (r + down - rows) ** 2 + (c + right - cols) ** 2
        here, there = _with_neighbour(down, right), _with_neighbour(-down, -right)
        lines[here] |= across[here] > away[there]
    return binary_closing(np.pad(lines, 1), _CROSS)[1:-1, 1:-1]


def _with_neighbour(down, right):
    """The pixels that have a neighbour in this direction."""
    return tuple(slice(max(-step, 0), -step if step > 0 else None) for step in (down, right))


def voronoi_label(points, shape, *, scale=1.0):
    """Turn points into a coarse label: nucleus around each, background where cells meet, and unknown elsewhere.

    Parameters
    ----------
    points : float array, shape (N, 2)
        At least one.
    shape : (int, int)
        Height and width of the image.
    scale : float
        Factor on lengths, which are those of 0.25 um per pixel: 0.25 / mpp of the image.

    Returns
    -------
    Targets
        `target` float32 (H, W), 1 nucleus and 0 background; `weight` float32 (H, W), 0 where unknown.

    Raises
    ------
    InputError
        If there is no point, one outside of the image, or `scale` is not positive.

    Notes
    -----
    Lines are two pixels wide at every scale. Of the line pixels on Kumar's 12 training images, with a point on every
    nucleus, 6.9 % lie on nuclei (tests/labels/test_labels_voronoi.py).

    References
    ----------
    .. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020.

    Examples
    --------
    >>> target, weight = voronoi_label([[0, 2], [0, 12]], (1, 15))
    >>> target[0].astype(int).tolist()
    [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> weight[0].astype(int).tolist()
    [1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1]
    """
    if not scale > 0:
        refuse("`scale` must be positive", expected="0.25 / mpp", received=scale,
               remedy="leave it out at 0.25 um per pixel")  # fmt: skip
    distance, (rows, cols) = nearest(points, shape)
    marked = distance <= MARK_PX * scale
    return Targets(marked.astype(np.float32), (marked | edges(rows, cols)).astype(np.float32))
