"""Polygons: fill outlines to instances.

A pixel belongs to an outline if its center does, by the even-odd rule; the center of the first pixel is (0, 0). This
rule reproduces MoNuSeg's published label images (Kumar et al., IEEE TMI 2017) exactly for the four files tested.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage.draw import polygon

from ..errors import InputError
from ..instances import renumber
from ..limits import COORDINATE_PX
from ..notes import note
from .scanline import fill_rings

_MAX_COVER = 100  # outlines that lie above each other
_SLOW = 10**8  # corners times pixels from which the fill of scikit-image takes a second
_LARGE_PX = 10**6  # pixels from which it takes 100 MB
_MAX_REGIONS = 100  # of an image; a layer with more rectangles holds objects


class Outline(NamedTuple):
    """A closed outline of an instance, or of a hole in the instances of its layer.

    Attributes
    ----------
    points : float64 (n, 2)
        Corners as (row, col) in pixels; the last is connected to the first.
    hole : bool
        Whether the outline removes pixels. Default: False.
    layer : int
        Number of the layer. Default: 0.
    rings : tuple of float64 arrays (n, 2)
        Further rings of the same instance, by the even-odd rule: its holes and other parts. Default: none.
    """

    points: np.ndarray
    hole: bool = False
    layer: int = 0
    rings: tuple[np.ndarray, ...] = ()


def fill_outlines(
    outlines: Iterable[Outline], shape: tuple[int, int], *, where: Path | str = "outlines"
) -> np.ndarray:
    """Fill outlines to instances.

    Parameters
    ----------
    outlines : iterable of Outline
        In drawing order: later outlines overwrite earlier ones. A hole removes pixels from all outlines of its layer,
        except from outlines inside of the hole; in a layer of holes only, from all outlines of the file.
    shape : (int, int)
        Height and width of the image.
    where : path or str
        Name of the file, for notes.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in drawing order, without gaps. Outlines without visible pixels give no instance: outside of
        the image, hidden by later outlines, or smaller than a pixel. They are counted in a note. Rectangles
        around all other outlines are the annotated region, which is not an instance and has a note too.

    Raises
    ------
    InputError
        "outline-coordinates" if a coordinate is not finite or above 1e7 pixels; "outlines-overlap"; "outline-complex".

    Examples
    --------
    >>> square = Outline(np.array([[0, 0], [0, 2], [2, 2], [2, 0]]))
    >>> dot = Outline(np.array([[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]), hole=True)
    >>> fill_outlines([dot, square], (3, 4)).tolist()
    [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]
    """
    checked = [_checked(outline, number) for number, outline in enumerate(outlines, 1)]
    holes = [outline for outline in checked if outline.hole]
    objects = [outline for outline in checked if not outline.hole]
    regions, layers = _find_regions(objects), {outline.layer for outline in objects}
    instances, outside, covered = np.zeros(shape, np.int64), 0, 0
    for number, outline in enumerate(objects, 1):
        if number - 1 in regions:
            continue
        rows, cols = _pixels_of(outline, shape, where)
        for hole in holes:
            in_layer = hole.layer == outline.layer or hole.layer not in layers
            if in_layer and not _encloses(hole.points, outline.points):
                rows, cols = _without(rows, cols, hole.points, shape)
        outside += len(rows) == 0
        covered += len(rows)
        check_covered(covered, shape, where)
        instances[rows, cols] = number
    numbered, ids = renumber(instances)
    hidden = len(objects) - len(regions) - outside - len(ids)
    for count, sentence in (
        (outside, "outlines are outside of the image or smaller than a pixel"),
        (hidden, "outlines are hidden by later ones and give no object"),
        (len(regions), "rectangles enclose all other outlines and are taken as annotated regions"),
    ):
        if count:
            note(sentence, where, count)
    return numbered


def check_covered(covered: int, shape: tuple[int, int], where: Path | str) -> None:
    """Raise InputError "outlines-overlap" if all outlines together cover the image many times."""
    if covered > _MAX_COVER * max(shape[0] * shape[1], 2**20):
        raise InputError(
            "outlines-overlap",
            f"outlines in {where} must not cover the image more than {_MAX_COVER} times",
            got=f"{covered:,} pixels on {shape[0]:,} x {shape[1]:,}",
            hint="remove outlines that lie above each other",
        )


def _checked(outline: Outline, number: int) -> Outline:
    points = np.asarray(outline.points, float).reshape(-1, 2)
    valid = (np.abs(points) <= COORDINATE_PX).all(axis=1)  # False for NaN
    if not valid.all():
        raise InputError(
            "outline-coordinates",
            f"coordinates of outline {number} must be finite and within {COORDINATE_PX:g} pixels",
            got=points[~valid][0].tolist(),
            hint="export the annotation again, in pixels",
        )
    return outline._replace(points=points)


def _find_regions(objects: list[Outline]) -> set[int]:
    """Return the indices of rectangles that mark the annotated region.

    They are a layer of rectangles that enclose all outlines of the other layers, or one rectangle that encloses all
    other outlines, two or more.
    """
    rectangles = [k for k, outline in enumerate(objects) if is_rectangle(outline.points)]
    by_layer: dict[int, list[int]] = defaultdict(list)
    for k in rectangles:
        by_layer[objects[k].layer].append(k)
    counts = Counter(outline.layer for outline in objects)
    regions: set[int] = set()
    for layer, members in by_layer.items():
        others = [outline for outline in objects if outline.layer != layer]
        if len(members) == counts[layer] and others and len(members) <= _MAX_REGIONS:
            boxes = [objects[k].points for k in members]
            if all(any(_encloses(box, other.points) for box in boxes) for other in others):
                regions.update(members)
    if not regions and rectangles and len(objects) > 2:
        everything = np.concatenate([outline.points for outline in objects])
        corners = np.array([everything.min(axis=0), everything.max(axis=0)])
        regions.update(k for k in rectangles if _encloses(objects[k].points, corners))
    return regions if len(regions) < len(objects) else set()


def is_rectangle(points: np.ndarray) -> bool:
    """Return whether corners (n, 2) are those of an upright rectangle, closed or not.

    Examples
    --------
    >>> is_rectangle(np.array([[0, 0], [0, 3], [2, 3], [2, 0]])), is_rectangle(np.array([[0, 0], [0, 3], [2, 3]]))
    (True, False)
    """
    corners = points.tolist()
    if len(corners) == 5 and corners[0] == corners[-1]:
        corners.pop()
    if len(corners) != 4:
        return False
    (row0, col0), (row1, col1), (row2, col2), (row3, col3) = corners
    if row0 == row2 or col0 == col2:
        return False
    first_along_row = row0 == row1 and col1 == col2 and row2 == row3 and col3 == col0
    return first_along_row or (col0 == col1 and row1 == row2 and col2 == col3 and row3 == row0)


def _encloses(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Return whether the bounding box of `outer` encloses that of `inner`."""
    if not len(outer) or not len(inner):
        return False
    return bool(
        (outer.min(axis=0) <= inner.min(axis=0)).all() and (outer.max(axis=0) >= inner.max(axis=0)).all()
    )


def _pixels_of(outline: Outline, shape: tuple[int, int], where: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of an instance."""
    if outline.rings:
        return fill_rings([outline.points, *outline.rings], shape, where=where)
    return fill_ring(outline.points, shape, where=where)


def fill_ring(
    points: np.ndarray, shape: tuple[int, int], *, where: Path | str = "outlines"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the pixels inside of a ring; large rings are filled row by row.

    Parameters and errors are those of `hsn.annotations.scanline.fill_rings`.

    Examples
    --------
    >>> rows, cols = fill_ring(np.array([[-0.5, -0.5], [-0.5, 1.5], [0.5, 1.5], [0.5, -0.5]]), (3, 4))
    >>> rows.tolist(), cols.tolist()
    ([0, 0], [0, 1])
    """
    if len(points) < 3:
        return np.zeros(0, int), np.zeros(0, int)
    pixels = np.minimum(np.ptp(points, axis=0) + 1, shape).prod()
    if pixels > _LARGE_PX or len(points) * pixels > _SLOW:
        return fill_rings([points], shape, where=where)
    return polygon(points[:, 0], points[:, 1], shape)


def _without(
    rows: np.ndarray, cols: np.ndarray, hole: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Remove the pixels of a hole."""
    removed = np.ravel_multi_index(fill_ring(hole, shape), shape)
    kept = ~np.isin(np.ravel_multi_index((rows, cols), shape), removed)
    return rows[kept], cols[kept]
