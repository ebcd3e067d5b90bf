"""GeoJSON as QuPath opens it: annotations over an image.

x comes first, and places count from the corner of the image's first pixel.
"""

import json


def annotation(kind, coordinates, *, label=None, **properties):
    """One annotation as a Feature.

    Parameters
    ----------
    kind : str
        Of the geometry: "MultiPoint", "Polygon".
    coordinates : list
        As GeoJSON nests them for that kind.
    label : str, optional
        Its class.
    **properties
        What else is said of it: `name`, `isLocked`.

    Returns
    -------
    dict

    Examples
    --------
    >>> annotation("Point", [3.5, 1.5], label="tumour")["properties"]
    {'objectType': 'annotation', 'classification': {'name': 'tumour'}}
    """
    of_class = {"classification": {"name": label}} if label else {}
    geometry = {"type": kind, "coordinates": coordinates}
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {"objectType": "annotation"} | of_class | properties,
    }


def collection(annotations):
    """The text of a file of annotations.

    Examples
    --------
    >>> json.loads(collection([]))
    {'type': 'FeatureCollection', 'features': []}
    """
    return json.dumps({"type": "FeatureCollection", "features": annotations}, indent=1, ensure_ascii=False)
