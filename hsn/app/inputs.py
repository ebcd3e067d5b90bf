"""Write what `hsn fit` takes: a study of crops around the annotations, with the annotations as they are now."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import csv_text
from ..images.read import write
from ..projects.study import ANNOTATIONS, StudyImage, new_study, write_images
from .annotations import Annotations
from .features import SPECIAL, bounds_of, class_of
from .project import SPLITS, Project
from .tiles import read_box

CROP_PX = 1024  # of the written images
MARGIN_PX = 128  # around the cell of a grid, so that marks at its border have surroundings


@dataclass(frozen=True)
class Input:
    """A written study.

    Attributes
    ----------
    folder : pathlib.Path
    images : int
    checked : int
        Number of crops of check images.
    """

    folder: Path
    images: int
    checked: int


def write_input(project: Project, annotations: Annotations, folder: Path, mpp: float) -> Input:
    """Write the annotated parts of all images as a study.

    Parameters
    ----------
    project : Project
    annotations : Annotations
    folder : path
        A new folder.
    mpp : float
        Micrometers per pixel at which the net is trained. Finer images stay as they are, up to this scale.

    Returns
    -------
    Input
    """
    kinds = {kind.name: kind.kind for kind in project.study.classes}
    colors = [kind.color for kind in project.study.classes]
    study = new_study(folder, classes=kinds, annotator=project.user, colors=colors)
    rows: list[StudyImage] = []
    tags: dict[str, dict[str, int]] = {}
    for image, picture in project.images.items():
        features, own_tags = annotations.features(image), annotations.tags(image)
        scale = project.mpp(image)
        if picture.role == "test" or scale is None or not (features or own_tags):
            continue
        size, factor = project.size(image), max(1.0, mpp / scale)
        crops = crops_of(features, size, factor)
        whole = crops == [(0, 0, *size)]
        for number, box in enumerate(crops if features else [(0, 0, *size)] * _is_small(size, factor)):
            name = image if whole else f"{image}-{number + 1}"
            path = folder / "images" / f"{name}.png"
            left, top, right, bottom = box
            shape = (math.ceil((right - left) / factor), math.ceil((bottom - top) / factor))
            write(path, read_box(project.slide(image), left, top, *shape, factor))
            moved = [f for feature in features for f in _move(feature, box, factor, scale, kinds)]
            text = json.dumps({"type": "FeatureCollection", "features": moved}, ensure_ascii=False)
            (folder / ANNOTATIONS / f"{name}.geojson").write_text(text, encoding="utf-8")
            rows.append(StudyImage(path.resolve(), scale * factor, image, SPLITS[picture.role]))
            if own_tags and (whole or not features):
                tags[path.name] = own_tags
    write_images(study, rows)
    _write_tags(folder, list(kinds), tags)
    return Input(folder, len(rows), sum(row.split == "val" for row in rows))


def crops_of(
    features: list[dict[str, Any]], size: tuple[int, int], factor: float
) -> list[tuple[int, int, int, int]]:
    """Return the boxes (left, top, right, bottom) of an image that hold its annotations, in pixels of level 0.

    Parameters
    ----------
    features : list of dict
    size : (int, int)
        Width and height of the image.
    factor : float
        Pixels of level 0 per pixel of the crops.

    Examples
    --------
    >>> click = {"geometry": {"type": "Point", "coordinates": [5000.0, 9.0]}}
    >>> crops_of([click], (9000, 9000), 1.0), crops_of([click], (6000, 900), 8.0)
    ([(3968, 0, 5248, 1152)], [(0, 0, 6000, 900)])
    """
    if not features:
        return []
    if _is_small(size, factor):
        return [(0, 0, *size)]
    cell, margin = CROP_PX * factor, MARGIN_PX * factor
    cells = set()
    for feature in features:
        left, top, right, bottom = bounds_of(feature)
        for row in range(int(top // cell), int(bottom // cell) + 1):
            for col in range(int(left // cell), int(right // cell) + 1):
                cells.add((row, col))
    boxes = []
    for row, col in sorted(cells):
        x, y = col * cell, row * cell
        ends = (min(size[0], x + cell + margin), min(size[1], y + cell + margin))
        boxes.append((int(max(0, x - margin)), int(max(0, y - margin)), int(ends[0]), int(ends[1])))
    return boxes


def _is_small(size: tuple[int, int], factor: float) -> bool:
    """Return whether an image is written as a whole."""
    return max(size) <= 2 * CROP_PX * factor


def _move(
    feature: dict[str, Any], box: tuple[int, int, int, int], factor: float, mpp: float, kinds: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the parts of a feature in a crop, in pixels of the crop.

    Strokes of tissues and of background become polygons of their width. A stroke of objects stays a line, because a
    polygon would be the outline of one object.
    """
    import shapely

    shape = shapely.geometry.shape(feature["geometry"])
    name, kind = class_of(feature), feature["geometry"]["type"]
    if kind == "LineString" and kinds.get(name) != "object":
        shape = shape.buffer(feature["properties"]["hsn"]["width_um"] / mpp / 2)
    if kind == "Polygon" and not shape.is_valid:
        shape = shapely.make_valid(shape)
    left, top, right, bottom = box
    inside = shape.intersection(shapely.box(left, top, right, bottom))
    whole = inside.equals(shape)
    for part in getattr(inside, "geoms", [inside]):
        if part.is_empty or part.geom_type not in ("Point", "LineString", "Polygon"):
            continue
        if part.geom_type == "Polygon" and not whole and name not in SPECIAL and part.area < 4:
            continue  # a sliver at the border of the crop
        moved = shapely.transform(part, lambda pairs: np.round((pairs - (left, top)) / factor, 3))
        geometry = json.loads(shapely.to_geojson(moved))
        yield {**feature, "geometry": geometry}


def _write_tags(folder: Path, names: list[str], tags: dict[str, dict[str, int]]) -> None:
    if not tags:
        return
    with (folder / "tags.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", *map(csv_text, names)])
        for name, own in sorted(tags.items()):
            table.writerow([csv_text(name), *(own.get(kind, "") for kind in names)])
