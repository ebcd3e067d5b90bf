"""Contradictions of a study are reported with file and feature; a sound study has none."""

import json

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.geojson import annotation
from hsn.images.read import write
from hsn.projects.contradictions import check_study
from hsn.projects.study import StudyImage, new_study, write_images


@pytest.fixture
def study(tmp_path, rng):
    write(tmp_path / "images" / "a.png", rng.integers(0, 256, (40, 40, 3), np.uint8))
    classes = {"Nucleus": "object", "Stroma": "tissue", "Fat": "tissue"}
    return new_study(tmp_path / "mine", images=[tmp_path / "images"], classes=classes, mpp=0.5)


def draw(study, *shapes):
    """Write polygons (class, x, y, side) with the ids f0, f1 and on."""
    features = []
    for number, (label, x, y, side) in enumerate(shapes):
        ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side + 1], [x, y]]
        features.append(annotation("Polygon", [ring], label=label) | {"id": f"f{number}"})
    path = study.folder / "annotations" / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def found(study):
    return [(problem.code, problem.features) for problem in check_study(study)]


def test_a_sound_study_has_no_contradictions(study):
    draw(study, ("Nucleus", 2, 2, 8), ("Stroma", 20, 2, 9), ("Region*", 0, 0, 15), ("Ignore*", 30, 30, 9))
    (study.folder / "tags.csv").write_text("file,Nucleus,Fat\na.png,1,0\n")
    assert found(study) == []


def test_an_object_in_an_ignored_region(study):
    path = draw(study, ("Nucleus", 5, 5, 8), ("Ignore*", 0, 0, 30))
    assert found(study) == [("object-ignored", ("f0",))]
    assert str(check_study(study)[0]).startswith(f"{path} (f0): ")


@pytest.mark.parametrize("label", ["Nucleus", "Stroma"])
def test_a_class_that_is_tagged_as_absent(study, label):
    draw(study, (label, 5, 5, 8))
    (study.folder / "tags.csv").write_text(f"file,{label}\na.png,0\n")
    assert found(study) == [("tag-contradicted", ("f0",))]


def test_masks_of_objects_that_are_tagged_as_absent(study):
    write_labels(study.folder / "masks" / "a.png", np.ones((40, 40), int))
    (study.folder / "tags.csv").write_text("file,Nucleus\na.png,0\n")
    assert found(study) == [("tag-contradicted", ())]


def test_two_classes_over_the_same_pixels(study):
    draw(study, ("Stroma", 5, 5, 10), ("Fat", 8, 8, 10), ("Stroma", 6, 6, 2))
    assert ("classes-overlap", ("f0", "f1")) in found(study)


def test_a_class_that_the_study_does_not_have(study):
    draw(study, ("Tumor", 5, 5, 8))
    assert found(study) == [("class-unknown", ("f0",))]


def test_a_divided_group_and_a_file_that_cannot_be_read(study):
    image = study.images()[0]
    rows = [
        StudyImage(image.path, None, "p", "train"),
        StudyImage(image.path.parent / "b.png", None, "p", "val"),
    ]
    write_images(study, rows)
    (study.folder / "annotations" / "a.geojson").write_text("{")
    codes = [code for code, _ in found(study)]
    assert codes[0] == "group-divided"
    assert "geojson-malformed" in codes
