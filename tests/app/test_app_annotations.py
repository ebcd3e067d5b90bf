"""Edits add up to features and tags; files, replay and undo agree."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsn.annotations import qupath
from hsn.app.annotations import Annotations
from hsn.projects.study import find_study, read_study


@pytest.fixture
def annotations(project):
    return Annotations(project)


def test_a_replay_gives_the_same_features_as_the_files(annotations, project, feature, put):
    stroke = feature([[1, 2], [30, 40]], "LineString", "Background", hsn={"width_um": 6})
    outline = feature([[[5, 5], [9, 5], [9, 9]]], "Polygon")
    annotations.edit([put(feature(), 1), put(stroke, 2), put(outline, 3)], session="s")
    annotations.edit([{"op": "remove", "image": "a", "id": stroke["id"], "number": 4}], session="s")
    annotations.write_files()
    stored = json.loads((project.folder / "annotations" / "a.geojson").read_text())
    assert stored["features"] == annotations.features("a") == Annotations(project).features("a")
    assert stored["seq"] == 4
    assert len(stored["features"]) == 2


def test_the_project_is_a_study_that_training_takes(annotations, project, feature, put):
    stroke = feature([[1, 2], [30, 40]], "LineString", "Background")
    annotations.edit([put(feature((10.5, 20.5)), 1), put(stroke, 2)], session="s")
    annotations.edit([{"op": "tag", "image": "a", "id": "Nucleus", "value": 1, "number": 3}], session="s")
    annotations.write_files()
    found = find_study(read_study(project.folder))
    files = found.annotations[0]
    drawn = qupath.read(files.drawn)
    assert [(p.row, p.col, p.label) for p in drawn.points] == [(20.0, 10.0, "Nucleus")]
    assert drawn.scribbles[0].label == "Background"
    assert [(tag.name, tag.present) for tag in files.tags] == [("Nucleus", True)]


def test_annotations_of_another_program_are_taken_over_and_kept(project, feature, put):
    from hsn.app.exchange import import_existing

    path = project.folder / "annotations" / "a.geojson"
    drawn = {"type": "FeatureCollection", "features": [feature((5.5, 6.5)), feature((7.5, 8.5))]}
    path.write_text(json.dumps(drawn))
    annotations = Annotations(project)
    import_existing(project, annotations)
    annotations.edit([put(feature((9.5, 9.5)), 1)], session="s")
    annotations.close()
    assert [f["geometry"]["coordinates"] for f in json.loads(path.read_text())["features"]] == [
        [5.5, 6.5], [7.5, 8.5], [9.5, 9.5]
    ]  # fmt: skip
    assert json.loads(path.with_suffix(".geojson.bak").read_text()) == drawn


def test_an_edit_that_is_sent_twice_is_applied_once(annotations, project, feature, put):
    edits = [put(feature(), 1), put(feature(), 2)]
    assert annotations.edit(edits, session="s") == 2
    assert annotations.edit(edits, session="s") == 2
    assert Annotations(project).edit(edits, session="s") == 2  # also after a restart
    assert annotations.edit([put(feature(), 1)], session="other") == 3


def test_one_bad_edit_refuses_all_of_them(annotations, raises_code, feature, put):
    with raises_code("feature-invalid"):
        annotations.edit([put(feature(), 1), put(feature((500, 5)), 2)], session="s")
    assert annotations.seq == 0
    assert annotations.features("a") == []


BAD = [
    ({"coordinates": (math.nan, 1)}, "finite"),
    ({"coordinates": (True, 1)}, "finite"),
    ({"coordinates": (121, 1)}, "on the image"),
    ({"coordinates": ("1", 1)}, "finite"),
    ({"name": "Unknown"}, "class"),
    ({"name": "Region*"}, "polygon"),
    ({"kind": "MultiPoint", "coordinates": [[1, 1]]}, "geometry"),
    ({"kind": "Polygon", "coordinates": []}, "outline"),
    ({"kind": "Polygon", "coordinates": [[[1, 1], [2, 2]]]}, "corners"),
    ({"kind": "LineString", "coordinates": [[1, 1], [2, 2]], "hsn": {"width_um": -1}}, "width_um"),
]


@pytest.mark.parametrize(("entries", "word"), BAD)
def test_what_cannot_be_drawn_is_refused(annotations, raises_code, feature, put, entries, word):
    with raises_code("feature-invalid") as caught:
        annotations.edit([put(feature(**entries))], session="s")
    assert word in str(caught.value)


def test_unknown_entries_of_a_feature_are_not_stored(annotations, feature, put):
    drawn = feature(evil={"x": 1}) | {"more": 2}
    annotations.edit([put(drawn)], session="s")
    (stored,) = annotations.features("a")
    assert set(stored) == {"type", "id", "geometry", "properties"}
    assert set(stored["properties"]) == {"objectType", "classification"}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_taking_back_all_edits_gives_nothing_and_again_gives_all(
    images, tmp_path_factory, feature, put, data
):
    """The page takes back an edit by sending the feature as it was: the states must come back in reverse order."""
    from hsn.app.project import close_project, open_project

    folder = tmp_path_factory.mktemp("undo")
    project = open_project([images], folder, mpp=0.5, aim="nuclei")
    try:
        annotations, states, undo = Annotations(project), [[]], []
        known = {}
        for number in range(1, data.draw(st.integers(1, 8)) + 1):
            choice = data.draw(st.sampled_from(["add", "change", "remove"] if known else ["add"]))
            drawn = feature((data.draw(st.integers(0, 120)), data.draw(st.integers(0, 90))))
            if choice != "add":
                drawn["id"] = data.draw(st.sampled_from(sorted(known)))
            before = known.get(drawn["id"])
            edit = put(drawn, number)
            if choice == "remove":
                edit = {"op": "remove", "image": "a", "id": drawn["id"], "number": number}
                known.pop(drawn["id"])
            else:
                known[drawn["id"]] = drawn
            undo.append((drawn["id"], before))
            annotations.edit([edit], session="s")
            states.append(by_id(annotations))
        for number, (name, before) in enumerate(reversed(undo), 100):
            states.pop()
            back = {"op": "remove", "image": "a", "id": name} if before is None else put(before)
            annotations.edit([back | {"number": number}], session="s")
            assert by_id(annotations) == by_id_of(states[-1])
        assert by_id(Annotations(project)) == []
    finally:
        annotations.close()
        close_project(project)


def by_id(annotations):
    return by_id_of(annotations.features("a"))


def by_id_of(features):
    return sorted(features, key=lambda feature: feature["id"])
