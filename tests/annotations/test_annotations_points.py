"""Points: every format is read, and wrong files are refused."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations import point_tables
from hsn.annotations.label_files import write_labels
from hsn.annotations.points import as_points, read, read_regions, to_pixels, write
from hsn.files import csv_text, from_csv_text
from hsn.images.read import write as write_image
from hsn.notes import collect_notes

SHAPE = (40, 60)
POINTS = [[1, 50.5], [30, 2]]  # row, col

quarters = st.integers(0, 4 * 39).map(lambda k: k / 4)
clicks = st.lists(st.tuples(quarters, quarters), max_size=8)


def saved(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "x,y\n50.5,1\n2,30\n"),
        ("a.csv", "\ufeffX,Y\r\n50.5,1\r\n2,30\r\n"),
        ("a.csv", "50.5,1\n\n2,30"),
        ("a.csv", "row,col\n1,50.5\n30,2\n"),
        ("a.csv", "label,y,area,x\nA,1,9,50.5\nB,30,9,2\n"),
        ("a.csv", " ,Area,X,Y\n1,0,50.5,1\n2,0,2,30\n"),
        ("a.csv", "x;y\n50,5;1\n2;30\n"),
        ("a.tsv", "x\ty\n50.5\t1\n2\t30\n"),
        ("a.txt", "Centroid X px\tCentroid Y px\n51\t1.5\n2.5\t30.5\n"),
        (
            "a.tsv",
            "Class\tROI\tNum points\tCentroid X px\tCentroid Y px\nA\tPoints\t1\t51\t1.5\nB\tPoint\t1\t2.5\t30.5\n"
            "Region\tRectangle\t\t20\t20\n",
        ),
        ("a.csv", "index,axis-0,axis-1\n0,1.0,50.5\n1,30.0,2.0\n"),
        ("a.csv", "index,axis-0,axis-1,axis-2\n0,3.0,1.0,50.5\n1,3.0,30.0,2.0\n"),
        ("a.csv", "index,axis-0,axis-1,axis-2,axis-3\n0,3,0,1.0,50.5\n1,3,0,30.0,2.0\n"),
        ("a.tsv", "x\ty\n50,5\t1\n2\t30\n"),
        ("a.csv", "sep=;\nx;y\n50,5;1\n2;30\n"),
        ("a.csv", "sep=,\r\nx,y\r\n50.5,1\r\n2,30\r\n"),
        ("a.csv", "sep=\t\nx\ty\n50.5\t1\n2\t30\n"),
    ],
)
def test_tables_are_read_by_their_headings(tmp_path, name, text):
    assert read(saved(tmp_path, name, text), SHAPE).tolist() == POINTS


MULTI = {"type": "MultiPoint", "coordinates": [[51, 1.5], [2.5, 30.5]]}
ONE, OTHER = ({"type": "Point", "coordinates": place} for place in MULTI["coordinates"])


def feature(geometry, name=None):
    properties = {"classification": {"name": name, "color": [1, 2, 3]}} if name else {}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.mark.parametrize(
    "data",
    [
        MULTI,
        feature(MULTI),
        {"type": "FeatureCollection", "features": [feature(ONE), feature(OTHER, "B")]},
        [feature(ONE), feature(OTHER)],
        {"type": "GeometryCollection", "geometries": [ONE, OTHER]},
        {"type": "FeatureCollection", "features": [feature({"type": "Point", "coordinates": [*p, 0]}) for p in
                                                   MULTI["coordinates"]]},
    ],
)  # fmt: skip
def test_geojson_is_read_in_each_of_its_forms(tmp_path, data):
    assert read(saved(tmp_path, "a.geojson", json.dumps(data)), SHAPE).tolist() == POINTS


def test_points_can_be_chosen_by_their_class(tmp_path, raises_code):
    data = {"type": "FeatureCollection", "features": [feature(ONE, "A"), feature(OTHER, "B"), feature(ONE)]}
    geo = saved(tmp_path, "a.geojson", json.dumps(data))
    table = saved(tmp_path, "a.csv", "x,y,label\n50.5,1,A\n2,30,B\n")
    for path in (geo, table):
        assert read(path, label="B").tolist() == POINTS[1:]
        with raises_code("class-unknown"):
            read(path, label="C")
    with raises_code("class-unknown"):
        read(saved(tmp_path, "b.csv", "x,y\n1,1\n"), label="A")


@pytest.mark.parametrize(
    "classification", [{"name": "Tumor: Positive"}, {"names": ["Tumor", "Positive"]}, "Tumor: Positive"]
)
def test_a_class_of_several_names_has_one_name(tmp_path, classification):
    data = {"type": "Feature", "geometry": ONE, "properties": {"classification": classification}}
    path = saved(tmp_path, "a.geojson", json.dumps(data))
    assert read(path, label="Tumor: Positive").tolist() == POINTS[:1]


REGION = {"type": "Polygon", "coordinates": [[[0, 0], [60, 0], [60, 40], [0, 40], [0, 0]]]}


def test_regions_beside_clicks_are_read_and_counted(tmp_path):
    both = {"type": "MultiPolygon", "coordinates": [REGION["coordinates"], [[[1, 1], [3, 1], [3, 4]]]]}
    path = saved(tmp_path, "a.geojson", json.dumps([feature(both, "Region*"), feature(MULTI)]))
    with collect_notes() as notes:
        assert read(path, SHAPE).tolist() == POINTS
    sentence = "regions of a class Region* are taken as complete: what is not clicked there is background"
    assert notes.sentences() == [f"1 {sentence}: {path}"]
    whole, triangle = read_regions(path)
    assert whole.tolist() == [[-0.5, -0.5], [-0.5, 59.5], [39.5, 59.5], [39.5, -0.5], [-0.5, -0.5]]
    assert triangle.tolist() == [[0.5, 0.5], [0.5, 2.5], [3.5, 2.5]]


@pytest.mark.parametrize("label", [None, "Tumor"])
def test_other_outlines_beside_clicks_are_not_used_and_counted(tmp_path, label):
    path = saved(tmp_path, "a.geojson", json.dumps([feature(REGION, label), feature(MULTI)]))
    with collect_notes() as notes:
        assert read(path, SHAPE).tolist() == POINTS
    assert read_regions(path) == []
    assert notes.sentences()[0].startswith("1 outlines beside clicks are not used")


def test_regions_without_clicks_are_refused(tmp_path, raises_code):
    with raises_code("geojson-geometry"):
        read(saved(tmp_path, "a.geojson", json.dumps(feature(REGION, "Region*"))), SHAPE)


@pytest.mark.parametrize(
    ("coordinates", "code"),
    [
        ([], "geojson-malformed"),
        ([[[0, 0], [1, 1]]], "region-coordinates"),
        ([[[0, 0], [1, 1], ["2", 1]]], "point-coordinates"),
    ],
)
def test_broken_regions_are_refused(tmp_path, raises_code, coordinates, code):
    broken = {"type": "Polygon", "coordinates": coordinates}
    with raises_code(code):
        read_regions(saved(tmp_path, "a.geojson", json.dumps([feature(broken, "Region*"), feature(MULTI)])))


def test_a_table_of_qupath_and_its_geojson_give_the_same_places(tmp_path):
    table = "Object type\tName\tROI\tCentroid X px\tCentroid Y px\n" + "".join(
        f"Annotation\tPoint\tPoints\t{x}\t{y}\n" for x, y in MULTI["coordinates"]
    )
    geo = read(saved(tmp_path, "a.geojson", json.dumps(MULTI)), SHAPE)
    assert read(saved(tmp_path, "a.tsv", table), SHAPE).tolist() == geo.tolist()


@given(st.text("=+-@'ab\t ", max_size=6))
def test_class_names_are_not_written_as_formulas_and_are_read_back(name):
    text = point_tables.compose([(1.0, 2.0)], [name])
    cell = next(csv.reader([text.splitlines()[-1]]))[-1]
    assert cell[:1] not in tuple("=+-@\t")
    assert from_csv_text(csv_text(name)) == name
    if name == name.strip():
        assert point_tables.parse(text, "a.csv") == ([(1.0, 2.0)], [name or None])


def test_marks_become_their_centroids_row_by_row(tmp_path):
    marks = np.zeros(SHAPE, int)
    marks[1, 50] = marks[29:32, 1:4] = 255
    marks[34, 9] = marks[35, 10] = 7  # 8-connected: one mark
    write_labels(tmp_path / "marks.png", marks)
    assert read(tmp_path / "marks.png", SHAPE).tolist() == [[1, 50], [30, 2], [34.5, 9.5]]
    write_image(tmp_path / "grey.png", np.repeat(marks.astype(np.uint8)[..., None], 3, axis=2))
    assert len(read(tmp_path / "grey.png", SHAPE)) == 3


def test_a_file_without_points_has_none(tmp_path):
    write_labels(tmp_path / "none.png", np.zeros(SHAPE, int))
    saved(tmp_path, "none.csv", "x,y\n")
    saved(tmp_path, "empty.csv", "")
    saved(tmp_path, "none.geojson", '{"type": "FeatureCollection", "features": []}')
    for name in ("none.png", "none.csv", "empty.csv", "none.geojson"):
        assert read(tmp_path / name, SHAPE).shape == (0, 2)


@given(clicks, st.sampled_from([".csv", ".geojson"]), st.sampled_from([None, "A", 'naïve, "B"']))
def test_what_is_written_is_read_again(tmp_path_factory, points, suffix, label):
    path = tmp_path_factory.mktemp("points") / f"a{suffix}"
    write(path, points, labels=None if label is None else [label] * len(points))
    assert read(path).tolist() == as_points(points).tolist()
    if points and label:
        assert len(read(path, label=label)) == len(points)


WRONG_TEXTS = [
    ("a.csv", "x,y\n5,45\n", "points-outside"),
    ("a.csv", "x,y\n5,45\n59,1\n", "points-outside"),
    ("a.csv", "x,y\n99,99\n98,3\n", "points-outside"),
    ("a.csv", "x,y\n1,1\n7,7\n7.2,6.9\n", "points-duplicate"),
    ("a.csv", "x,y\n1,one\n", "point-coordinates"),
    ("a.csv", "x,y\n1,1_0\n", "point-coordinates"),
    ("a.csv", "x,y\n1,0x1\n", "point-coordinates"),
    ("a.csv", "index,axis-0,axis-1,axis-2\n0,3,1,5\n1,4,30,2\n", "points-slices"),
    ("a.csv", "index,shape-type,vertex-index,axis-0,axis-1\n0,polygon,0,1,5\n", "table-columns"),
    ("a.tsv", "ROI\tNum points\tCentroid X px\tCentroid Y px\nPoints\t3\t5\t5\n", "points-merged"),
    ("a.csv", "x,y\n1\n", "point-coordinates"),
    ("a.csv", "x,y\n1,nan\n", "points-finite"),
    ("a.csv", "x,z\n1,1\n", "table-columns"),
    ("a.txt", "Centroid X µm\tCentroid Y µm\n1\t1\n", "table-columns"),
    ("a.csv", 'x,y\n1,"' + "9" * 200_000, "table-malformed"),
    ("a.geojson", "{", "geojson-malformed"),
    ("a.geojson", "[" * 100_000, "geojson-malformed"),
    ("a.geojson", "[" * 40 + "]" * 40, "geojson-depth"),
    ("a.json", '{"type": "Polygon", "coordinates": []}', "geojson-geometry"),
    ("a.json", '{"a": 1}', "geojson-geometry"),
    ("a.json", '{"type": "Point", "coordinates": [1]}', "point-coordinates"),
    ("a.json", '{"type": "Point", "coordinates": {"x": 1}}', "point-coordinates"),
    ("a.json", '{"type": "Point", "coordinates": ["12", "5"]}', "point-coordinates"),
    ("a.json", '{"type": "Point", "coordinates": [true, 5]}', "point-coordinates"),
    ("a.json", '{"type": "Point", "coordinates": [1' + "0" * 400 + ', 5]}', "point-coordinates"),
    ("a.json", '[{"type": "Point", "coordinates": [1, 1], "plane": {"z": 0}}, {"type": "Point", "coordinates": [2, 2], '
               '"plane": {"z": 1}}]', "points-slices"),
    ("a.json", '{"type": "MultiPoint", "coordinates": 3}', "geojson-malformed"),
    ("a.json", '{"type": "Feature", "geometry": null}', "geojson-geometry"),
    ("a.xlsx", "", "file-suffix"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "code"), WRONG_TEXTS)
def test_wrong_texts_are_refused(tmp_path, name, text, code, raises_code):
    with raises_code(code):
        read(saved(tmp_path, name, text), SHAPE)


def test_files_that_cannot_be_read(tmp_path, monkeypatch, raises_code):
    with raises_code("file-unreadable"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes(b"x,y,label\n1,1,na\xefve\n")
    with raises_code("file-unreadable"):
        read(tmp_path / "latin.csv")
    monkeypatch.setattr("hsn.annotations.points.POINTS_BYTES", 3)
    with raises_code("file-too-large"):
        read(saved(tmp_path, "big.csv", "1,1\n"))


def test_images_that_are_not_point_images_are_refused(tmp_path, raises_code):
    write_labels(tmp_path / "marks.png", np.ones((4, 6), int))
    with raises_code("points-not-marks"):
        read(tmp_path / "marks.png")
    with raises_code("shape-mismatch"):
        read(tmp_path / "marks.png", SHAPE)


def test_invalid_points_are_not_written(tmp_path, raises_code):
    with raises_code("file-suffix"):
        write(tmp_path / "a.txt", POINTS)
    with raises_code("length-mismatch"):
        write(tmp_path / "a.csv", POINTS, labels=["A"])


@pytest.mark.parametrize("points", [[1, 2], [[1, 2, 3]], [["a", "b"]]])
def test_arrays_that_are_not_points_are_refused(points, raises_code):
    with raises_code("points-shape"):
        as_points(points)


@pytest.mark.parametrize(("point", "inside"), [((-0.5, -0.5), True), ((39.5, 59.5), True), ((-0.6, 0), False),
                                               ((39.6, 0), False), ((0, 59.6), False), ((0, -0.6), False)])  # fmt: skip
def test_a_point_may_lie_on_any_part_of_a_pixel(point, inside, raises_code):
    if inside:
        assert ((to_pixels([point], SHAPE) >= 0) & (to_pixels([point], SHAPE) < SHAPE)).all()
    else:
        with raises_code("points-outside"):
            as_points([point], SHAPE)
