"""Cut the annotated regions of slides into images, to train on them.

An annotator marks regions of a slide in QuPath with polygons of a class `Region*`, and annotates everything inside of
them. Each region becomes an image at the scale of the training, with its own GeoJSON beside it. Regions of more than 16
million pixels become several images.
"""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import shapely

from ..annotations import qupath
from ..annotations.annotation import Annotation, Point, Shape
from ..errors import InputError
from ..files import walk_files
from ..images.read import write
from ..images.slide import Slide, is_slide, open_slide
from ..limits import REGION_PIXELS
from ..objects.regions import Box
from ..progress import Progress, track

OUTLINES = ".geojson"  # beside a slide
_SIDE_PX = int(REGION_PIXELS**0.5)  # of the largest image


def find_annotated_slides(folder: str | os.PathLike) -> list[Path]:
    """Return the slides in a folder with a GeoJSON file of the same name beside them.

    Examples
    --------
    >>> import tempfile
    >>> find_annotated_slides(tempfile.mkdtemp())
    []
    """
    files = walk_files(Path(folder))
    return [path for path in files if path.with_suffix(OUTLINES) in files and is_slide(path)]


def cut_regions(
    slides: list[Path], out: str | os.PathLike, *, mpp: float, progress: Progress | None = None
) -> list[Path]:
    """Write the annotated regions of slides as images and GeoJSON files.

    Parameters
    ----------
    slides : list of path
        Each with a GeoJSON file of the same name beside it; positions are of level 0, as QuPath writes them.
    out : path
        Folder for ``NAME_region1.png`` and ``NAME_region1.geojson``.
    mpp : float
        Micrometers per pixel of the images.
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.

    Returns
    -------
    list of pathlib.Path
        The images.

    Raises
    ------
    InputError
        "regions-missing" if a slide has no region, or the code of an invalid slide or GeoJSON file.
    """
    images = []
    for path in track(slides, progress, "cutting regions"):
        slide, annotation = open_slide(path), qupath.read(path.with_suffix(OUTLINES))
        boxes = list(_boxes(slide, annotation, mpp))
        if not boxes:
            raise InputError(
                "regions-missing", f"{path.with_suffix(OUTLINES)} must have a polygon of a class Region*",
                got="none inside of the slide", hint="draw a region in QuPath, and annotate everything in it",
            )  # fmt: skip
        for number, box in enumerate(boxes, 1):
            image = Path(out) / f"{path.stem}_region{number}.png"
            write(image, slide.at(mpp).read(*box))
            qupath.write(image.with_suffix(OUTLINES), _cut(annotation, box, slide.mpp / mpp))
            images.append(image)
    return images


def _boxes(slide: Slide, annotation: Annotation, mpp: float) -> Iterator[Box]:
    """Yield the boxes of the images at their scale: the bounding box of each region, divided if it is large."""
    shape = slide.at(mpp).shape
    for region in annotation.complete_region or ():
        corners = (region.rings[0] + 0.5) * (slide.mpp / mpp)
        low = np.clip(np.floor(corners.min(axis=0)), 0, shape[:2]).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)), 0, shape[:2]).astype(int)
        counts = -(-(high - low) // _SIDE_PX)
        for place in product(*map(range, counts.tolist())):
            start = low + (high - low) * np.array(place) // counts
            end = low + (high - low) * (np.array(place) + 1) // counts
            if (end > start).all():
                yield Box(*start.tolist(), *(end - start).tolist())


def _cut(annotation: Annotation, box: Box, scale: float) -> Annotation:
    """Return the annotation of a box, in its pixels; shapes are cut at its borders."""
    corner = np.array(box[:2])

    def place(points: np.ndarray) -> np.ndarray:
        return (points + 0.5) * scale - 0.5 - corner

    points = []
    for point in annotation.points:
        row, col = place(np.array(point[:2])).tolist()
        if -0.5 < row < box.height - 0.5 and -0.5 < col < box.width - 0.5:
            points.append(Point(row, col, point.label))
    frame = shapely.box(-0.5, -0.5, box.height - 0.5, box.width - 0.5)

    def shapes(given: tuple[Shape, ...]) -> tuple[Shape, ...]:
        return tuple(
            part for shape in given for part in _clip(shape, [place(ring) for ring in shape.rings], frame)
        )

    objects = annotation.objects if isinstance(annotation.objects, tuple) else ()
    return Annotation(
        points=tuple(points),
        objects=shapes(objects),
        scribbles=shapes(annotation.scribbles),
        boxes=shapes(annotation.boxes),
        complete_region=shapes(annotation.complete_region or ()) or None,
        ignore=shapes(annotation.ignore),
    )


def _clip(shape: Shape, rings: list[np.ndarray], frame: shapely.Polygon) -> Iterator[Shape]:
    """Yield the parts of a shape inside of a frame."""
    polygon, line = shape.closed, shapely.LineString(rings[0])
    whole = shapely.make_valid(shapely.Polygon(rings[0], rings[1:])) if polygon else line
    for part in shapely.get_parts(shapely.intersection(whole, frame)):
        if part.is_empty:
            continue
        if polygon and part.geom_type == "Polygon":
            lines = [part.exterior, *part.interiors]
        elif not polygon and part.geom_type == "LineString":
            lines = [part]
        else:
            continue
        yield shape._replace(rings=tuple(np.asarray(line.coords, float) for line in lines))
