"""A server that is killed at random moments loses no acknowledged edit, and its trainings resume."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from http.client import HTTPException

import numpy as np
import pytest

from hsn.images.read import write

KILLS = 50
EPOCHS = 40


class Annotator:
    """A page that edits until its server is killed, and knows what was acknowledged."""

    def __init__(self, folder, seed):
        self._folder, self.draw = folder, random.Random(seed)
        self._session, self._number = str(uuid.uuid4()), 0
        self.acknowledged, self._sent = {}, {}

    def start(self):
        """Start a server, and compare its annotations with what was acknowledged and sent."""
        command = [sys.executable, "-m", "hsn", "app", str(self._folder), "--aim", "nuclei"]
        self.server = subprocess.Popen(
            [*command, "--mpp", "0.5", "--no-browser"], stdout=subprocess.PIPE, text=True
        )
        self._base, _, self._token = self.server.stdout.readline().strip().partition("?token=")
        known = {f["id"]: f["geometry"]["coordinates"] for f in self.ask("api/images/a/features")["features"]}
        assert self.acknowledged.items() <= known.items()
        assert known.items() <= self._sent.items()  # nothing that was never sent
        self.acknowledged = dict(known)

    def ask(self, path, data=None):
        """Return the answer of a route."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self._base}{path}?token={self._token}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def mark(self, name="Nucleus"):
        """Put a mark at a random place."""
        self._number += 1
        key, place = str(uuid.uuid4()), [round(self.draw.uniform(0, side), 2) for side in (120, 90)]
        feature = {"id": key, "geometry": {"type": "Point", "coordinates": place},
                   "properties": {"classification": {"name": name}}}  # fmt: skip
        edit = {"op": "put", "image": "a", "id": key, "feature": feature, "number": self._number}
        self._sent[key] = place
        self.ask("api/edits", {"session": self._session, "page": self._session, "edits": [edit]})
        self.acknowledged[key] = place

    def edit_until(self, condition, *, seconds):
        """Put a mark a second until a condition is true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            self.mark()
            time.sleep(1)

    def edit_until_killed(self, seconds, *, pause=0.0):
        """Put marks until the server is killed after a time."""
        timer = threading.Timer(seconds, self.server.send_signal, [signal.SIGKILL])
        timer.start()
        try:
            while True:
                self.mark()
                time.sleep(pause)
        except (OSError, HTTPException, ValueError):  # an answer that was cut off acknowledges nothing
            pass
        timer.join()
        self.server.wait(20)
        self.server.stdout.close()


@pytest.fixture
def annotator(tmp_path, rng):
    write(tmp_path / "a.png", rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    annotator = Annotator(tmp_path, seed=4)
    yield annotator
    if annotator.server.poll() is None:
        annotator.server.kill()
        annotator.server.wait(20)
    if not annotator.server.stdout.closed:
        annotator.server.stdout.close()


@pytest.mark.slow
def test_no_acknowledged_edit_is_lost_by_50_kills(annotator):
    for _ in range(KILLS):
        annotator.start()
        annotator.edit_until_killed(annotator.draw.uniform(0.02, 0.6))
    assert len(annotator.acknowledged) > KILLS


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_trainings_resume_after_50_kills_of_the_server_and_of_the_training(annotator, tmp_path):
    """Every kill ends the server; every fifth one the training, too. Between kills it trains on, or is resumed."""
    states, epochs, epochs_at_kills = [], 0, set()
    path = tmp_path / "hsn-project" / "models" / "0001"
    for number in range(KILLS):
        annotator.start()
        jobs = annotator.ask("api/jobs")
        states.append(jobs[0]["state"] if jobs else "none")
        if not jobs:
            for _ in range(6):
                annotator.mark()
            annotator.ask("api/train", {"epochs": EPOCHS})
        elif jobs[0]["state"] in ("interrupted", "failed"):
            assert jobs[0]["state"] == "interrupted", jobs[0]["reason"]
            annotator.ask("api/jobs/0001/resume", {})
        if number % 10 == 9:  # half of the kills of trainings come after a new epoch
            goal = min(max(epochs_at_kills) + 1, EPOCHS)
            annotator.edit_until(lambda goal=goal: check_history(path, 0) >= goal, seconds=300)
        annotator.edit_until_killed(annotator.draw.uniform(0.1, 8), pause=0.3)
        if number % 5 == 4:
            kill_group(json.loads((path / "job.json").read_text()))
            epochs_at_kills.add(check_history(path, epochs))
        epochs = check_history(path, epochs)
    annotator.start()
    end = time.monotonic() + 1000
    while (job := annotator.ask("api/jobs")[0])["state"] != "done":
        assert job["state"] in ("running", "interrupted"), job["reason"]
        if job["state"] == "interrupted":
            annotator.ask("api/jobs/0001/resume", {})
        assert time.monotonic() < end
        time.sleep(1)
    assert states.count("interrupted") >= 5  # trainings were really killed
    assert len(epochs_at_kills) >= 3  # and went on between the kills
    assert check_history(path, epochs) == EPOCHS
    assert (path / "net.keras").is_file()
    annotator.edit_until_killed(0.1)


def kill_group(job):
    """Kill the process group of a training, if it still runs."""
    try:
        os.killpg(job["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return
    time.sleep(0.2)


def check_history(path, before):
    """Return the number of finished epochs, which never becomes smaller."""
    try:
        rows = json.loads((path / "training" / "history.json").read_text())["epochs"]
    except FileNotFoundError:
        return before
    assert len(rows) >= before
    assert [row["epoch"] for row in rows] == [*range(1, len(rows) + 1)]
    return len(rows)
