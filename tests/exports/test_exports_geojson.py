"""GeoJSON by QuPath's reading rules, read back with shapely."""

import gzip
import json
import math
import uuid

import numpy as np
import pytest
import shapely

from hsn.exports.geojson import write_geojson
from hsn.exports.measure import measure_objects


def read_features(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:

        def refuse(word):
            raise AssertionError(f"{word} is not JSON")

        return json.load(file, parse_constant=refuse)["features"]


def nulls(value):
    if isinstance(value, dict):
        return any(nulls(inner) for inner in value.values())
    return value is None


@pytest.fixture
def found(result, tmp_path):
    write_geojson(tmp_path / "a.geojson", [result.objects])
    return read_features(tmp_path / "a.geojson")


def test_polygons_are_the_pixels_of_the_label_image(found, instances):
    rows, cols = np.mgrid[: instances.shape[0], : instances.shape[1]]
    assert len(found) == 4
    for number, feature in enumerate(found, 1):
        geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert geometry.is_valid
        assert geometry.area == (instances == number).sum()
        assert (shapely.contains_xy(geometry, cols + 0.5, rows + 0.5) == (instances == number)).all()
    assert [f["geometry"]["type"] for f in found] == ["Polygon", "MultiPolygon", "Polygon", "Polygon"]
    assert len(found[0]["geometry"]["coordinates"]) == 2  # the hole


def test_qupath_can_read_every_feature(found):
    for feature in found:
        assert feature["type"] == "Feature"
        assert str(uuid.UUID(feature["id"])) == feature["id"]
        assert not nulls(feature)
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == "Nucleus"
        assert len(properties["classification"]["color"]) == 3
        assert all(
            type(value) in (int, float) and math.isfinite(value)
            for value in properties["measurements"].values()
        )
        assert properties["measurements"]["Probability"] == 0.75
        polygons = feature["geometry"]["coordinates"]
        polygons = polygons if feature["geometry"]["type"] == "MultiPolygon" else [polygons]
        assert all(ring[0] == ring[-1] and len(ring) >= 4 for rings in polygons for ring in rings)


def test_values_that_are_not_numbers_are_left_out(tmp_path):
    write_geojson(tmp_path / "a.geojson", [measure_objects(np.array([[1]]), mpp=0.5)])
    (feature,) = read_features(tmp_path / "a.geojson")
    assert "Nearest neighbor µm" not in feature["properties"]["measurements"]  # there is no neighbor
    assert feature["properties"]["measurements"]["Area µm^2"] == 0.25
    assert "classification" not in feature["properties"]


def test_parts_give_the_file_of_the_whole(result, tmp_path):
    table = result.objects
    write_geojson(tmp_path / "whole.geojson", [table])
    write_geojson(tmp_path / "parts.geojson", iter([table[:1], table[1:1], table[1:]]))
    assert (tmp_path / "whole.geojson").read_bytes() == (tmp_path / "parts.geojson").read_bytes()


def test_compressed_files_are_equal_in_each_run(result, tmp_path):
    for name in ("a", "b"):
        write_geojson(tmp_path / name / "x.geojson.gz", [result.objects])
    assert len(read_features(tmp_path / "a" / "x.geojson.gz")) == 4
    assert (tmp_path / "a" / "x.geojson.gz").read_bytes()[4:8] == bytes(4)  # no time in the header
    assert (tmp_path / "a" / "x.geojson.gz").read_bytes() == (tmp_path / "b" / "x.geojson.gz").read_bytes()


def test_large_objects_are_annotations(instances, tmp_path):
    write_geojson(tmp_path / "a.geojson", [measure_objects(instances, mpp=5.0)])
    assert {f["properties"]["objectType"] for f in read_features(tmp_path / "a.geojson")} == {"annotation"}


def test_no_objects_give_an_empty_collection(tmp_path):
    assert write_geojson(tmp_path / "a.geojson", []) == 0
    assert read_features(tmp_path / "a.geojson") == []


def test_a_failure_leaves_no_file(result, tmp_path):
    def tables():
        yield result.objects
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_geojson(tmp_path / "a.geojson", tables())
    assert list(tmp_path.iterdir()) == []
