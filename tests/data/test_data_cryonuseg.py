"""CryoNuSeg: the named split, and its published counts of parts."""

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.data import cryonuseg
from hsn.images.read import write

MADE = ("Human_Larynx_01", "Human_Larynx_03", "Human_LymphNodes_03", "Other_01")


@pytest.fixture(params=[("images", "mask_binary"), ("tissue images", "label masks modify")])
def folder(request, tmp_path):
    pictures, masks = request.param
    for name in MADE:
        write(tmp_path / pictures / f"{name}.bmp", np.full((2, 3, 3), 200, np.uint8))
        write_labels(tmp_path / masks / f"{name}.png", np.array([[0, 255, 0], [255, 0, 255]]))
    return tmp_path


def test_the_split_goes_by_name(folder):
    of = {split: [s.name for s in cryonuseg.list_samples(folder, split)] for split in cryonuseg.SPLITS}
    assert of == {"train": ["Human_Larynx_01"], "validation": ["Human_Larynx_03"], "all": list(MADE[:3])}


def test_binary_masks_give_connected_components(folder):
    sample = cryonuseg.list_samples(folder)[0]
    assert (sample.group, sample.mpp, sample.instances_of) == ("Larynx", 0.25, "Nucleus")
    assert sample.instances().tolist() == [[0, 1, 0], [2, 0, 3]]


def test_a_wrong_folder_or_split_is_an_error(tmp_path, raises_code):
    with raises_code("samples-missing"):
        cryonuseg.list_samples(tmp_path, "all")
    with raises_code("split-unknown"):
        cryonuseg.list_samples(tmp_path, "test")


def test_the_real_data_have_the_published_components(data):
    learned, validated = (
        cryonuseg.list_samples(data / "cryonuseg", split) for split in ("train", "validation")
    )
    assert (len(learned), len(validated)) == (22, 6)
    counts = {s.name.removeprefix("Human_"): int(s.instances().max()) for s in validated}
    assert counts == {"AdrenalGland_02": 102, "Testes_01": 150, "Mediastinum_01": 313, "Larynx_03": 142,
                      "Pleura_02": 144, "AdrenalGland_03": 97}  # fmt: skip
