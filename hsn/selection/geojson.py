"""GeoJSON of patches, as QuPath reads it: locked squares with names."""

from ..geojson import annotation, collection

CLASS = "to annotate"


def squares(corners, side_px, properties):
    """Write the outlines of patches as the text of a FeatureCollection.

    Parameters
    ----------
    corners : int array, shape (n, 2)
        Row and column of the upper left pixels. In the text x comes first, and places count from the corner of the
        image's first pixel, as QuPath has it.
    side_px : int
    properties : sequence of dict
        What else is said of each patch; `name` is what QuPath shows.

    Returns
    -------
    str

    Examples
    --------
    >>> import json
    >>> text = squares([[10, 20]], 256, [{"name": "1"}])
    >>> json.loads(text)["features"][0]["geometry"]["coordinates"]
    [[[20, 10], [276, 10], [276, 266], [20, 266], [20, 10]]]
    """
    return collection(
        [
            annotation("Polygon", [_ring(int(row), int(column), side_px)], label=CLASS, isLocked=True, **each)
            for (row, column), each in zip(corners, properties, strict=True)
        ]
    )


def _ring(top, left, side):
    bottom, right = top + side, left + side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
