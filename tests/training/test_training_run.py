"""Runs: a folder continues only its own run, in one process at a time."""

import json
import os
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from hsn.config import TrainConfig
from hsn.locks import process_start
from hsn.training.run import Run, digest
from hsn.types import History

DATA = ([np.arange(4), np.ones(2)], [None, np.zeros(1)])


def net(value=0.5):
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    made.set_weights([np.full((2, 1), value, np.float32)])
    return made


def opened(out, train=None, *, data=DATA, value=0.5, **options):
    return Run.open(out, train or TrainConfig(), net=net(value), data=data, **options)


def test_the_same_run_continues(tmp_path):
    for _ in range(2):
        with opened(tmp_path / "mine") as run:
            assert run.folder == tmp_path / "mine" / "training"
    record = json.loads((run.folder / "run.json").read_text())
    assert record["config"]["epochs"] == TrainConfig().epochs
    assert not (run.folder / "run.lock").exists()
    assert "resumes an interrupted run" in (run.folder / "README.md").read_text()


@pytest.mark.parametrize(
    "other",
    [
        {"train": TrainConfig(seed=1)},
        {"data": (DATA[0], [None, np.ones(1)])},
        {"data": (DATA[0][::-1], DATA[1])},
        {"value": 0.25},
    ],
    ids=["config", "annotations", "order", "weights"],
)
def test_another_run_is_an_error_and_nothing_changes(tmp_path, other, raises_code):
    with opened(tmp_path):
        pass
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with raises_code("run-other"):
        opened(tmp_path, **other)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_settings_that_differ_are_named(tmp_path, raises_code):
    with opened(tmp_path):
        pass
    with raises_code("run-other") as caught:
        opened(tmp_path, TrainConfig(augmentation={"zoom": (0.5, 1)}))
    assert "augmentation.zoom" in str(caught.value)


@pytest.mark.parametrize("epochs", [50, 3])
def test_more_epochs_extend_a_run_and_fewer_return_it(tmp_path, epochs):
    for name in ("kept", "redone"):
        (tmp_path / name).mkdir()
    with opened(tmp_path):
        pass
    with opened(tmp_path, TrainConfig(epochs=epochs), depends={"epochs": ("redone",)}):
        pass
    assert (tmp_path / "kept").exists()
    assert (tmp_path / "redone").exists() == (epochs < TrainConfig().epochs)
    assert json.loads((tmp_path / "training" / "run.json").read_text())["config"]["epochs"] == epochs


def test_the_net_starts_from_the_weights_of_the_first_call(tmp_path):
    with opened(tmp_path) as run:
        trained = run._net
        trained.set_weights([np.full((2, 1), 9.0, np.float32)])
    again = Run.open(tmp_path, TrainConfig(), net=trained, data=DATA)  # the same object, trained since
    with again:
        np.testing.assert_array_equal(trained.get_weights()[0], 0.5)


def test_a_locked_folder_is_an_error(tmp_path, raises_code):
    with opened(tmp_path), raises_code("run-locked"):
        opened(tmp_path)
    with opened(tmp_path):
        pass


@pytest.mark.parametrize("holder", ["{", "dead", "number given again"])
def test_a_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    lock = tmp_path / "training" / "run.lock"
    lock.parent.mkdir()
    if holder == "dead":
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        holder = json.dumps({"host": socket.gethostname(), "pid": child.pid, "started": "1"})
    elif holder != "{":
        holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": "long ago"})
    lock.write_text(holder)
    with opened(tmp_path):
        assert json.loads(lock.read_text())["pid"] == os.getpid()


def test_a_lock_of_another_machine_counts(tmp_path, raises_code):
    lock = tmp_path / "training" / "run.lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "1"}))
    with raises_code("run-locked"):
        opened(tmp_path)


def test_a_second_live_process_is_an_error(tmp_path, raises_code):
    code = (
        "import json, pathlib, sys, time\n"
        "from hsn.locks import process_start\n"
        "import os, socket\n"
        "lock = pathlib.Path(sys.argv[1])\n"
        "lock.parent.mkdir(parents=True)\n"
        "lock.write_text(json.dumps({'host': socket.gethostname(), 'pid': os.getpid(),"
        " 'started': process_start(os.getpid())}))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "training" / "run.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"ready\n"
        with raises_code("run-locked") as caught:
            opened(tmp_path)
        assert str(other.pid) in str(caught.value)
    finally:
        other.communicate()
    with opened(tmp_path):
        pass


def test_leftovers_of_dead_processes_are_removed(tmp_path):
    for name in (".abcd1234.history.json", ".abcd_x34.net.keras"):
        (tmp_path / "rounds").mkdir(exist_ok=True)
        (tmp_path / "rounds" / name).write_text("half")
    (tmp_path / ".new-abc").mkdir()
    (tmp_path / ".gitignore").write_text("mine")
    with opened(tmp_path):
        left = {path.name for path in tmp_path.rglob(".*")}
    assert left == {".gitignore"}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_an_error(tmp_path, raises_code):
    tmp_path.chmod(0o500)
    try:
        with raises_code("folder-not-writable"):
            opened(tmp_path / "mine")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path, raises_code):
    (tmp_path / "mine").write_text("a file")
    with raises_code("folder-not-writable"):
        opened(tmp_path / "mine")


def test_a_full_disk_is_an_error_before_the_first_epoch(tmp_path, monkeypatch, raises_code):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7))
    with raises_code("folder-full"):
        opened(tmp_path)
    assert not (tmp_path / "training" / "run.lock").exists()


def test_a_folder_of_the_first_edition_is_not_continued(tmp_path, raises_code):
    (tmp_path / "run.json").write_text("{}")
    with raises_code("run-other"):
        opened(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_a_damaged_record_is_an_error(tmp_path, text, raises_code):
    with opened(tmp_path):
        pass
    (tmp_path / "training" / "run.json").write_text(text)
    with raises_code("run-other"):
        opened(tmp_path)


def test_the_history_becomes_a_table(tmp_path):
    with opened(tmp_path) as run:
        run.finish(History(({"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "validation_pq": 1.0})))
    lines = (tmp_path / "training" / "learning.csv").read_text().splitlines()
    assert lines == ["epoch,loss,validation_pq", "1,0.5,", "2,0.25,1.0"]


def test_a_digest_follows_values_files_masks_and_nesting(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"12")
    before = digest([path])
    path.write_bytes(b"13")
    assert digest([path]) != before
    assert digest([tmp_path / "missing"]) != digest([tmp_path / "other"])
    masked = np.ma.masked_equal([1, 2], 2)
    assert digest([masked]) != digest([np.array([1, 0])]) != digest([np.array([1, 0], np.int8)])
    assert digest([[1], [2]]) != digest([[1, 2], []])
    assert digest([np.zeros((2, 3))]) != digest([np.zeros((3, 2))])
    assert digest([np.zeros((4, 6))[::2]]) == digest([np.zeros((2, 6))])


def test_a_process_has_one_start(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    started = process_start(child.pid)
    assert started
    assert started == process_start(child.pid)
    child.communicate()
    assert process_start(child.pid) is None
