"""Studies: a round trip through plain files, the images of a training, wrong tables, and the history."""

import json

import numpy as np
import pytest

from hsn.annotations import qupath
from hsn.annotations.annotation import Annotation, Point
from hsn.annotations.label_files import write_labels
from hsn.images.read import write
from hsn.projects.study import (
    HISTORY,
    IMAGES,
    StudyImage,
    add_history,
    add_images,
    find_study,
    new_study,
    read_study,
    write_images,
)


@pytest.fixture
def study(tmp_path, rng):
    for name in "abc":
        write(tmp_path / "images" / f"{name}.png", rng.integers(0, 256, (20, 30, 3), np.uint8))
    classes = {"Nucleus": "object", "Stroma": "tissue"}
    return new_study(tmp_path / "mine", images=[tmp_path / "images"], classes=classes, mpp=0.5)


def test_a_study_is_read_as_it_was_made(study):
    assert read_study(study.folder) == study
    assert (study.name, study.mpp) == ("mine", 0.5)
    assert study.kinds("object") == ("Nucleus",)
    assert [image.path.name for image in study.images()] == ["a.png", "b.png", "c.png"]
    assert {image.mpp for image in study.images()} == {0.5}


def test_images_come_with_their_annotation_and_without_test_images(study):
    a, b, c = study.images()
    rows = [a, StudyImage(b.path, 0.25, "patient 1", "val"), StudyImage(c.path, split="test")]
    write_images(study, rows)
    write_labels(study.folder / "masks" / "a.png", np.ones((20, 30), int))
    qupath.write(study.folder / "annotations" / "b.geojson", Annotation(points=(Point(1, 2),)))
    (study.folder / "tags.csv").write_text("file,Nucleus,Stroma\nb.png,1,\n")
    found = find_study(study)
    assert [path.name for path in found.images] == ["a.png", "b.png"]
    first, second = found.annotations
    assert (first.masks.name, first.drawn, first.mpp) == ("a.png", None, 0.5)
    assert (second.drawn.name, second.group, second.mpp) == ("b.geojson", "patient 1", 0.25)
    assert [(tag.name, tag.present) for tag in second.tags] == [("Nucleus", True)]


def test_missing_images_are_left_out(study):
    write_images(study, [*study.images(), StudyImage(study.folder / "gone.png")])
    found = find_study(study)
    assert len(found.images) == 3
    assert [reason for _, reason in found.left_out] == ["does not exist"]


@pytest.mark.parametrize("row", ["a.png,fast,,", "a.png,0.5,,other", ",,,", "a.png,,,\na.png,,,"])
def test_a_wrong_table_is_an_error(study, row, raises_code):
    (study.folder / IMAGES).write_text(f"image,mpp,group,split\n{row}\n")
    with raises_code("study-table"):
        study.images()


def test_wrong_studies_are_errors(study, tmp_path, raises_code):
    with raises_code("study-exists"):
        new_study(study.folder)
    with raises_code("study-missing"):
        read_study(tmp_path)
    with raises_code("kind-unknown"):
        new_study(tmp_path / "other", classes={"Nucleus": "cell"})
    (study.folder / "study.toml").write_text('name = "a"\n[[classes]]\nname = "b"\n')
    with raises_code("study-invalid"):
        read_study(study.folder)


def test_the_history_is_appended_with_checksums(study):
    add_history(study, "annotated", files=[study.folder / IMAGES], image="a.png")
    rows = [json.loads(line) for line in (study.folder / HISTORY).read_text().splitlines()]
    assert [row["event"] for row in rows] == ["new", "annotated"]
    assert rows[0]["images"] == 3
    assert len(rows[1]["sha256"][str(study.folder / IMAGES)]) == 64
    assert rows[1]["time"].endswith("+00:00")


def test_added_images_keep_the_other_rows_of_the_table(study, tmp_path, rng, raises_code):
    write(study.folder / "more" / "d.png", rng.integers(0, 256, (20, 30, 3), np.uint8))
    added = add_images(study, [study.folder / "more", tmp_path / "images"], group="p", mpp=0.25, split="test")
    assert [(image.path.name, image.group, image.mpp) for image in added] == [("d.png", "p", 0.25)]
    table = (study.folder / IMAGES).read_text().splitlines()
    assert table[-1] == "more/d.png,0.25,p,test"
    assert all(line.endswith(",,,") for line in table[1:-1])
    assert [image.path.is_file() for image in study.images()] == [True] * 4
    with raises_code("split-unknown"):
        add_images(study, [tmp_path / "images"], split="other")
    with raises_code("data-missing"):
        add_images(study, [tmp_path / "nowhere"])
