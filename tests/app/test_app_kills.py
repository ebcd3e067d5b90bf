"""A server that is killed at random moments loses no acknowledged edit."""

import json
import random
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid

import numpy as np
import pytest

from hsn.images.read import write

KILLS = 50


def start(folder):
    command = [
        sys.executable,
        "-m",
        "hsn",
        "app",
        str(folder),
        "--aim",
        "nuclei",
        "--mpp",
        "0.5",
        "--no-browser",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    base, _, token = address.partition("?token=")
    return process, base, token


def ask(base, token, path, data=None):
    body = None if data is None else json.dumps(data).encode()
    separator = "&" if "?" in path else "?"
    request = urllib.request.Request(
        f"{base}{path}{separator}token={token}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.slow
def test_no_acknowledged_edit_is_lost_by_50_kills(tmp_path):
    write(tmp_path / "a.png", np.full((90, 120, 3), 200, np.uint8))
    draw = random.Random(4)
    acknowledged, sent, session, number = {}, {}, str(uuid.uuid4()), 0
    for _ in range(KILLS):
        process, base, token = start(tmp_path)
        known = {
            f["id"]: f["geometry"]["coordinates"]
            for f in ask(base, token, "api/images/a/features")["features"]
        }
        assert acknowledged.items() <= known.items()
        assert known.items() <= sent.items()  # nothing that was never sent
        acknowledged = dict(known)
        timer = threading.Timer(draw.uniform(0.02, 0.6), process.send_signal, [signal.SIGKILL])
        timer.start()
        try:
            while True:
                number += 1
                name, place = (
                    str(uuid.uuid4()),
                    [round(draw.uniform(0, 120), 2), round(draw.uniform(0, 90), 2)],
                )
                feature = {"id": name, "geometry": {"type": "Point", "coordinates": place},
                           "properties": {"classification": {"name": "Nucleus"}}}  # fmt: skip
                edit = {"op": "put", "image": "a", "id": name, "feature": feature, "number": number}
                sent[name] = place
                ask(base, token, "api/edits", {"session": session, "page": session, "edits": [edit]})
                acknowledged[name] = place
        except (OSError, urllib.error.URLError, ValueError):
            pass
        timer.join()
        process.wait(20)
        process.stdout.close()
    assert len(acknowledged) > KILLS
