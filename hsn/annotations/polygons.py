"""Polygons: fill outlines to instances.

A pixel belongs to an outline if its center does, by the even-odd rule; the center of the first pixel is (0, 0). This
rule reproduces MoNuSeg's published label images (Kumar et al., IEEE TMI 2017) exactly for the four files tested.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from skimage.draw import polygon

from ..errors import InputError
from ..instances import renumber

_MAX_COORDINATE_PX = 1e7  # larger than any slide


class Outline(NamedTuple):
    """A closed outline of an instance, or of a hole in the instances before it.

    Attributes
    ----------
    points : float64 (n, 2)
        Corners as (row, col) in pixels; the last is connected to the first.
    hole : bool
        Whether the outline removes pixels. Default: False.
    """

    points: np.ndarray
    hole: bool = False


def fill_outlines(outlines: Iterable[Outline], shape: tuple[int, int]) -> np.ndarray:
    """Fill outlines to instances.

    Parameters
    ----------
    outlines : iterable of Outline
        In drawing order: later outlines overwrite earlier ones. An outline without visible pixels gives no instance.
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in drawing order, without gaps.

    Raises
    ------
    InputError
        "outline-coordinates" if a coordinate is not finite or above 1e7 pixels.

    Examples
    --------
    >>> square = Outline(np.array([[0, 0], [0, 2], [2, 2], [2, 0]]))
    >>> dot = Outline(np.array([[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]), hole=True)
    >>> fill_outlines([square, dot], (3, 4)).tolist()
    [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]
    """
    instances = np.zeros(shape, np.int64)
    for number, outline in enumerate(outlines, 1):
        points = np.asarray(outline.points, float).reshape(-1, 2)
        valid = (np.abs(points) <= _MAX_COORDINATE_PX).all(axis=1)  # False for NaN
        if not valid.all():
            raise InputError(
                "outline-coordinates",
                f"coordinates of outline {number} must be finite and within {_MAX_COORDINATE_PX:g} pixels",
                got=points[~valid][0].tolist(),
                hint="export the annotation again, in pixels",
            )
        if len(points) > 2:
            instances[polygon(points[:, 0], points[:, 1], shape)] = 0 if outline.hole else number
    return renumber(instances)[0]
