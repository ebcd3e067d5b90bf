"""Runs that are killed at random times, and continued, end like a run that nobody interrupted."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hsn import models

KILLS = int(os.environ.get("HSN_KILLS", "20"))
SCRIPT = Path(__file__).with_name("killed_run.py")
WORK = ("masks", "points", "selected", "tags", "segment")


def start(name, out, model):
    """Start a run and return its process when its work begins."""
    command = [sys.executable, str(SCRIPT), name, str(out), str(model)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == "ready":
            return process
    raise AssertionError(process.stderr.read()[-2000:])


def finish(process):
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-2000:]


def results(name, out):
    """Return what a run left: names of files, and their content where it does not hold dates."""
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    hidden = [path for path in names if Path(path).name.startswith(".") or path.endswith(".lock")]
    assert not hidden, f"leftovers: {hidden}"
    if name == "segment":
        kinds = (".png", ".tif", ".csv")
        content = {path: (out / path).read_bytes() for path in names if path.endswith(kinds)}
        return names, {path: text.replace(str(out).encode(), b"") for path, text in content.items()}
    weights = [weight.tobytes() for weight in models.load(out).net.get_weights()]
    return names, (weights, json.loads((out / "training" / "history.json").read_text()))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WORK)
def test_a_run_that_is_killed_at_random_times_ends_with_equal_bits(name, tmp_path, tiny_model):
    rng = np.random.default_rng(WORK.index(name))
    process, began = start(name, tmp_path / "whole", tiny_model), time.monotonic()
    finish(process)
    longest = time.monotonic() - began
    expected = results(name, tmp_path / "whole")
    kills, number = 0, 0
    while kills < KILLS:
        out = tmp_path / f"killed{number}"
        process = start(name, out, tiny_model)
        try:
            process.wait(rng.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        finish(process)  # this run was faster than the kill
        assert results(name, out) == expected
        number += 1
    finish(start(name, out, tiny_model))
    assert results(name, out) == expected
