"""Run folders: plan, lock, markers, leftovers; arrays: whole chunks, boxes across chunks."""

import json

import numpy as np
import pytest

from hsn.store.arrays import BoxReader, create_array, open_array
from hsn.store.folder import RunFolder

PLAN = {"mpp": 0.25, "model": {"name": "a", "sha256": "1"}}


def test_a_finished_task_has_a_marker_and_the_same_plan_finds_it(tmp_path):
    with RunFolder.open(tmp_path / "run", PLAN) as folder:
        worker = RunFolder.attach(tmp_path / "run", PLAN)
        worker.save_part("blocks", "0.1", {"a": np.arange(3)})
        assert not folder.is_done("blocks", "0.1")
        worker.mark("blocks", "0.1", objects=7)
    with RunFolder.open(tmp_path / "run", PLAN) as folder:
        assert folder.finished("blocks") == {"0.1"}
        assert folder.finished("windows") == set()
        assert folder.marker("blocks", "0.1")["objects"] == 7
        assert folder.load_part("blocks", "0.1")["a"].tolist() == [0, 1, 2]


def test_another_plan_is_an_error_that_names_the_difference(tmp_path, raises_code):
    with RunFolder.open(tmp_path, PLAN) as folder:
        folder.mark("blocks", "0.0")
    other = PLAN | {"model": {"name": "a", "sha256": "2"}}
    with raises_code("run-other") as caught:
        RunFolder.open(tmp_path, other)
    assert 'model.sha256 "1" there and "2" here' in str(caught.value)
    assert not (tmp_path / "run.lock").exists()
    with RunFolder.open(tmp_path, other, overwrite=True) as folder:
        assert folder.finished("blocks") == set()


def test_a_folder_in_use_is_locked_and_leftovers_of_dead_processes_go(tmp_path, raises_code):
    create_array(tmp_path / "store.zarr", "a", shape=(4, 4), chunks=(2, 2), dtype="uint8")
    leftover = tmp_path / "store.zarr" / "a" / "c.0.0.1234.partial"
    leftover.touch()
    with RunFolder.open(tmp_path, PLAN), raises_code("run-locked"):
        RunFolder.open(tmp_path, PLAN)
    assert not leftover.exists()


def test_an_error_is_recorded(tmp_path):
    with pytest.raises(RuntimeError), RunFolder.open(tmp_path, PLAN):
        raise RuntimeError("broken")
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["state"], record["reason"]) == ("failed", "broken")


def test_a_damaged_record_starts_anew(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with RunFolder.open(tmp_path, PLAN) as folder:
        assert folder.plan == PLAN


def test_boxes_across_chunks_are_those_of_the_array(tmp_path, rng):
    values = rng.integers(0, 255, (3, 50, 70), np.uint8)
    create_array(tmp_path, "p", shape=values.shape, chunks=(3, 16, 24), dtype="uint8")[:] = values
    reader = BoxReader(open_array(tmp_path, "p"))
    for _ in range(50):
        (top, bottom), (left, right) = np.sort(rng.integers(0, 51, 2)), np.sort(rng.integers(0, 71, 2))
        expected = np.moveaxis(values[:, top:bottom, left:right], 0, 2)
        np.testing.assert_array_equal(reader.read(top, left, bottom - top, right - left), expected)


def test_an_existing_array_is_kept(tmp_path):
    create_array(tmp_path, "a", shape=(4, 4), chunks=(2, 2), dtype="uint8")[:] = 5
    assert create_array(tmp_path, "a", shape=(4, 4), chunks=(2, 2), dtype="uint8")[3, 3] == 5
