"""GeoJSON of QuPath: clicks among its objects, as (row, col) and class names.

Point and MultiPoint geometries are read, bare, in a Feature, or in a FeatureCollection. QuPath counts from the
corner of the first pixel, so the middle of that pixel is (0.5, 0.5) there and (0, 0) here.
"""

import json

from ..errors import refuse
from ..geojson import annotation, collection

_HALF_PX = 0.5
_DEEPEST = 20  # collections within collections; QuPath writes two
_DRAWN = ("Polygon", "MultiPolygon", "LineString", "MultiLineString")


def parse(text, where):
    """Read the clicks of a GeoJSON text.

    Parameters
    ----------
    text : str
    where : path or str
        Its name, for messages.

    Returns
    -------
    points : list of (float, float)
        Row and column; the middle of the first pixel is (0, 0).
    labels : list of (str or None)
        Class name of each click, None without one.

    Raises
    ------
    InputError
        If it is no GeoJSON, holds outlines instead of clicks, or a click without two numbers.

    Examples
    --------
    >>> parse('{"type": "MultiPoint", "coordinates": [[3.5, 1.5], [8, 2]]}', "clicks.geojson")
    ([(1.0, 3.0), (1.5, 7.5)], [None, None])
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(f"{where} is no GeoJSON", expected="the text that QuPath exports", received=error,
               remedy="export the points again")  # fmt: skip
    clicks = list(_clicks(data, None, where, 0))
    return [place for place, _ in clicks], [label for _, label in clicks]


def _clicks(data, label, where, depth):
    """Yield ((row, col), class name) of an object and of what it holds."""
    kind = data.get("type") if isinstance(data, dict) else None
    if depth > _DEEPEST:
        refuse(f"{where} holds collections within collections", expected=f"at most {_DEEPEST}", received="more",
               remedy="export the points again")  # fmt: skip
    if isinstance(data, list):  # QuPath's older export: a list of features
        members = data
    elif kind in ("FeatureCollection", "GeometryCollection"):
        members = _list(data.get("features" if kind == "FeatureCollection" else "geometries"), where)
    elif kind == "Feature":
        members, label = [data.get("geometry")], _class_of(data)
    elif kind in ("Point", "MultiPoint"):
        places = [data.get("coordinates")] if kind == "Point" else _list(data.get("coordinates"), where)
        yield from ((_place(place, where), label) for place in places)
        return
    else:
        refuse(f"{where} holds something that is no point", expected="Point or MultiPoint",
               received=repr(kind) if kind else "no type",
               remedy="read outlines as masks" if kind in _DRAWN else "export only the points")  # fmt: skip
    for member in members:
        yield from _clicks(member, label, where, depth + 1)


def _list(found, where):
    if not isinstance(found, list):
        refuse(f"{where} is not complete", expected="a list of geometries or coordinates", received=repr(found),
               remedy="export the points again")  # fmt: skip
    return found


def _class_of(feature):
    """The class name of a feature, as QuPath writes it."""
    properties = feature.get("properties")
    classification = properties.get("classification") if isinstance(properties, dict) else None
    name = classification.get("name") if isinstance(classification, dict) else classification
    return name if isinstance(name, str) else None


def _place(pair, where):
    try:
        x, y = (float(value) for value in pair[:2])
    except (TypeError, ValueError, KeyError, OverflowError):
        refuse(f"{where} holds a point without a place", expected="numbers x and y", received=repr(pair),
               remedy="export the points again")  # fmt: skip
    return y - _HALF_PX, x - _HALF_PX


def compose(points, labels):
    """Write clicks as the text of a FeatureCollection, one MultiPoint per class.

    Parameters
    ----------
    points : iterable of (float, float)
        Row and column.
    labels : iterable of (str or None)

    Returns
    -------
    str

    Examples
    --------
    >>> parse(compose([(1.0, 3.0)], ["tumour"]), "here")
    ([(1.0, 3.0)], ['tumour'])
    """
    of_class = {}
    for (row, col), label in zip(points, labels, strict=True):
        of_class.setdefault(label, []).append([float(col) + _HALF_PX, float(row) + _HALF_PX])
    return collection([annotation("MultiPoint", places, label=label) for label, places in of_class.items()])
