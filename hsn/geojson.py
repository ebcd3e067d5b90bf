"""GeoJSON of annotations, in the form that QuPath imports.

Coordinates are (x, y) in pixels. The origin is the top left corner of the first pixel.
"""

import json
from typing import Any


def annotation(kind: str, coordinates: list, *, label: str | None = None, **properties: Any) -> dict:
    """Return one annotation as a GeoJSON Feature.

    Parameters
    ----------
    kind : str
        Geometry type: "Point", "MultiPoint", "Polygon".
    coordinates : list
        Coordinates, nested as GeoJSON requires for this type.
    label : str, optional
        Class name.
    **properties
        Other QuPath properties: `name`, `isLocked`.

    Returns
    -------
    dict

    Examples
    --------
    >>> annotation("Point", [3.5, 1.5], label="tumor")["properties"]
    {'objectType': 'annotation', 'classification': {'name': 'tumor'}}
    """
    classification = {"classification": {"name": label}} if label else {}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation"} | classification | properties,
    }


def collection(annotations: list[dict]) -> str:
    """Return the text of a GeoJSON file with these annotations.

    Examples
    --------
    >>> json.loads(collection([]))
    {'type': 'FeatureCollection', 'features': []}
    """
    return json.dumps({"type": "FeatureCollection", "features": annotations}, indent=1, ensure_ascii=False)
