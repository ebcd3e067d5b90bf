"""MultiOrgan: FullNet's split by patient, in each layout; what is missing is named."""

import json

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.data import multiorgan
from hsn.data.sample import nuclei_sample
from hsn.images.read import write
from hsn.taxonomies import NUCLEI

SIZES = {"train": 12, "validation": 4, "testA": 8, "testB": 6, "test": 14, "all": 30}


def names():
    return [f"{p}-01Z-00-DX1" for part in multiorgan._ORGANS.values() for ps in part.values() for p in ps]


@pytest.fixture(params=[("images", "labels_instance"), ("Tissue Images", "Annotations")])
def folder(request, tmp_path):
    pictures, truth = request.param
    for name in names():
        write(tmp_path / pictures / f"{name}.bmp", np.full((2, 3, 3), 200, np.uint8))
        write_labels(tmp_path / truth / f"{name}.png", np.array([[0, 4, 4], [0, 0, 300]]))
    return tmp_path


def test_no_patient_is_in_two_parts():
    assert len(set(names())) == 30


@pytest.mark.parametrize(("split", "count"), SIZES.items())
def test_splits_have_their_sizes(folder, split, count):
    assert len(multiorgan.list_samples(folder, split)) == count


def test_a_sample_has_name_organ_and_instances(folder):
    first = multiorgan.list_samples(folder)[0]
    assert (first.name, first.group, first.mpp) == ("TCGA-A7-A13E-01Z-00-DX1", "Breast", 0.25)
    assert first.instances().tolist() == [[0, 4, 4], [0, 0, 300]]
    assert first.truth(NUCLEI)[0].tolist() == [[0, 1, 1], [0, 0, 1]]


def test_missing_images_are_named(tmp_path, raises_code):
    write(tmp_path / "images" / "TCGA-AR-A1AS-x.png", np.full((2, 3, 3), 200, np.uint8))
    with raises_code("samples-missing"):
        multiorgan.list_samples(tmp_path, "validation")
    with raises_code("split-unknown"):
        multiorgan.list_samples(tmp_path, "val")


def test_the_real_one_has_the_published_numbers(data):
    split = json.loads((data / "multiorgan" / "split.json").read_text())
    for ours, theirs in (("train", "train"), ("validation", "val"), ("testA", "testA"), ("testB", "testB")):
        assert {s.name for s in multiorgan.list_samples(data / "multiorgan", ours)} == set(split[theirs])
    counts = [
        len(np.unique(s.instances())) - 1 for s in multiorgan.list_samples(data / "multiorgan", "validation")
    ]
    assert sum(counts) == pytest.approx(3065, abs=5)


def test_aperio_files_hold_the_instances_of_the_label_images(data):
    for path in sorted((data / "multiorgan" / "annotations_xml").glob("*.xml"))[:1]:
        image = next((data / "multiorgan" / "images").glob(f"{path.stem}.*"))
        labels = next((data / "multiorgan" / "labels_instance").glob(f"{path.stem}.*"))
        outlined, labeled = (
            len(np.unique(nuclei_sample(image, [truth], organ="", mpp=0.25).instances()))
            for truth in (path, labels)
        )
        assert outlined == pytest.approx(labeled, rel=0.02)
