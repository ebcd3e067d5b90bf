"""`hsn import`: annotations of other programs become label images or GeoJSON."""

import json

import numpy as np

import hsn
from hsn.annotations.label_files import read_labels
from hsn.exports.measure import measure_objects
from hsn.exports.tables import write_csv, write_geoparquet


def test_geojson_becomes_a_label_image_and_back(run, images, tmp_path):
    ring = [[2, 3], [12, 3], [12, 9], [2, 9], [2, 3]]
    (tmp_path / "x.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    done = run("import", tmp_path / "x.geojson", "--like", images / "a.png", "--out", "m", "--json")
    assert done.exit_code == 0
    assert done.said == {"file": "m/a_mask.png", "objects": 1}
    truth = np.zeros((40, 56), int)
    truth[3:9, 2:12] = 1
    np.testing.assert_array_equal(read_labels("m/a_mask.png"), truth)
    back = run(
        "import", "m/a_mask.png", "--like", images / "a.png", "--as", "geojson", "--out", "g", "--json"
    )
    assert back.said["file"] == "g/a.geojson"
    table = hsn.read_objects("g/a.geojson", shape=(40, 56))
    assert table["area_px2"].tolist() == [60]


def test_a_file_that_cannot_be_read_is_one_sentence(run, images, tmp_path):
    np.save(tmp_path / "a_seg.npy", np.array({}, object), allow_pickle=True)
    done = run("import", tmp_path / "a_seg.npy", "--like", images / "a.png")
    assert done.exit_code == 2
    assert "Python objects" in done.stderr


def test_tables_are_read_back(tmp_path, raises_code):
    table = measure_objects(np.array([[0, 1, 1], [2, 0, 0]])).named("a")
    write_csv(tmp_path / "a.csv", [table])
    write_geoparquet(tmp_path / "a.parquet", [table])
    for name in ("a.csv", "a.parquet"):
        read = hsn.read_objects(tmp_path / name)
        assert read["area_px2"].tolist() == [2, 1]
        assert read["uuid"].tolist() == table["uuid"].tolist()
        assert read["touches_border"].tolist() == [True, True]
    (tmp_path / "b.parquet").write_text("no table")
    with raises_code("table-damaged"):
        hsn.read_objects(tmp_path / "b.parquet")
