"""Generated commands on generated files: no traceback, no hang, no file outside the output, no large memory.

``FUZZ=number`` repeats one command.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from commands import draw

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes, links and devices")
CODES = (0, 1, 2, 130)
LIMIT_S = 20  # of computing, or of waiting
LEAST_CPU_S = 0.05  # a command that uses less in this time waits; a busy machine gives each process more
START_S = 600  # for the imports of a worker on a busy machine
PEAK_MB = 2000
SLICE, ALL = 50, 500
CHUNK = 100


class Worker:
    """A process that runs commands; it is started again when a command hangs or ends it."""

    def __init__(self):
        self._process = None

    def ask(self, words, folder):
        """Return the answer of the process, or the reason why there is none."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._send(words, folder)
        began = used = _cpu_s(self._process.pid)
        moved = time.monotonic()
        while True:
            try:
                line = self._answers.get(timeout=0.2)
                break
            except queue.Empty:
                now = _cpu_s(self._process.pid)
                if now - used > LEAST_CPU_S:
                    used, moved = now, time.monotonic()
                if now - began > LIMIT_S or time.monotonic() - moved > LIMIT_S:
                    self.close()
                    return {"ended": f"hangs after {now - began:.0f} s of computing"}
        if not line:
            return {"ended": f"ended the process with code {self._process.wait()}"}
        return json.loads(line)

    def close(self):
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._reader.join()
            self._process.stdout.close()
            self._process = None

    def _start(self):
        self.close()
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("worker.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        self._answers = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=_pass_on, args=(self._process.stdout, self._answers), daemon=True
        )
        self._reader.start()
        self._send(["--version"], Path.cwd())
        self._answers.get(timeout=START_S)

    def _send(self, words, folder):
        self._process.stdin.write(json.dumps({"words": words, "folder": str(folder)}) + "\n")
        self._process.stdin.flush()


def _pass_on(lines, answers):
    for line in lines:
        answers.put(line)
    answers.put("")


def _cpu_s(process):
    """Return the seconds of CPU that a process has used; 0 where the system does not tell."""
    try:
        numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def nets(tiny_model, tmp_path_factory):
    """Folders of a net for tags and a net for objects."""
    from hsn import models
    from hsn.nets import unet
    from hsn.supervision.masks import config, training
    from hsn.types import History

    numbers = config.unet_cryonuseg().replace(
        tiling={"halo_px": 4}, postprocess={"foreground_threshold": 0.5}
    )
    folder = tmp_path_factory.mktemp("nets") / "objects"
    history = History(({"epoch": 1, "validation_loss": 0.7},), best=0)
    net = unet.build(1, depth=1, width=4, seed=1)
    models.save(folder, net, training.card(numbers, history, name="objects"), numbers.to_dict())
    return [tiny_model, folder]


def snapshot(folder, without):
    """Return the size and the time of all files around a command, except for its outputs."""
    found = {}
    for root, folders, names in os.walk(folder):
        inner = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if str(inner / name) not in without]
        for name in (*folders, *names):
            if str(inner / name) not in without:
                state = os.lstat(os.path.join(root, name))
                found[str(inner / name)] = None if name in folders else (state.st_size, state.st_mtime_ns)
    return found


def faults(number, worker, nets, place):
    """Run a command; return what is wrong with it."""
    folder = place / "work"
    drawn = draw(number, folder, nets)
    outputs = {str(Path("work", name)) for name in drawn.outputs}
    before = snapshot(place, outputs)
    answer = worker.ask(drawn.words, folder)
    after = snapshot(place, outputs)
    found = [answer["ended"]] if "ended" in answer else []
    if not found:
        found += [f"exit code {answer['code']}"] * (answer["code"] not in CODES)
        found += [f"traceback: {answer['traceback'][-1500:]}"] * bool(answer["traceback"])
        found += ["traceback in the output"] * ("Traceback" in answer["output"])
        found += [f"{answer['peak_mb']} MB"] * (answer["peak_mb"] > PEAK_MB)
    changed = sorted(name for name in {*before, *after} if before.get(name, 0) != after.get(name, 0))
    found += [f"written outside of the output: {changed[:5]}"] * bool(changed)
    left = [path.name for path in place.rglob(".*[0-9]-*")]
    found += [f"leftovers: {left[:5]}"] * bool(left)
    shutil.rmtree(place, ignore_errors=True)
    return [f"{number}: hsn {' '.join(map(repr, drawn.words))}: {fault}" for fault in found]


def test_commands_of_the_slice(worker, nets, tmp_path):
    numbers = [int(os.environ["FUZZ"])] if "FUZZ" in os.environ else range(SLICE)
    found = [fault for number in numbers for fault in faults(number, worker, nets, tmp_path / str(number))]
    assert found == [], "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(SLICE, ALL, CHUNK))
def test_commands_of_all(worker, nets, tmp_path, start):
    numbers = range(start, min(start + CHUNK, ALL))
    found = [fault for number in numbers for fault in faults(number, worker, nets, tmp_path / str(number))]
    assert found == [], "\n".join(found)
