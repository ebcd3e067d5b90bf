"""Polygons: outlines drawn by hand, filled to instances.

A pixel belongs to an outline if its centre does, by the even-odd rule; the centre of pixel (0, 0) is (0, 0). With
this rule the four original annotations of the MoNuSeg data that were tried give the published label images to
the pixel (Kumar et al., IEEE TMI 2017).
"""

from typing import NamedTuple

import numpy as np
from skimage.draw import polygon

from ..errors import refuse
from ..instances import renumber

# Beyond any slide, in pixels; what is farther out is no coordinate.
_FARTHEST_PX = 1e7


class Outline(NamedTuple):
    """A closed line around an object, or around a hole in the objects beneath.

    Attributes
    ----------
    points : float64 (n, 2)
        Corners as (row, col), in pixels; the last is joined to the first.
    hole : bool
        Whether it takes pixels away.
    """

    points: np.ndarray
    hole: bool = False


def fill(outlines, shape):
    """Fill outlines to instances.

    Parameters
    ----------
    outlines : iterable of Outline
        In the order of drawing. Where two overlap, the later one has the pixels. An outline that encloses no
        pixel of the image, or of which nothing stays visible, gives no object.
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in the order of drawing, without gaps.

    Raises
    ------
    InputError
        If a coordinate is not finite or lies beyond any slide.

    Examples
    --------
    >>> square = Outline(np.array([[0, 0], [0, 2], [2, 2], [2, 0]]))
    >>> dot = Outline(np.array([[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]), hole=True)
    >>> fill([square, dot], (3, 4)).tolist()
    [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]
    """
    instances = np.zeros(shape, np.int64)
    for number, outline in enumerate(outlines, 1):
        points = np.asarray(outline.points, float).reshape(-1, 2)
        if not (np.abs(points) <= _FARTHEST_PX).all():  # written so that NaN fails too
            refuse(f"Outline {number} leaves every slide", expected=f"coordinates within {_FARTHEST_PX:g} pixels",
                   received=points[~(np.abs(points) <= _FARTHEST_PX).all(axis=1)][0].tolist(),
                   remedy="export the annotation again, in pixels")  # fmt: skip
        if len(points) > 2:
            instances[polygon(*points.T, shape)] = 0 if outline.hole else number
    return renumber(instances)[0]
