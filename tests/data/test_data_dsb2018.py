"""2018 Data Science Bowl: the split by name, and the scale that is estimated from the nuclei."""

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.data import dsb2018
from hsn.images.read import write

OTHERS = [f"{k:02d}" for k in range(8)]


@pytest.fixture
def folder(tmp_path):
    """One test image and eight others with twelve nuclei of 4 x 4 px; the last has five."""
    for name in (dsb2018.TEST[0], *OTHERS):
        instances = np.kron(np.arange(12).reshape(3, 4) + 1, np.ones((4, 4), int))
        if name == OTHERS[-1]:
            instances[instances > 5] = 0
        write(tmp_path / "images" / f"{name}.png", np.full((12, 16, 3), 200, np.uint8))
        write_labels(tmp_path / "labels_instance" / f"{name}.png", instances)
    return tmp_path


def test_the_split_is_fixed_and_images_with_few_nuclei_are_left_out(folder):
    of = {split: [s.name for s in dsb2018.list_samples(folder, split)] for split in dsb2018.SPLITS}
    assert of == {"train": OTHERS[1:6], "validation": ["00", "06"], "test": [dsb2018.TEST[0]]}


@pytest.mark.parametrize(("side", "mpp"), [(4, 0.45), (16, (24.4 / 256) ** 0.5), (40, 0.1875)])
def test_the_scale_follows_from_the_median_nucleus_within_limits(side, mpp):
    instances = np.kron(np.arange(8).reshape(2, 4), np.ones((side, side), int))
    assert dsb2018.estimate_mpp(instances) == pytest.approx(mpp)


def test_a_wrong_folder_or_split_is_an_error(tmp_path, raises_code):
    with raises_code("samples-missing"):
        dsb2018.list_samples(tmp_path)
    with raises_code("split-unknown"):
        dsb2018.list_samples(tmp_path, "all")


def test_the_real_data_have_the_images_of_the_repository_as_test(data):
    counts = [len(dsb2018.list_samples(data / "dsb2018_histology", split)) for split in dsb2018.SPLITS]
    assert counts == [82, 17, 6]
