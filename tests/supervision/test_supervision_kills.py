"""Processes that are killed 20 times end with the same files as one that runs through, and leave nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.parametrize("work", ["masks", "points", "selected", "mixed", "tags", "shares", "segment"])
def test_killed_runs_end_with_the_files_of_an_uninterrupted_one(tmp_path, work):
    program = Path(__file__).with_name("kills.py")
    command = [sys.executable, "-W", "ignore", program, work, tmp_path, str(KILLS), "12"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.get("error") is None, f"{report}\n{done.stderr}"
    assert report["kills"] == KILLS
    assert report["differences"] == []
