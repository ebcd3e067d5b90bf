"""Read and write everything that an annotator drew on one image in QuPath, as GeoJSON.

| feature | meaning |
|---|---|
| Point, MultiPoint | centers of objects |
| Polygon, MultiPolygon of a class of objects, or without a class | outlines of objects |
| rectangle of a class of objects | a box around an object |
| Polygon or LineString of a tissue class, of "Object" strokes, or of "Background" | scribbles |
| Polygon of a class "Region*" | region in which all objects are annotated |
| Polygon of a class "Ignore*" | region that is not used |
| Polygon named "tags: A, not B" | tags of its rectangle |

The center of the first pixel is (0.5, 0.5) in QuPath and (0, 0) in hsn.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError
from ..files import atomic_write, check_file
from ..geojson import annotation as feature_of
from ..geojson import collection
from ..limits import COORDINATE_PX, GEOJSON_DEPTH, POINTS_BYTES
from .annotation import Annotation, Point, Shape, Tag, is_background_class, is_object_class
from .geojson import REGION, class_name

IGNORE, TAGS = "Ignore", "tags:"
_HALF_PX = 0.5
_SHOWN = 80  # characters of a value in a message


def read(path: Path | str, *, is_object: Callable[[str | None], bool] = is_object_class) -> Annotation:
    """Read a GeoJSON file; parameters, result and errors as for `parse`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.geojson"
    >>> write(path, Annotation(points=(Point(1, 5, "Nucleus"),)))
    >>> read(path).points
    (Point(row=1.0, col=5.0, label='Nucleus'),)
    """
    path = check_file(path, max_bytes=POINTS_BYTES)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        _fail(
            "file-unreadable",
            f"{path} must be a text file in UTF-8",
            getattr(error, "strerror", None) or error,
        )
    return parse(text, path, is_object=is_object)


def parse(
    text: str, where: Path | str, *, is_object: Callable[[str | None], bool] = is_object_class
) -> Annotation:
    """Parse the annotation of one image.

    Parameters
    ----------
    text : str
    where : path or str
        Name of the file, for messages.
    is_object : callable, optional
        ``class name or None -> bool``: whether polygons of a class are objects. Default: by words such as "nucleus",
        "cell" and "gland".

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        "geojson-malformed", "geojson-depth", "geojson-geometry" or "outline-coordinates".

    Examples
    --------
    >>> square = [[[0, 0], [4, 0], [4, 2], [0, 0]]]
    >>> stroma = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": square},
    ...           "properties": {"classification": {"name": "Stroma"}}}
    >>> parse(json.dumps(stroma), "a.geojson").scribbles[0].label
    'Stroma'
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        _fail("geojson-malformed", f"{where} must be GeoJSON", error)
    found: dict[str, list] = {
        "tags": [], "points": [], "objects": [], "scribbles": [], "boxes": [], "complete_region": [], "ignore": [],
    }  # fmt: skip
    for geometry, properties, feature in _find(data, {}, None, where, 0):
        _sort(geometry, properties, feature, found, is_object, where)
    regions = tuple(found.pop("complete_region")) or None
    given: dict[str, Any] = {name: tuple(values) for name, values in found.items()}
    return Annotation(**given, complete_region=regions)


def _find(data: Any, properties: dict, feature: str | None, where: Path | str, depth: int) -> Iterator[tuple]:
    """Yield simple geometries with the properties and the id of their feature."""
    if depth > GEOJSON_DEPTH:
        _fail("geojson-depth", f"{where} must nest at most {GEOJSON_DEPTH} collections", "more")
    kind = data.get("type") if isinstance(data, dict) else None
    if isinstance(data, list):
        members = data
    elif kind in ("FeatureCollection", "GeometryCollection"):
        members = _as_list(data.get("features" if kind == "FeatureCollection" else "geometries"), where)
    elif kind == "Feature":
        members = [data.get("geometry")]
        properties = data["properties"] if isinstance(data.get("properties"), dict) else {}
        feature = str(data["id"]) if isinstance(data.get("id"), str | int) else feature
    elif kind in ("MultiPoint", "MultiLineString", "MultiPolygon"):
        parts = _as_list(data.get("coordinates"), where)
        members = [{"type": kind.removeprefix("Multi"), "coordinates": part} for part in parts]
    elif kind in ("Point", "LineString", "Polygon"):
        yield data, properties, feature
        return
    else:
        _fail(
            "geojson-geometry",
            f"geometries in {where} must be points, lines or polygons",
            repr(kind)[:_SHOWN],
        )
    for member in members:
        yield from _find(member, properties, feature, where, depth + 1)


def _sort(geometry: dict, properties: dict, feature: str | None, found: dict[str, list], is_object: Callable,
          where: Path | str) -> None:  # fmt: skip
    """Add a geometry to the field of its meaning."""
    label, name = class_name(properties), _name(properties)
    kind, coordinates = geometry["type"], geometry.get("coordinates")
    if kind == "Point":
        row, col = _positions([coordinates], where, 1)[0].tolist()
        found["points"].append(Point(row, col, label))
        return
    if kind == "LineString":
        found["scribbles"].append(Shape((_positions(coordinates, where, 2),), label, False, feature))
        return
    rings = tuple(_positions(ring, where, 3) for ring in _as_list(coordinates, where))
    if not rings:
        _fail("outline-coordinates", f"a polygon in {where} must have an outline", "none")
    shape = Shape(rings, label, True, feature)
    if name.lower().startswith(TAGS):
        found["tags"] += _tags(name, rings[0], feature)
    elif (label or "").startswith(REGION):
        found["complete_region"].append(shape)
    elif (label or "").startswith(IGNORE):
        found["ignore"].append(shape)
    elif is_background_class(label) or not is_object(label):
        found["scribbles"].append(shape)
    else:
        found["boxes" if _is_rectangle(rings) else "objects"].append(shape)


def _name(properties: dict) -> str:
    """Return the name of a feature, or the entry `tags` of its metadata as a name."""
    metadata = properties.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    name = f"{TAGS} {tags}" if isinstance(tags, str) else properties.get("name")
    return name.strip() if isinstance(name, str) else ""


def _tags(name: str, outline: np.ndarray, feature: str | None) -> Iterator[Tag]:
    """Yield the tags of a name such as "tags: tumor, not stroma"."""
    (top, left), (bottom, right) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
    for part in name[len(TAGS) :].split(","):
        word = part.strip()
        absent = word.lower().startswith("not ")
        if word:
            yield Tag(word[4:].strip() if absent else word, not absent, (top, left, bottom, right), feature)


def _is_rectangle(rings: tuple[np.ndarray, ...]) -> bool:
    """Return whether a polygon is a rectangle with horizontal and vertical sides."""
    corners = np.unique(rings[0], axis=0)
    sides = [len(np.unique(corners[:, axis])) for axis in (0, 1)]
    return len(rings) == 1 and len(corners) == 4 and len(rings[0]) in (4, 5) and sides == [2, 2]


def _positions(pairs: Any, where: Path | str, least: int) -> np.ndarray:
    """Return (row, col) of coordinates (x, y), float64 (n, 2)."""
    numbers = [pair[:2] if isinstance(pair, list) else [] for pair in _as_list(pairs, where)]
    plain = all(len(pair) == 2 and all(type(v) in (int, float) for v in pair) for pair in numbers)
    if not plain or len(numbers) < least or not (np.abs(numbers) <= COORDINATE_PX).all():
        _fail("outline-coordinates", f"annotations in {where} must have {least} or more pairs of numbers x and y",
              repr(pairs)[:_SHOWN])  # fmt: skip
    return np.array(numbers, float)[:, ::-1] - _HALF_PX


def _as_list(value: Any, where: Path | str) -> list:
    if not isinstance(value, list):
        _fail("geojson-malformed", f"{where} must have lists of coordinates", repr(value)[:_SHOWN])
    return value


def _fail(code: str, must: str, got: object) -> NoReturn:
    raise InputError(code, must, got=got, hint="export the annotations again") from None


def write(path: Path | str, annotation: Annotation) -> None:
    """Write an annotation as GeoJSON that QuPath imports.

    Label images, and tags of the whole image, are not part of the file.

    Parameters
    ----------
    path : path
    annotation : Annotation
    """
    with atomic_write(path) as temporary:
        temporary.write_text(compose(annotation), encoding="utf-8")


def compose(annotation: Annotation) -> str:
    """Return the text of `write`.

    Examples
    --------
    >>> parse(compose(Annotation(tags=(Tag("fat", False, (0, 0, 9, 9)),))), "here").tags[0].present
    False
    """
    features = []
    labels = dict.fromkeys(point.label for point in annotation.points)
    for label in labels:
        pairs = [[p.col + _HALF_PX, p.row + _HALF_PX] for p in annotation.points if p.label == label]
        features.append(feature_of("MultiPoint", pairs, label=label))
    outlines = annotation.objects if isinstance(annotation.objects, tuple) else ()
    for shape in (*outlines, *annotation.boxes, *annotation.scribbles):
        features.append(_feature(shape, shape.label))
    features += [_feature(shape, f"{REGION}*") for shape in annotation.complete_region or ()]
    features += [_feature(shape, f"{IGNORE}*") for shape in annotation.ignore]
    for box in dict.fromkeys(tag.box for tag in annotation.tags if tag.box is not None):
        words = [f"{'' if t.present else 'not '}{t.name}" for t in annotation.tags if t.box == box]
        top, left, bottom, right = box
        corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
        features.append(_feature(Shape((corners,)), None, name=f"{TAGS} {', '.join(words)}"))
    return collection(features)


def _feature(shape: Shape, label: str | None, **properties: Any) -> dict:
    lines = [[[col + _HALF_PX, row + _HALF_PX] for row, col in ring.tolist()] for ring in shape.rings]
    if not shape.closed:
        return feature_of("LineString", lines[0], label=label, **properties)
    rings = [[*pairs, pairs[0]] if pairs[0] != pairs[-1] else pairs for pairs in lines]
    return feature_of("Polygon", rings, label=label, **properties)
