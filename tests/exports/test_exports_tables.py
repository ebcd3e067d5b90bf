"""Tables of objects, read back with pyarrow, pandas and geopandas."""

import csv
import dataclasses

import numpy as np
import pyarrow.parquet
import pytest
import shapely

from hsn.exports.measure import measure_objects
from hsn.exports.tables import write_csv, write_geoparquet, write_parquet
from hsn.taxonomies import Taxonomy, TissueClass


def test_csv_has_one_line_per_object_with_units_in_the_header(result, tmp_path):
    assert write_csv(tmp_path / "a.csv", [result.objects[:2], result.objects[2:]]) == 4
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(result.objects.names)
    assert [float(row["area_um2"]) for row in rows] == result.objects["area_um2"].tolist()
    assert [row["uuid"] for row in rows] == result.objects["uuid"].tolist()
    assert [row["touches_border"] for row in rows] == ["false", "false", "true", "false"]


def test_a_spreadsheet_runs_no_class_name(result, tmp_path):
    classes = (TissueClass("Other", (0, 0, 0)), TissueClass("=1+1", (9, 9, 9)))
    result = dataclasses.replace(result, taxonomy=Taxonomy("lab", classes))
    write_csv(tmp_path / "a.csv", [result.objects])
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        assert {row["class"] for row in csv.DictReader(file)} == {"'=1+1"}


def test_unknown_values_are_empty(tmp_path):
    write_csv(tmp_path / "a.csv", [measure_objects(np.array([[1]]))])
    header, row = (line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines())
    assert dict(zip(header, row, strict=True))["nearest_neighbor_px"] == ""


def test_parquet_keeps_types_and_values(result, tmp_path):
    write_parquet(tmp_path / "a.parquet", [result.objects[:1], result.objects[1:]])
    read = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert read["id"].to_pylist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(read["solidity"].to_numpy(), result.objects["solidity"])
    assert read["class"].to_pylist() == ["Nucleus"] * 4


def test_geopandas_reads_outlines_and_a_part_of_them(result, instances, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    path = tmp_path / "a.parquet"
    assert write_geoparquet(path, [result.objects[:1], result.objects[1:]]) == 4
    frame = geopandas.read_parquet(path)
    assert frame.crs is None
    assert frame.geometry.is_valid.all()
    assert frame.area.tolist() == np.bincount(instances.ravel())[1:].tolist()
    part = geopandas.read_parquet(path, bbox=(0, 0, 40, 30))
    assert part["id"].tolist() == [1]


def test_simplified_outlines_stay_within_the_stated_distance(result, tmp_path):
    write_geoparquet(tmp_path / "exact.parquet", [result.objects])
    write_geoparquet(tmp_path / "simple.parquet", [result.objects], simplify_px=0.5)
    exact, simple = (
        shapely.from_wkb(pyarrow.parquet.read_table(tmp_path / name)["geometry"].to_pylist())
        for name in ("exact.parquet", "simple.parquet")
    )
    assert shapely.is_valid(simple).all()
    assert (shapely.hausdorff_distance(exact, simple) <= 0.5 + 1e-9).all()
    assert shapely.get_num_coordinates(simple).sum() < shapely.get_num_coordinates(exact).sum()


def test_geoparquet_is_well_known_binary_with_boxes(result, tmp_path):
    write_geoparquet(tmp_path / "a.parquet", [result.objects])
    read = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    geometries = shapely.from_wkb(read["geometry"].to_pylist())
    boxes = [tuple(box.values()) for box in read["bbox"].to_pylist()]
    assert boxes == [geometry.bounds for geometry in geometries]
    assert b'"version": "1.1.0"' in read.schema.metadata[b"geo"]


def test_images_without_objects_give_tables_without_rows(tmp_path):
    empty = measure_objects(np.zeros((4, 4), int))
    for write in (write_csv, write_parquet, write_geoparquet):
        assert write(tmp_path / write.__name__, [empty]) == 0
    assert pyarrow.parquet.read_table(tmp_path / "write_parquet").num_rows == 0


def test_no_table_is_an_error(tmp_path, raises_code):
    with raises_code("tables-missing"):
        write_csv(tmp_path / "a.csv", [])
    assert list(tmp_path.iterdir()) == []
