"""GlaS: three layouts, splits by name, a validation part that shares no patient with the rest."""

import csv

import numpy as np
import pytest

from hsn.annotations.colors import to_colors
from hsn.annotations.label_files import write_labels
from hsn.data import glas
from hsn.images.read import write
from hsn.taxonomies import GLAS

NAMES = ("train_1", "train_2", "train_10", "testA_1", "testB_1", "made_1")
GLANDS = np.array([[0, 1, 1, 0], [0, 0, 0, 2]])
COARSE = np.array([[0, 1]])  # the release's coarse picture, which may disagree
LAYOUTS = {
    "release": ("img/02_glas_full/{}.png", "gt/02_glas_full/glas_multi_gland/{}.bmp"),
    "plain": ("images/{}.png", "labels_instance/{}_anno.png"),
    "challenge": ("{}.bmp", "{}_anno.bmp"),
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    image, objects = LAYOUTS[request.param]
    for name in NAMES:
        write(tmp_path / image.format(name), np.full((2, 4, 3), 200, np.uint8))
        write_labels(tmp_path / objects.format(name), GLANDS)
    (tmp_path / "Grade.csv").write_text(
        "name, patient ID, grade (GlaS), finer\ntrain_1, 7, benign, healthy\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", ["train_1", "train_2", "train_10"]),
        ("learn", ["train_1", "train_10"]),
        ("validation", ["train_2"]),
        ("testA", ["testA_1"]),
        ("testB", ["testB_1"]),
        ("all", ["made_1", "testA_1", "testB_1", "train_1", "train_2", "train_10"]),
    ],
)
def test_splits_go_by_name_in_every_layout(layout, split, names):
    assert [s.name for s in glas.list_samples(layout, split)] == names


def test_a_sample_has_patient_grade_and_truth(layout):
    first, second, _ = glas.list_samples(layout)
    assert (first.group, first.grade, first.mpp) == ("7", "benign", 0.62)
    assert (second.group, second.grade) == (None, None)
    assert first.image().shape == (2, 4, 3)
    assert first.instances().tolist() == GLANDS.tolist()
    labels, known = first.truth(GLAS)
    assert labels.tolist() == (GLANDS > 0).astype(int).tolist()
    assert known.all()


@pytest.fixture
def release(tmp_path):
    image, objects = LAYOUTS["release"]
    write(tmp_path / image.format("train_1"), np.full((2, 4, 3), 200, np.uint8))
    write_labels(tmp_path / objects.format("train_1"), GLANDS)
    write(tmp_path / "gt/02_glas_full/glas/train_1.png", to_colors(COARSE, GLAS))
    return tmp_path


def test_the_coarse_picture_of_the_release_is_read_where_asked(release):
    (fine,) = glas.list_samples(release)
    (coarse,) = glas.list_samples(release, truth="colors")
    assert fine.truth(GLAS)[0].shape == GLANDS.shape
    assert coarse.truth(GLAS)[0].tolist() == COARSE.tolist()
    assert coarse.instances().tolist() == GLANDS.tolist()


def test_each_kind_of_truth_replaces_the_other_if_missing(release):
    next(release.rglob("*.bmp")).unlink()
    (sample,) = glas.list_samples(release)
    assert sample.truth(GLAS)[0].tolist() == COARSE.tolist()
    assert sample.instances_of is None


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"split": "test"}, "split-unknown"),
        ({"truth": "masks"}, "truth-unknown"),
        ({"split": "testA"}, "samples-missing"),
    ],
)
def test_missing_truth_is_an_error(release, call, code, raises_code):
    with raises_code(code):
        glas.list_samples(release, **call)


def test_a_damaged_table_of_patients_is_an_error(release, raises_code):
    (release / "Grade.csv").write_text("name,patient,grade\ntrain_1\n")
    with raises_code("table-malformed"):
        glas.list_samples(release)


def test_the_validation_part_of_the_real_set_is_whole_patients(data):
    with (data / "glas" / "Grade.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["name"].startswith("train_")]
    chosen = {row["name"] for row in rows if row["patient_id"] in ("3", "5", "7", "14", "15")}
    assert set(glas.VALIDATION) == chosen
    parts = {
        split: glas.list_samples(data / "glas", split) for split in ("train", "learn", "validation", "testA")
    }
    assert {k: len(v) for k, v in parts.items()} == {"train": 85, "learn": 67, "validation": 18, "testA": 60}
    assert not {s.group for s in parts["learn"]} & {s.group for s in parts["validation"]}
    assert sum(s.grade == "benign" for s in parts["validation"]) == 9
    assert sum(s.grade == "malignant" for s in parts["validation"]) == 9


def test_the_real_truth_fits_its_images(data):
    for sample in glas.list_samples(data / "glas", "testA")[:3]:
        labels, known = sample.truth(GLAS)
        assert labels.shape == known.shape == sample.image().shape[:2]
        assert sample.instances().max() >= 2
