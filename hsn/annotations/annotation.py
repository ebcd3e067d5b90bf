"""Annotation of one image: tags, points, objects, scribbles, boxes and regions.

Positions are (row, col) in pixels of the image; the center of the first pixel is (0, 0).
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from skimage.draw import line

from ..instances import renumber
from .polygons import check_covered, fill_ring

KINDS = ("masks", "scribbles", "points", "boxes", "tags")  # the most precise first
_OBJECT = re.compile(
    r"nucle(us|i|ar)|\bcells?\b|gland|\bobjects?\b|lymphocyte|mitos[ie]s|mitotic", re.IGNORECASE
)
_BACKGROUND = re.compile(r"(background|other|none|rest)\*?$", re.IGNORECASE)


class Shape(NamedTuple):
    """A polygon or a stroke with its class.

    Attributes
    ----------
    rings : tuple of float64 arrays (n, 2)
        Outline, then holes. A stroke has one line.
    label : str or None
        Class name.
    closed : bool
        False for a stroke. Default: True.
    feature : str or None
        Id in the file, for messages.
    """

    rings: tuple[np.ndarray, ...]
    label: str | None = None
    closed: bool = True
    feature: str | None = None


class Tag(NamedTuple):
    """A class that is present in an image or absent from it.

    Attributes
    ----------
    name : str
    present : bool
    box : (row, col, row, col) or None
        First and last corner of the tagged rectangle; None: the whole image.
    feature : str or None
        Id in the file, for messages.
    """

    name: str
    present: bool
    box: tuple[float, float, float, float] | None = None
    feature: str | None = None


class Point(NamedTuple):
    """A click on an object: row, column and class."""

    row: float
    col: float
    label: str | None = None


@dataclass(frozen=True, eq=False)
class Annotation:
    """Annotation of one image; everything is optional.

    Attributes
    ----------
    tags : tuple of Tag
    points : tuple of Point
        Centers of objects. Inside of complete regions all objects are clicked or outlined.
    objects : int array (H, W), path of a mask file, or tuple of Shape
        Exact outlines of objects.
    scribbles : tuple of Shape
        Polygons and strokes of a tissue class, of objects, or of background.
    boxes : tuple of Shape
        Rectangles around objects.
    complete_region : tuple of Shape, or None
        Regions in which all objects are annotated. None: the whole image for label images, nothing for polygons.
    ignore : tuple of Shape
        Regions that are not used.
    group : str or None
        Patient or slide: images of one group are never divided between training and validation.
    mpp : float or None
        Micrometers per pixel of the image. None: that of all images.

    Examples
    --------
    >>> kinds_of(Annotation(points=(Point(3, 4),), tags=(Tag("gland", True),)))
    ('points', 'tags')
    """

    tags: tuple[Tag, ...] = ()
    points: tuple[Point, ...] = ()
    objects: np.ndarray | Path | tuple[Shape, ...] = ()
    scribbles: tuple[Shape, ...] = ()
    boxes: tuple[Shape, ...] = ()
    complete_region: tuple[Shape, ...] | None = None
    ignore: tuple[Shape, ...] = ()
    group: str | None = None
    mpp: float | None = None


def kinds_of(annotation: Annotation) -> tuple[str, ...]:
    """Return the kinds of annotation of an image, in the order of `KINDS`; none for an image without annotation."""
    outlined = not isinstance(annotation.objects, tuple) or len(annotation.objects) > 0
    given = (outlined, annotation.scribbles, annotation.points, annotation.boxes, annotation.tags)
    return tuple(kind for kind, value in zip(KINDS, given, strict=True) if value)


def without(annotation: Annotation, kinds: tuple[str, ...]) -> Annotation:
    """Return an annotation without some kinds.

    Examples
    --------
    >>> without(Annotation(points=(Point(3, 4),)), ("points",)).points
    ()
    """
    fields = {"masks": "objects"}
    values = {name: getattr(annotation, name) for name in annotation.__dataclass_fields__}
    return Annotation(**values | {fields.get(kind, kind): () for kind in kinds})


def is_object_class(name: str | None) -> bool:
    """Return whether a class name is that of objects, such as nuclei or glands; a polygon without a class is one.

    Examples
    --------
    >>> is_object_class("Nucleus"), is_object_class("Stroma"), is_object_class(None)
    (True, False, True)
    """
    return name is None or _OBJECT.search(name) is not None


def is_background_class(name: str | None) -> bool:
    """Return whether a class name is that of background.

    Examples
    --------
    >>> is_background_class("Background"), is_background_class("Stroma")
    (True, False)
    """
    return name is not None and _BACKGROUND.match(name) is not None


def fill(shapes: tuple[Shape, ...], shape: tuple[int, int], *, factor: tuple[float, float] = (1.0, 1.0),
         width_px: float = 1.0) -> np.ndarray:  # fmt: skip
    """Return the pixels of polygons and strokes, bool (H, W).

    Parameters
    ----------
    shapes : tuple of Shape
    shape : (int, int)
        Height and width of the result.
    factor : (float, float)
        Height and width of the result, divided by those of the image. Default: 1.
    width_px : float
        Width of strokes in pixels of the result. Default: 1.

    Examples
    --------
    >>> square = Shape((np.array([[0, 0], [0, 2], [1, 2], [1, 0]]),))
    >>> fill((square,), (2, 4)).astype(int).tolist()
    [[1, 1, 1, 0], [1, 1, 1, 0]]
    """
    mask, covered = np.zeros(shape, bool), 0
    for drawn in shapes:
        box, pixels = _fill_one(drawn, shape, np.asarray(factor), width_px)
        covered += pixels.size
        check_covered(covered, shape, "the annotation")
        mask[box] |= pixels
    return mask


def number_objects(shapes: tuple[Shape, ...], shape: tuple[int, int], *,
                   factor: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:  # fmt: skip
    """Return the instances of outlined objects, int32 (H, W): 0 background, 1..n; later outlines overwrite.

    Parameters are those of `fill`.

    Examples
    --------
    >>> squares = [np.array([[0, c], [0, c + 1], [1, c + 1], [1, c]]) for c in (0, 3)]
    >>> number_objects(tuple(Shape((square,)) for square in squares), (1, 5)).tolist()
    [[1, 1, 0, 2, 2]]
    """
    numbers, covered = np.zeros(shape, np.int32), 0
    for number, drawn in enumerate(shapes, 1):
        box, pixels = _fill_one(drawn, shape, np.asarray(factor), 1.0)
        covered += pixels.size
        check_covered(covered, shape, "the annotation")
        numbers[box][pixels] = number
    return renumber(numbers)[0]


def _fill_one(
    drawn: Shape, shape: tuple[int, int], factor: np.ndarray, width_px: float
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the box around a shape, as slices of the image, and the pixels of the shape in it."""
    rings = [(np.asarray(ring, float) + 0.5) * factor - 0.5 for ring in drawn.rings]
    margin = 1 if drawn.closed else int(width_px) + 1
    start = np.clip(np.floor(rings[0].min(axis=0)).astype(int) - margin, 0, shape)
    end = np.clip(np.ceil(rings[0].max(axis=0)).astype(int) + margin + 1, start, shape)
    box = slice(int(start[0]), int(end[0])), slice(int(start[1]), int(end[1]))
    size = (int(end[0] - start[0]), int(end[1] - start[1]))
    rings = [ring - start for ring in rings]
    if not drawn.closed:
        return box, _draw_stroke(rings[0], size, width_px)
    mask = np.zeros(size, bool)
    for ring in rings:  # even-odd: a hole removes what the outline added
        mask[fill_ring(ring, size)] ^= True
    return box, mask


def _draw_stroke(points: np.ndarray, shape: tuple[int, int], width_px: float) -> np.ndarray:
    """Return the pixels nearer than half the width to a line through points."""
    mask = np.zeros(shape, bool)
    ends = np.round(points).astype(int)
    radius = max(width_px / 2, 0.5)
    margin = int(radius) + 1
    steps = np.arange(-int(radius), int(radius) + 1)
    offsets = [(a, b) for a in steps for b in steps if a * a + b * b <= radius * radius]
    around = (-margin, -margin, shape[1] + 2 * margin, shape[0] + 2 * margin)  # left, top, width, height
    for start, end in pairwise(ends.tolist()):
        visible, first, last = cv2.clipLine(around, start[::-1], end[::-1])
        if not visible:
            continue
        rows, cols = line(*first[::-1], *last[::-1])
        for down, right in offsets:
            r, c = rows + down, cols + right
            inside = (r >= 0) & (c >= 0) & (r < shape[0]) & (c < shape[1])
            mask[r[inside], c[inside]] = True
    return mask
