"""MultiOrgan: FullNet's split by patient, in each layout; what is missing is named."""

import json

import numpy as np
import pytest

from hsn import InputError
from hsn.annotations.label_files import write_labels
from hsn.data import multiorgan
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
    assert len(multiorgan.images(folder, split)) == count


def test_what_a_sample_tells(folder):
    first = multiorgan.images(folder)[0]
    assert (first.name, first.group, first.mpp) == ("TCGA-A7-A13E-01Z-00-DX1", "Breast", 0.25)
    assert first.instances().tolist() == [[0, 4, 4], [0, 0, 300]]
    assert first.truth(NUCLEI)[0].tolist() == [[0, 1, 1], [0, 0, 1]]


def test_missing_images_are_named(tmp_path):
    write(tmp_path / "images" / "TCGA-AR-A1AS-x.png", np.full((2, 3, 3), 200, np.uint8))
    with pytest.raises(
        InputError, match="expected 4, received none of TCGA-HE-7130, TCGA-50-5931, TCGA-G9-6363"
    ):
        multiorgan.images(tmp_path, "validation")
    with pytest.raises(InputError, match="MultiOrgan has no such split"):
        multiorgan.images(tmp_path, "val")


def test_the_real_one_has_the_published_numbers(data):
    split = json.loads((data / "multiorgan" / "split.json").read_text())
    for ours, theirs in (("train", "train"), ("validation", "val"), ("testA", "testA"), ("testB", "testB")):
        assert {s.name for s in multiorgan.images(data / "multiorgan", ours)} == set(split[theirs])
    counts = [len(np.unique(s.instances())) - 1 for s in multiorgan.images(data / "multiorgan", "validation")]
    assert sum(counts) == pytest.approx(3065, abs=5)


def test_aperio_files_stand_for_label_images(data):
    for path in sorted((data / "multiorgan" / "annotations_xml").glob("*.xml"))[:1]:
        image = next((data / "multiorgan" / "images").glob(f"{path.stem}.*"))
        sample = multiorgan._sample(image, path.parent, "Breast")
        told = len(
            np.unique(multiorgan._sample(image, data / "multiorgan" / "labels_instance", "").instances())
        )
        assert len(np.unique(sample.instances())) == pytest.approx(told, rel=0.02)
