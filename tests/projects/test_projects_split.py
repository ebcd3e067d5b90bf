"""Splits of a study: groups stay whole, given splits stay, each kind is on both sides."""

from collections import Counter

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.images.read import write
from hsn.projects.split import split_study
from hsn.projects.study import StudyImage, new_study, write_images


@pytest.fixture
def study(tmp_path):
    """A study of twelve outlined images of six patients, and three images without annotation."""
    study = new_study(tmp_path / "mine", mpp=0.5)
    rows = []
    for k in range(15):
        path = study.folder / "images" / f"{k}.png"
        write(path, np.full((8, 8, 3), k, np.uint8))
        if k < 12:
            write_labels(study.folder / "masks" / f"{k}.png", np.ones((8, 8), int))
        rows.append(StudyImage(path, group=f"patient {k // 2}" if k < 12 else None))
    write_images(study, rows)
    return study


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_divided(study, seed):
    split_study(study, val=0.2, test=0.2, seed=seed)
    rows = study.images()
    sides = {row.group: {other.split for other in rows if other.group == row.group} for row in rows[:12]}
    assert all(len(found) == 1 for found in sides.values())
    assert Counter(row.split for row in rows[:12]) == {"train": 8, "val": 2, "test": 2}
    assert {row.split for row in rows[12:]} == {"train"}


def test_given_splits_stay_and_bind_their_group(study):
    rows = study.images()
    write_images(
        study,
        [StudyImage(row.path, group=row.group, split="test" if k == 0 else "") for k, row in enumerate(rows)],
    )
    split_study(study, seed=1)
    assert [row.split for row in study.images()[:2]] == ["test", "test"]
    before = [row.split for row in study.images()]
    split_study(study, seed=2)
    assert [row.split for row in study.images()] == before
    split_study(study, seed=2, again=True)
    assert "test" not in [row.split for row in study.images()]


def test_wrong_shares_and_a_single_group_are_errors(study, raises_code):
    with raises_code("split-sizes"):
        split_study(study, val=0.6, test=0.5)
    with raises_code("split-sizes"):
        split_study(study, val=float("nan"))
    write_images(study, [StudyImage(row.path, group="one") for row in study.images()])
    with raises_code("split-groups"):
        split_study(study)
