"""GeoJSON of patches: closed squares, x first, with names."""

import json

import numpy as np
import pytest

from hsn.selection.geojson import squares


def test_squares_are_closed_and_x_comes_first():
    text = squares(np.array([[10, 20], [0, 300]]), 64, [{"name": "1: a", "image": "a"}, {"name": "2: a"}])
    data = json.loads(text)
    assert data["type"] == "FeatureCollection"
    first, second = data["features"]
    (ring,) = first["geometry"]["coordinates"]
    assert ring[0] == ring[-1] == [20, 10]
    xs, ys = zip(*ring, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (20, 84, 10, 74)
    assert first["properties"]["name"] == "1: a"
    assert first["properties"]["image"] == "a"
    assert first["properties"]["objectType"] == "annotation"
    assert first["properties"]["classification"] == {"name": "to annotate"}
    assert first["properties"]["isLocked"] is True
    assert second["geometry"]["coordinates"][0][0] == [300, 0]


def test_every_patch_needs_its_properties():
    with pytest.raises(ValueError, match="zip"):
        squares([[0, 0]], 64, [])
