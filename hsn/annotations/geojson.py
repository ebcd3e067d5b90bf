"""Read and write points as QuPath GeoJSON.

Point and MultiPoint geometries are read, alone, in a Feature or in a FeatureCollection. The center of the first pixel
is (0.5, 0.5) in QuPath and (0, 0) in hsn.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from ..geojson import annotation, collection

_HALF_PX = 0.5
_MAX_DEPTH = 20  # nested collections; QuPath writes two
_OUTLINES = ("Polygon", "MultiPolygon", "LineString", "MultiLineString")


def parse(text: str, where: Path | str) -> tuple[list[tuple[float, float]], list[str | None]]:
    """Parse the points of a GeoJSON text.

    Parameters
    ----------
    text : str
    where : path or str
        Name of the file, for messages.

    Returns
    -------
    points : list of (float, float)
        Row and column; the center of the first pixel is (0, 0).
    labels : list of (str or None)
        Class name of each point, None without a class.

    Raises
    ------
    InputError
        "geojson-malformed", "geojson-depth", "geojson-geometry" or "point-coordinates".

    Examples
    --------
    >>> parse('{"type": "MultiPoint", "coordinates": [[3.5, 1.5], [8, 2]]}', "clicks.geojson")
    ([(1.0, 3.0), (1.5, 7.5)], [None, None])
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        _fail("geojson-malformed", f"{where} must be GeoJSON", error)
    points = list(_find_points(data, None, where, 0))
    return [point for point, _ in points], [label for _, label in points]


def _find_points(
    data: Any, label: str | None, where: Path | str, depth: int
) -> Iterator[tuple[tuple[float, float], str | None]]:
    """Yield ((row, col), class name) of an object and of its members."""
    kind = data.get("type") if isinstance(data, dict) else None
    if depth > _MAX_DEPTH:
        _fail("geojson-depth", f"{where} must nest at most {_MAX_DEPTH} collections", "more")
    if isinstance(data, list):  # QuPath's older export: a list of features
        members = data
    elif kind in ("FeatureCollection", "GeometryCollection"):
        members = _as_list(data.get("features" if kind == "FeatureCollection" else "geometries"), where)
    elif kind == "Feature":
        members, label = [data.get("geometry")], _class_name(data)
    elif kind in ("Point", "MultiPoint"):
        pairs = [data.get("coordinates")] if kind == "Point" else _as_list(data.get("coordinates"), where)
        yield from ((_to_row_col(pair, where), label) for pair in pairs)
        return
    else:
        hint = "read outlines as masks" if kind in _OUTLINES else "export only the points"
        must = f"geometries in {where} must be Point or MultiPoint"
        _fail("geojson-geometry", must, repr(kind) if kind else "no type", hint)
    for member in members:
        yield from _find_points(member, label, where, depth + 1)


def _as_list(value: Any, where: Path | str) -> list:
    if not isinstance(value, list):
        _fail("geojson-malformed", f"{where} must have a list of geometries or coordinates", repr(value))
    return value


def _class_name(feature: dict) -> str | None:
    """Return the class name of a QuPath feature."""
    properties = feature.get("properties")
    classification = properties.get("classification") if isinstance(properties, dict) else None
    name = classification.get("name") if isinstance(classification, dict) else classification
    return name if isinstance(name, str) else None


def _to_row_col(pair: Any, where: Path | str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in pair[:2])
    except (TypeError, ValueError, KeyError, OverflowError):
        _fail("point-coordinates", f"points in {where} must have numbers x and y", repr(pair))
    return y - _HALF_PX, x - _HALF_PX


def _fail(code: str, must: str, got: object, hint: str = "export the points again") -> NoReturn:
    raise InputError(code, must, got=got, hint=hint) from None


def compose(points: Iterable[tuple[float, float]], labels: Iterable[str | None]) -> str:
    """Return the text of a FeatureCollection with one MultiPoint per class.

    Parameters
    ----------
    points : iterable of (float, float)
        Row and column.
    labels : iterable of (str or None)
        Class names.

    Returns
    -------
    str

    Examples
    --------
    >>> parse(compose([(1.0, 3.0)], ["tumor"]), "here")
    ([(1.0, 3.0)], ['tumor'])
    """
    by_class: dict[str | None, list[list[float]]] = {}
    for (row, col), label in zip(points, labels, strict=True):
        by_class.setdefault(label, []).append([float(col) + _HALF_PX, float(row) + _HALF_PX])
    return collection([annotation("MultiPoint", pairs, label=label) for label, pairs in by_class.items()])
