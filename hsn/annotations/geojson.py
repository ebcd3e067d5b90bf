"""Read points and outlines of QuPath GeoJSON, and write points.

Point and MultiPoint geometries are read, alone, in a Feature or in a FeatureCollection. The center of the first pixel
is (0.5, 0.5) in QuPath and (0, 0) in hsn. In polygons of a class that begins with "Region", every object has a point.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..errors import InputError
from ..geojson import annotation, collection
from ..limits import GEOJSON_DEPTH
from ..notes import note
from .polygons import Outline

_HALF_PX = 0.5
_MAX_PX = 1e9  # larger than any slide
_MAX_SHOWN = 200  # characters of a value in a message
_AREAS = ("Polygon", "MultiPolygon")
_OUTLINES = (*_AREAS, "LineString", "MultiLineString")
_DETECTIONS = ("detection", "cell", "tile")
REGION = "Region"  # QuPath has the class Region*


class _Geometry(NamedTuple):
    """A geometry without members, its class name, its slice (z, t), and the type of its object."""

    data: dict
    label: str | None
    place: tuple[Any, Any]
    kind: str = ""


def parse(text: str, where: Path | str) -> tuple[list[tuple[float, float]], list[str | None]]:
    """Parse the points of a GeoJSON text.

    Parameters
    ----------
    text : str
    where : path or str
        Name of the file, for messages and notes.

    Returns
    -------
    points : list of (float, float)
        Row and column; the center of the first pixel is (0, 0).
    labels : list of (str or None)
        Class name of each point, None without a class. QuPath's derived classes read "Tumor: Positive".

    Raises
    ------
    InputError
        "geojson-malformed", "geojson-depth", "geojson-geometry", "points-slices" or "point-coordinates".

    Examples
    --------
    >>> parse('{"type": "MultiPoint", "coordinates": [[3.5, 1.5], [8, 2]]}', "clicks.geojson")
    ([(1.0, 3.0), (1.5, 7.5)], [None, None])
    """
    geometries = _read_geometries(text, where)
    clicks = [geometry for geometry in geometries if geometry.data["type"] not in _OUTLINES]
    regions = sum(map(_is_region, geometries))
    outlines = len(geometries) - len(clicks) - regions
    if geometries and not clicks:
        kind = repr(geometries[0].data["type"])
        _fail(
            "geojson-geometry",
            f"geometries in {where} must be Point or MultiPoint",
            kind,
            "export points",
        )
    if regions:
        note(
            "regions of a class Region* are taken as complete: what is not clicked there is background",
            where,
            regions,
        )
    if outlines:
        note(
            "outlines beside clicks are not used; give those in which everything is clicked the class Region*",
            where,
            outlines,
        )
    if len({geometry.place for geometry in clicks}) > 1:
        _fail("points-slices", f"{where} must have the points of one slice", "several", "export one slice")
    points, labels = [], []
    for geometry in clicks:
        pairs = geometry.data.get("coordinates")
        for pair in [pairs] if geometry.data["type"] == "Point" else _as_list(pairs, where):
            points.append(_to_row_col(pair, where))
            labels.append(geometry.label)
    return points, labels


def parse_regions(text: str, where: Path | str) -> list[np.ndarray]:
    """Parse the regions of a GeoJSON text in which every object has a point: polygons of a class Region*.

    Returns
    -------
    list of float64 arrays (n, 2)
        Corners (row, column) of each polygon; holes are ignored.

    Raises
    ------
    InputError
        As `parse`; "region-coordinates" for a polygon without three corners.

    Examples
    --------
    >>> square = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 0]]]}
    >>> region = {"type": "Feature", "geometry": square, "properties": {"classification": {"name": "Region*"}}}
    >>> parse_regions(json.dumps(region), "clicks.geojson")[0].tolist()
    [[-0.5, -0.5], [-0.5, 3.5], [1.5, 3.5], [-0.5, -0.5]]
    """
    corners = []
    for region in filter(_is_region, _read_geometries(text, where)):
        rings = _as_list(region.data.get("coordinates"), where)
        for polygon in [rings] if region.data["type"] == "Polygon" else rings:
            outer = _as_list(polygon[0] if isinstance(polygon, list) and polygon else None, where)
            if len(outer) < 3:
                _fail("region-coordinates", f"a region in {where} must have three corners", len(outer))
            corners.append(np.array([_to_row_col(pair, where) for pair in outer]))
    return corners


def parse_outlines(text: str, where: Path | str) -> list[Outline]:
    """Parse the objects of a GeoJSON text: one for each polygon or multipolygon, with its holes.

    Parameters
    ----------
    text : str
    where : path or str
        Name of the file, for messages and notes.

    Returns
    -------
    list of Outline
        (row, col) relative to the center of the first pixel. A cell of QuPath gives its nucleus. Regions of a class
        Region* are left out, and annotations are, too, if the file has detections or cells (noted).

    Raises
    ------
    InputError
        "geojson-malformed", "geojson-depth", "geojson-geometry", "points-slices" or "point-coordinates".

    Examples
    --------
    >>> square = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]]}
    >>> parse_outlines(json.dumps(square), "nuclei.geojson")[0].points.tolist()
    [[-0.5, -0.5], [-0.5, 1.5], [0.5, 1.5], [0.5, -0.5]]
    """
    areas = [geometry for geometry in _read_geometries(text, where) if geometry.data["type"] in _AREAS]
    found = [geometry for geometry in areas if not _is_region(geometry)]
    detections = [geometry for geometry in found if geometry.kind in _DETECTIONS]
    if 0 < len(detections) < len(found):
        note("annotations beside detections are regions, not objects", where, len(found) - len(detections))
        found = detections
    if len({geometry.place for geometry in found}) > 1:
        _fail("points-slices", f"{where} must have the outlines of one slice", "several", "export one slice")
    outlines = []
    for geometry in found:
        polygons = _as_list(geometry.data.get("coordinates"), where)
        polygons = [polygons] if geometry.data["type"] == "Polygon" else polygons
        rings = [_ring(ring, where) for polygon in polygons for ring in _as_list(polygon, where)]
        if rings:
            outlines.append(Outline(rings[0], rings=tuple(rings[1:])))
    return outlines


def _ring(pairs: Any, where: Path | str) -> np.ndarray:
    """Return the corners of a ring without the repeated last one."""
    points = np.array([_to_row_col(pair, where) for pair in _as_list(pairs, where)], float).reshape(-1, 2)
    return points[:-1] if len(points) > 1 and (points[0] == points[-1]).all() else points


def _shape_of(feature: dict) -> Any:
    """Return the geometry of a feature: of a cell, that of its nucleus."""
    return feature.get("nucleusGeometry") or feature.get("geometry")


def _properties(feature: dict) -> dict:
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _object_type(feature: dict) -> str:
    """Return the type that QuPath gives an object."""
    properties = _properties(feature)
    return str(properties.get("objectType", properties.get("object_type", "")))


def _is_region(geometry: _Geometry) -> bool:
    return geometry.data["type"] in _AREAS and (geometry.label or "").startswith(REGION)


def _read_geometries(text: str, where: Path | str) -> list[_Geometry]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        _fail("geojson-malformed", f"{where} must be GeoJSON", error)
    return list(_find_geometries(data, None, "", where, 0))


def _find_geometries(
    data: Any, label: str | None, object_type: str, where: Path | str, depth: int
) -> Iterator[_Geometry]:
    """Yield the geometries of an object and of its members."""
    kind = data.get("type") if isinstance(data, dict) else None
    if depth > GEOJSON_DEPTH:
        _fail("geojson-depth", f"{where} must nest at most {GEOJSON_DEPTH} collections", "more")
    if isinstance(data, list):  # QuPath's older export: a list of features
        members = data
    elif kind in ("FeatureCollection", "GeometryCollection"):
        members = _as_list(data.get("features" if kind == "FeatureCollection" else "geometries"), where)
    elif kind == "Feature":
        members, label = [_shape_of(data)], class_name(_properties(data))
        object_type = _object_type(data)
    elif kind in ("Point", "MultiPoint", *_OUTLINES):
        plane = data.get("plane")
        place = (str(plane.get("z")), str(plane.get("t"))) if isinstance(plane, dict) else (None, None)
        yield _Geometry(data, label, place, object_type)
        return
    else:
        must = f"geometries in {where} must be Point or MultiPoint"
        _fail("geojson-geometry", must, repr(kind) if kind else "no type")
    for member in members:
        yield from _find_geometries(member, label, object_type, where, depth + 1)


def _as_list(value: Any, where: Path | str) -> list:
    if not isinstance(value, list):
        _fail("geojson-malformed", f"{where} must have a list of geometries or coordinates", repr(value))
    return value


def class_name(properties: dict) -> str | None:
    """Return the class of a QuPath feature: a name, or since QuPath 0.4 a list of the parts of a name.

    Examples
    --------
    >>> class_name({"classification": {"names": ["Tumor", "Positive"]}})
    'Tumor: Positive'
    """
    name = properties.get("classification")
    if isinstance(name, dict):
        name = name.get("name", name.get("names"))
    if isinstance(name, list) and name and all(isinstance(part, str) for part in name):
        name = ": ".join(name)
    return name if isinstance(name, str) else None


def _to_row_col(pair: Any, where: Path | str) -> tuple[float, float]:
    numbers = pair[:2] if isinstance(pair, list) else []
    # JSON has true and false, and text like "12"; Python would take both for numbers.
    plain = len(numbers) == 2 and all(type(number) in (int, float) for number in numbers)
    if not plain or any(abs(number) > _MAX_PX for number in numbers):
        _fail("point-coordinates", f"points in {where} must have numbers x and y", repr(pair)[:_MAX_SHOWN])
    return float(numbers[1]) - _HALF_PX, float(numbers[0]) - _HALF_PX


def _fail(code: str, must: str, got: object, hint: str = "export the points again") -> NoReturn:
    raise InputError(code, must, got=got, hint=hint) from None


def compose(points: Iterable[tuple[float, float]], labels: Iterable[str | None]) -> str:
    """Return the text of a FeatureCollection with one MultiPoint per class.

    Parameters are those of `hsn.annotations.point_tables.compose`.

    Examples
    --------
    >>> parse(compose([(1.0, 3.0)], ["tumor"]), "here")
    ([(1.0, 3.0)], ['tumor'])
    """
    by_class: dict[str | None, list[list[float]]] = {}
    for (row, col), label in zip(points, labels, strict=True):
        by_class.setdefault(label, []).append([float(col) + _HALF_PX, float(row) + _HALF_PX])
    return collection([annotation("MultiPoint", pairs, label=label) for label, pairs in by_class.items()])
