"""The features that may be drawn: points, strokes and polygons of a known class, inside the image.

What a page sends is checked and written anew from known entries only. Coordinates are QuPath's: pixels of level 0,
x right, y down; the center of the first pixel is (0.5, 0.5).
"""

import math
import re
from collections.abc import Collection
from typing import Any, NoReturn

from ..errors import InputError

REGION, IGNORE = "Region*", "Ignore*"  # a region in which all is annotated, and one that is not used
SPECIAL = (REGION, IGNORE)
ORIGINS = ("free", "suggested", "random", "correction", "accepted", "import")
MAX_CORNERS = 50_000  # of one feature
MAX_WIDTH_UM = 1000.0
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DECIMALS = 2


def check_feature(
    feature: Any, size: tuple[int, int], classes: Collection[str], colors: dict[str, tuple[int, int, int]]
) -> dict[str, Any]:
    """Return a feature with its known entries only.

    Parameters
    ----------
    feature : object
        Parsed JSON.
    size : (int, int)
        Width and height of the image.
    classes : collection of str
        Names that a feature may have, beside "Region*" and "Ignore*".
    colors : dict of str to (int, int, int)

    Returns
    -------
    dict

    Raises
    ------
    InputError
        "feature-invalid".

    Examples
    --------
    >>> click = {"id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "properties": {"classification": {"name": "Nucleus"}},
    ...          "geometry": {"type": "Point", "coordinates": [3.504, 1.5]}, "extra": 1}
    >>> check_feature(click, (10, 10), ["Nucleus"], {})["geometry"]
    {'type': 'Point', 'coordinates': [3.5, 1.5]}
    """
    if not isinstance(feature, dict):
        _fail("a feature must be an object", feature)
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    kind = properties.get("classification")
    name = kind.get("name") if isinstance(kind, dict) else None
    if name not in classes and name not in SPECIAL:
        _fail(f"the class must be one of {', '.join([*classes, *SPECIAL])}", name)
    geometry = _check_geometry(feature.get("geometry"), size)
    if name in SPECIAL and geometry["type"] != "Polygon":
        _fail(f"{name} must be a polygon", geometry["type"])
    color = {"color": list(colors[name])} if name in colors else {}
    checked: dict[str, Any] = {"objectType": "annotation", "classification": {"name": name} | color}
    if geometry["type"] == "LineString":
        checked["hsn"] = {"width_um": _width_of(properties)}
    return {
        "type": "Feature",
        "id": check_id(feature.get("id")),
        "geometry": geometry,
        "properties": checked,
    }


def check_id(value: Any) -> str:
    """Return an id if it is a UUID in lower case; raises InputError "feature-invalid"."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        _fail("the id of a feature must be a UUID", value)
    return value


def class_of(feature: dict[str, Any]) -> str:
    """Return the class of a checked feature."""
    return str(feature["properties"]["classification"]["name"])


def corners_of(feature: dict[str, Any]) -> list[list[float]]:
    """Return all corners (x, y) of a checked feature.

    Examples
    --------
    >>> corners_of({"geometry": {"type": "Point", "coordinates": [1, 2]}})
    [[1, 2]]
    """
    kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    if kind == "Point":
        return [coordinates]
    return coordinates if kind == "LineString" else [pair for ring in coordinates for pair in ring]


def bounds_of(feature: dict[str, Any]) -> tuple[float, float, float, float]:
    """Return the box of a checked feature: least and largest x and y, as (left, top, right, bottom)."""
    xs, ys = zip(*corners_of(feature), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _check_geometry(geometry: Any, size: tuple[int, int]) -> dict[str, Any]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if kind == "MultiPolygon" and isinstance(coordinates, list) and len(coordinates) == 1:
        kind, coordinates = "Polygon", coordinates[0]  # QuPath writes some polygons in this form
    if kind == "Point":
        checked: Any = _check_pair(coordinates, size, strict=True)
    elif kind == "LineString":
        checked = _check_line(coordinates, size, 1)
        checked = checked * 2 if len(checked) == 1 else checked
    elif kind == "Polygon":
        if not isinstance(coordinates, list) or not coordinates:
            _fail("a polygon must have an outline", coordinates)
        checked = [_check_line(ring, size, 3) for ring in coordinates]
        checked = [ring if ring[0] == ring[-1] else [*ring, ring[0]] for ring in checked]
        if sum(map(len, checked)) > MAX_CORNERS:
            _fail(f"a feature must have at most {MAX_CORNERS:,} corners", sum(map(len, checked)))
    else:
        _fail("a geometry must be a Point, LineString or Polygon", kind)
    return {"type": kind, "coordinates": checked}


def _check_line(pairs: Any, size: tuple[int, int], least: int) -> list[list[float]]:
    if not isinstance(pairs, list) or not least <= len(pairs) <= MAX_CORNERS:
        _fail(f"a line must have {least} to {MAX_CORNERS:,} corners", pairs)
    return [_check_pair(pair, size, strict=False) for pair in pairs]


def _check_pair(pair: Any, size: tuple[int, int], *, strict: bool) -> list[float]:
    """Return x and y, rounded. Points must be on the image; the ends of lines are moved onto it."""
    plain = isinstance(pair, list) and len(pair) >= 2 and all(type(v) in (int, float) for v in pair[:2])
    if not plain or not all(map(math.isfinite, pair[:2])):
        _fail("coordinates must be pairs of finite numbers", pair)
    x, y = (round(float(value), _DECIMALS) for value in pair[:2])
    width, height = size
    if strict and not (0 <= x <= width and 0 <= y <= height):
        _fail(f"a point must be on the image of {width} x {height} px", pair)
    return [min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))]


def _width_of(properties: dict[str, Any]) -> float:
    """Return the width of a stroke in micrometers."""
    own = properties.get("hsn")
    width: Any = own.get("width_um") if isinstance(own, dict) else 1.0
    if type(width) not in (int, float) or not 0 < width <= MAX_WIDTH_UM:
        _fail(f"`width_um` must be above 0 and at most {MAX_WIDTH_UM:g}", width)
    return round(float(width), 3)


def _fail(must: str, got: Any) -> NoReturn:
    raise InputError("feature-invalid", must, got=repr(got)[:80], hint="reload the page")
