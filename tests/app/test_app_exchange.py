"""GeoJSON of QuPath in, annotations out; help and warnings."""

import io
import json
import zipfile

import pytest

from hsn.annotations import qupath
from hsn.app.annotations import Annotations
from hsn.app.exchange import Exports, compare_import
from hsn.app.live import Live
from hsn.app.suggest import find_warnings, find_worst, suggest_places


@pytest.fixture
def annotations(project, feature, put):
    annotations = Annotations(project)
    stroke = feature([[1, 2], [30, 40]], "LineString", "Background", hsn={"width_um": 6})
    outline = feature([[[5, 5], [19, 5], [19, 19]]], "Polygon")
    annotations.edit([put(feature(), 1), put(stroke, 2), put(outline, 3)], session="s")
    yield annotations
    annotations.close()


def qupath_writes(annotations):
    """Return the features as QuPath writes them: unknown entries are lost, polygons may be multipolygons."""
    features = json.loads(json.dumps(annotations.features("a")))
    for feature in features:
        feature["properties"].pop("hsn", None)
        if feature["geometry"]["type"] == "Polygon":
            feature["geometry"] = {
                "type": "MultiPolygon",
                "coordinates": [feature["geometry"]["coordinates"]],
            }
    return {"type": "FeatureCollection", "features": features}


def test_what_comes_back_from_qupath_is_the_same(annotations, project):
    found = compare_import(project, annotations, "a", qupath_writes(annotations))
    assert found["same"] == 3
    assert [found[key] for key in ("new", "changed", "missing")] == [[], [], []]


def test_changes_new_and_missing_features_are_told_apart(annotations, project):
    data = qupath_writes(annotations)
    data["features"][0]["geometry"]["coordinates"] = [50.5, 60.5]
    removed = data["features"].pop(1)["id"]
    points = {"type": "MultiPoint", "coordinates": [[1.5, 2.5], [3.5, 4.5]]}
    data["features"].append(
        {"type": "Feature", "geometry": points, "properties": {"classification": {"name": "Nucleus"}}}
    )
    found = compare_import(project, annotations, "a", data)
    assert [edit["feature"]["geometry"]["coordinates"] for edit in found["changed"]] == [[50.5, 60.5]]
    assert [edit["feature"]["geometry"]["coordinates"] for edit in found["new"]] == [[1.5, 2.5], [3.5, 4.5]]
    assert [edit["id"] for edit in found["missing"]] == [removed]
    edits = [edit | {"number": 10 + k} for k, edit in enumerate(found["new"])]
    annotations.edit(edits, session="import")
    again = compare_import(project, annotations, "a", data)
    assert not again["new"]  # the same file does not come twice


def test_what_does_not_fit_is_left_out_with_a_reason(annotations, project):
    square = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    data = [
        {"type": "Feature", "geometry": square, "properties": {"classification": {"name": "Immune cells"}}},
        {"type": "Feature", "geometry": square, "properties": {"name": "to annotate: 1", "isLocked": True}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1e6, 1]}, "properties": {}},
    ]
    found = compare_import(project, annotations, "a", data)
    assert found["unknown"] == {"Immune cells": "object"}
    assert found["left_out"] == 2
    assert not found["new"]


def test_deep_and_foreign_json_is_refused(annotations, project, raises_code):
    deep = {"type": "FeatureCollection", "features": []}
    for _ in range(100):
        deep = {"type": "FeatureCollection", "features": [deep]}
    with raises_code("geojson-depth"):
        compare_import(project, annotations, "a", deep)
    with raises_code("geojson-geometry"):
        compare_import(project, annotations, "a", {"type": "FeatureCollection", "features": [{"x": 1}]})


def test_an_import_is_limited_in_size(client, monkeypatch):
    answer = client.post(
        "/api/images/a/import", json={"geojson": {"type": "FeatureCollection", "features": []}}
    )
    assert answer.json()["new"] == []
    assert client.post("/api/images/nothing/import", json={"geojson": {}}).status_code == 404


def test_the_zip_opens_in_the_reader_of_annotations(client, feature, put, tmp_path):
    edits = [put(feature(), 1), put(feature((30, 40)), 2)]
    client.post("/api/edits", json={"session": "s", "page": "s", "seq": 0, "edits": edits})
    answer = client.get("/api/annotations.zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    archive.extract("annotations/a.geojson", tmp_path)
    points = qupath.read(tmp_path / "annotations" / "a.geojson").points
    assert [(p.row, p.col) for p in points] == [(20.0, 10.0), (39.5, 29.5)]


def test_the_commands_of_an_export_name_images_model_and_scale(project, tmp_path):
    commands = Exports(project, print).commands("nuclei-masks", ["a", "b"], ["geojson"], tmp_path)
    (command,) = commands
    assert command[0] == "segment"
    assert [path.rpartition("/")[2] for path in command[1:3]] == ["a.png", "b.png"]
    assert command[3:] == [
        "--model",
        "nuclei-masks",
        "--out",
        str(tmp_path),
        "--save",
        "geojson",
        "--mpp",
        "0.5",
    ]


@pytest.mark.parametrize(
    "data", [{"model": "../../etc", "images": ["a"]}, {"model": "0009", "images": ["a"]}]
)
def test_an_export_of_a_foreign_net_is_refused(client, data):
    assert client.post("/api/export", json={"formats": [], **data}).status_code == 404
    assert client.get("/api/exports/..zip").status_code == 404


def test_warnings_say_what_is_missing(annotations, project, feature, put):
    assert find_warnings(project, annotations) == ["Nucleus has only 2 marks", "Background has only 1 mark"]
    annotations.edit([put(feature((k + 1, 5)), 10 + k) for k in range(20)], session="s")
    sentences = find_warnings(project, annotations)
    assert "Background has only 1 mark" in sentences
    assert "all marks are in one image" in sentences
    assert any("no check image" in sentence for sentence in sentences)
    project.set_role("b", "check")
    annotations.edit([put(feature(), 90, "b"), put(feature(), 91, "c")], session="s")
    assert find_warnings(project, annotations) == ["Background has only 1 mark"]


@pytest.mark.slow
def test_a_mark_in_the_wrong_class_is_doubtful(tmp_path, feature, put, rng):
    import numpy as np

    from hsn.app.project import close_project, open_project
    from hsn.images.read import write

    image = np.full((200, 300, 3), (232, 190, 214), np.uint8)
    image[:, 150:] = (92, 62, 140)
    write(tmp_path / "a.png", np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8))
    project = open_project([tmp_path], tmp_path / "project", mpp=0.5, aim="nuclei")
    annotations = Annotations(project)
    right = [put(feature((200 + 10 * k, 60 + 10 * k)), k + 1) for k in range(6)]
    left = [
        put(
            feature([[20 + 10 * k, 60], [25 + 10 * k, 60]], "LineString", "Background", hsn={"width_um": 2}),
            k + 20,
        )
        for k in range(6)
    ]
    wrong = put(feature((60, 130)), 50)
    annotations.edit([*right, *left, wrong], session="s")
    live = Live(project, annotations, lambda version: None)
    worst = find_worst(project, annotations, live)
    live.close()
    annotations.close()
    close_project(project)
    assert worst[0]["id"] == wrong["id"]
    assert len(worst) <= 3


def test_suggested_places_hold_tissue_and_no_marks(tmp_path, feature, put, ihc):
    import numpy as np

    from hsn.app.project import close_project, open_project
    from hsn.images.read import write

    image = np.full((1200, 1200, 3), 245, np.uint8)
    image[:512, :512] = image[600:1112, 600:1112] = ihc
    write(tmp_path / "a.png", image)
    project = open_project([tmp_path], tmp_path / "project", mpp=0.5, aim="nuclei")
    annotations = Annotations(project)
    annotations.edit([put(feature((250, 250)), 1)], session="s")
    live = Live(project, annotations, lambda version: None)
    places = suggest_places(project, annotations, live, seed=3)
    live.close()
    annotations.close()
    close_project(project)
    assert sorted(place["why"] for place in places) == ["random"] * 3 + ["texture"] * 3
    for place in places:
        left, top, right, bottom = place["bbox"]
        assert image[top:bottom, left:right].min(axis=2).mean() < 225
        assert not (left <= 250 <= right and top <= 250 <= bottom)
