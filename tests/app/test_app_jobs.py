"""Trainings: what is written is what `hsn fit` takes; a child's progress, end, cancel and resume."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from hsn.annotations import qupath
from hsn.annotations.annotation import fill
from hsn.app import jobs as module
from hsn.app.annotations import Annotations
from hsn.app.inputs import CROP_PX, write_input
from hsn.app.jobs import Jobs
from hsn.app.project import close_project, open_project
from hsn.images.read import read, write
from hsn.models.folders import find
from hsn.projects.study import find_study, read_study

# A child that reports two epochs, waits if it is told to, and writes a card.
CHILD = """
import json, sys, time
from pathlib import Path
folder, wait = Path(sys.argv[1]), float(sys.argv[2])
for epoch in (1, 2):
    with (folder / "progress.jsonl").open("a") as file:
        row = {"stage": "training", "done": epoch, "total": 2, "epoch": epoch, "loss": 1 / epoch}
        row["rate"], row["validation_f1"] = 0.1, epoch / 4
        file.write(json.dumps(row) + "\\n")
    time.sleep(wait)
(folder / "card.json").write_text("{}")
"""


@pytest.fixture
def annotations(project, feature, put):
    annotations = Annotations(project)
    annotations.edit([put(feature(), 1), put(feature((60, 40)), 2)], session="s")
    yield annotations
    annotations.close()


@pytest.fixture
def jobs(project, annotations, monkeypatch):
    """Trainings whose child is the stand-in; `wait[0]` is its pause in seconds."""
    wait, messages, ended = [0.0], [], threading.Event()

    def publish(kind, **values):
        messages.append({"type": kind, **values})
        if kind == "job" and values["state"] != "running":
            ended.set()

    monkeypatch.setattr(
        Jobs,
        "_command",
        lambda self, folder, *budget: [sys.executable, "-c", CHILD, str(folder), str(wait[0])],
    )
    jobs = Jobs(project, annotations, publish)
    jobs.wait, jobs.messages, jobs.ended = wait, messages, ended
    yield jobs
    for name in jobs.names():
        jobs.cancel(name)
    jobs.close()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_training_reports_its_progress_and_ends(jobs):
    name = jobs.start()
    assert jobs.ended.wait(30)
    told = jobs.describe(name)
    assert told["state"] == "done"
    assert [row["validation_f1"] for row in told["rows"]] == [0.25, 0.5]
    last = [m for m in jobs.messages if m["type"] == "progress"][-1]
    assert last["rows"] == told["rows"]
    assert last["last"]["done"] == 2


def test_one_training_at_a_time_and_cancel_then_resume(jobs, raises_code):
    jobs.wait[0] = 30
    name = jobs.start()
    with raises_code("training-runs"):
        jobs.start()
    until(lambda: jobs.describe(name)["rows"])
    jobs.cancel(name)
    assert jobs.ended.wait(30)
    assert jobs.describe(name)["state"] == "cancelled"
    job = json.loads((jobs._folder(name) / module.JOB).read_text())
    job["command"][-1] = "0"
    (jobs._folder(name) / module.JOB).write_text(json.dumps(job))
    jobs.ended.clear()
    jobs.resume(name)
    assert jobs.ended.wait(30)
    assert jobs.describe(name)["state"] == "done"


def test_a_failed_training_tells_the_last_line_of_its_log(jobs, monkeypatch):
    command = [sys.executable, "-c", "import sys; sys.exit('hsn: `mpp` must be a number')"]
    monkeypatch.setattr(Jobs, "_command", lambda *_: command)
    name = jobs.start()
    assert jobs.ended.wait(30)
    assert jobs.describe(name)["state"] == "failed"
    assert jobs.describe(name)["reason"] == "hsn: `mpp` must be a number"


def test_a_new_server_follows_a_training_that_still_runs(jobs, project, annotations):
    jobs.wait[0] = 2
    name = jobs.start()
    jobs.close()  # the server is gone, its child is not
    again = Jobs(project, annotations, lambda kind, **values: None)
    assert again.running == name
    until(lambda: again.describe(name)["state"] == "done")


def test_a_training_whose_process_is_gone_is_interrupted(jobs, project, annotations):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    name = jobs.start()
    assert jobs.ended.wait(30)
    jobs._set(name, state="running", pid=gone.pid, started="12345")
    (jobs._folder(name) / "card.json").unlink()
    again = Jobs(project, annotations, lambda kind, **values: None)
    assert again.describe(name)["state"] == "interrupted"


def test_a_training_that_ended_while_no_server_ran_is_done(jobs, project, annotations):
    name = jobs.start()
    assert jobs.ended.wait(30)
    jobs._set(name, state="running")
    assert Jobs(project, annotations, lambda kind, **values: None).describe(name)["state"] == "done"


def test_a_training_that_is_killed_from_outside_can_be_resumed(jobs):
    jobs.wait[0] = 60
    name = jobs.start()
    until(lambda: jobs.describe(name)["rows"])
    os.killpg(jobs.read(name)["pid"], signal.SIGKILL)
    assert jobs.ended.wait(30)
    assert jobs.describe(name)["state"] == "interrupted"
    assert "memory" in jobs.describe(name)["reason"]


def test_nothing_annotated_is_an_error(project, raises_code):
    with raises_code("nothing-annotated"):
        Jobs(project, Annotations(project), lambda *_, **__: None).start()


def test_crops_of_a_large_image_hold_the_marks_in_place(tmp_path, feature, put):
    pixels = np.zeros((3000, 4000, 3), np.uint8)
    pixels[..., 0] = np.arange(4000) % 251
    pixels[..., 1] = (np.arange(3000) % 241)[:, None]
    write(tmp_path / "large.png", pixels)
    project = open_project([tmp_path], tmp_path / "project", mpp=0.25, aim="nuclei")
    annotations = Annotations(project)
    click = feature((2500.5, 1700.5))
    stroke = feature([[10, 10], [40, 10]], "LineString", "Background", hsn={"width_um": 2.5})
    outline = feature([[[1010, 50], [1040, 50], [1040, 80], [1010, 70]]], "Polygon")
    annotations.edit([put(f, k, "large") for k, f in enumerate((click, stroke, outline), 1)], session="s")
    written = write_input(project, annotations, tmp_path / "input", 0.25)
    found = find_study(read_study(tmp_path / "input"))
    close_project(project)
    annotations.close()
    assert written.images == len(found.images) == 3
    clicks = 0
    for path, files in zip(found.images, found.annotations, strict=True):
        image, drawn = read(path), qupath.read(files.drawn)
        assert max(image.shape) <= CROP_PX + 256
        assert files.mpp == 0.25
        assert files.group == "large"
        for point in drawn.points:
            assert image[int(point.row), int(point.col)].tolist() == [2500 % 251, 1700 % 241, 0]
            clicks += 1
        for scribble in drawn.scribbles:
            mask = fill((scribble,), image.shape[:2])
            rows, cols = np.nonzero(mask)
            assert set(image[rows, cols, 1].tolist()) == {g for g in range(5, 15)}  # 2.5 um are 10 px
    assert clicks == 1


def test_trainings_begin_with_the_net_that_is_chosen_from_the_list(client, project, monkeypatch):
    offered = {model["name"] for model in client.get("/api/models").json() if model["base"]}
    assert {"nuclei-masks", "nuclei-cc0", "nuclei-points"} <= offered
    assert "glas-masks" not in offered  # an older net with other layers
    assert client.get("/api/project").json()["base"] == "nuclei-masks"
    for wrong in ("glas-masks", "../secret", "/etc/passwd", "0001", 3, None):
        assert client.post("/api/project", json={"base": wrong}).status_code == 404
    for base, words in (("nuclei-cc0", ["--start", "nuclei-cc0"]), ("", [])):
        assert client.post("/api/project", json={"base": base}).json() == {"base": base}
        command = Jobs(project, None, print)._command(project.folder / "models" / "0001", 0.25, 2, None)
        assert command[command.index("--out") + 2 : command.index("--epochs")] == words
    own = project.folder.resolve() / "models" / "0007"
    shutil.copytree(find("nuclei-cc0"), own)
    assert client.post("/api/project", json={"base": "0007"}).status_code == 200
    command = Jobs(project, None, print)._command(project.folder / "models" / "0008", 0.25, 2, None)
    assert command[command.index("--start") + 1] == str(own)


@pytest.mark.slow
def test_a_real_training_of_one_epoch(project, feature, put):
    annotations, ended = Annotations(project), threading.Event()
    edits = [put(feature((20 + 30 * k, 40)), k + 1) for k in range(3)]
    stroke = feature([[5, 80], [100, 80]], "LineString", "Background", hsn={"width_um": 4})
    annotations.edit([*edits, put(stroke, 9)], session="s")

    def publish(kind, **values):
        if kind == "job" and values["state"] != "running":
            ended.set()

    jobs = Jobs(project, annotations, publish)
    name = jobs.start(epochs=1)
    assert ended.wait(500)
    told = jobs.describe(name)
    assert told["state"] == "done", told["reason"]
    assert told["rows"][0]["loss"] > 0
    assert (project.folder / "models" / name / "net.keras").is_file()
