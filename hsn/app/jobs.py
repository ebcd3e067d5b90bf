"""Trainings: `hsn fit` as a child process that survives the server; its progress, cancel and resume.

Each training is a folder ``models/0003``: ``input/`` (what it learns from, as it was), ``command.txt`` (the command
that repeats it), ``job.json`` (its state), ``progress.jsonl``, ``log.txt``, and the trained net.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_json
from ..keras_start import count_cores
from ..locks import process_start
from ..models.card import Card
from ..models.folders import CARD
from ..projects.study import MODELS
from .annotations import Annotations
from .inputs import write_input
from .project import Project

JOB, COMMAND, PROGRESS, LOG = "job.json", "command.txt", "progress.jsonl", "log.txt"
RUNNING, DONE, CANCELLED, FAILED, INTERRUPTED = "running", "done", "cancelled", "failed", "interrupted"
QUICK_EPOCHS, QUICK_STEPS = 3, 20
_POLL_S = 0.5
_GRACE_S = 10.0
_NICE = 10
_CHILDREN: list[subprocess.Popen] = []  # they may outlive the object that started them


class Jobs:
    """The trainings of a project; one runs at a time.

    Parameters
    ----------
    project : Project
    annotations : Annotations
    publish : callable
        Called with a kind of message and its values.
    """

    def __init__(self, project: Project, annotations: Annotations, publish: Callable[..., None]) -> None:
        self._project, self._annotations, self._publish = project, annotations, publish
        self._lock = threading.RLock()
        self._closed = False
        for name in self.names():
            job = self.read(name)
            if job.get("state") == RUNNING:
                if _is_running(job):
                    self._follow(name, None)
                else:
                    self._set(name, state=DONE if self._is_trained(name) else INTERRUPTED)

    def names(self) -> list[str]:
        """Return the names of all trainings, the oldest first."""
        folder = self._project.folder / MODELS
        return sorted(path.parent.name for path in folder.glob(f"[0-9]*/{JOB}"))

    def read(self, name: str) -> dict[str, Any]:
        """Return the state of a training; empty for an unknown one."""
        if not name.isdigit():
            return {}
        try:
            return json.loads((self._folder(name) / JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def describe(self, name: str) -> dict[str, Any]:
        """Return state, rows of progress by epoch, and the last message of a training."""
        job, lines = self.read(name), _lines(self._folder(name) / PROGRESS)
        return {
            "name": name, "state": job.get("state"), "reason": job.get("reason", ""), "rows": rows_of(lines),
            "last": lines[-1] if lines else {}, "command": shlex.join(job.get("command", [])),
            "checked": job.get("checked", 0), "epochs": job.get("epochs"), "at": job.get("at"),
            "notes": self._notes(name),
        }  # fmt: skip

    @property
    def running(self) -> str | None:
        """Name of the training that runs; None without one."""
        return next((name for name in self.names() if self.read(name).get("state") == RUNNING), None)

    def start(self, *, epochs: int | None = None, long: bool = False) -> str:
        """Write the input and start a training; return its name.

        Parameters
        ----------
        epochs : int, optional
            Default: `QUICK_EPOCHS` of `QUICK_STEPS` batches, so that the time does not grow with the images.
        long : bool
            Whether to use the number of epochs of `hsn fit`. Default: False.

        Raises
        ------
        InputError
            "training-runs", or "nothing-annotated".
        """
        with self._lock:
            if self.running:
                raise InputError("training-runs", "one training runs at a time", got=self.running,
                                 hint="cancel it, or wait")  # fmt: skip
            aim = self._project.aim
            mpp = aim.mpp if aim else 0.25
            name = f"{max(map(int, self.names()), default=0) + 1:04}"
            folder = self._folder(name)
            written = write_input(self._project, self._annotations, folder / "input", mpp)
            if not written.images:
                raise InputError("nothing-annotated", "images with a known scale must be annotated before a training",
                                 got="none", hint="click or paint something")  # fmt: skip
            quick = epochs is None and not long
            chosen, steps = (QUICK_EPOCHS, QUICK_STEPS) if quick else (epochs, None)
            command = self._command(folder, mpp, chosen, steps)
            (folder / COMMAND).write_text(shlex.join(["hsn", *command[3:]]) + "\n", encoding="utf-8")
            self._set(name, command=command, epochs=chosen, checked=written.checked, at=time.time())
            self._launch(name)
        self._annotations.log("train", model=name)
        return name

    def _command(self, folder: Path, mpp: float, epochs: int | None, steps: int | None) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "hsn",
            "fit",
            str(folder / "input"),
            "--mpp",
            f"{mpp:g}",
            "--out",
            str(folder),
        ]
        base = self._project.base
        command += ["--start", str(self._folder(base)) if base.isdigit() else base] if base else []
        command += ["--epochs", str(epochs)] if epochs else []
        command += ["--steps", str(steps)] if steps else []
        return [*command, "--progress", str(folder / PROGRESS)]

    def cancel(self, name: str) -> None:
        """End a training: ask it first, and end it after ten seconds."""
        job = self.read(name)
        if job.get("state") != RUNNING:
            return
        self._set(name, cancelled=True)
        threading.Thread(target=_end, args=(job,), daemon=True).start()

    def resume(self, name: str) -> None:
        """Continue a training that was interrupted, cancelled or failed, by the same command.

        Raises
        ------
        InputError
            "training-runs" or "training-unknown".
        """
        with self._lock:
            job = self.read(name)
            if job.get("state") not in (INTERRUPTED, CANCELLED, FAILED):
                raise InputError("training-unknown", "only a training that was stopped can be resumed",
                                 got=repr(name)[:20], hint="reload the page")  # fmt: skip
            if self.running:
                raise InputError("training-runs", "one training runs at a time", got=self.running,
                                 hint="cancel it, or wait")  # fmt: skip
            self._launch(name)

    def close(self) -> None:
        """Stop following; a running training goes on."""
        self._closed = True

    def _folder(self, name: str) -> Path:
        return self._project.folder.resolve() / MODELS / name

    def _set(self, name: str, **values: Any) -> None:
        with self._lock:
            write_json(self._folder(name) / JOB, self.read(name) | values)

    def _launch(self, name: str) -> None:
        job, folder = self.read(name), self._folder(name)
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                job["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, **_own_group(),
                env=os.environ | _threads(),
            )  # fmt: skip
        _CHILDREN[:] = [*(child for child in _CHILDREN if child.poll() is None), process]
        started = process_start(process.pid)
        self._set(name, state=RUNNING, pid=process.pid, started=started, cancelled=False, reason="")
        self._publish("job", name=name, state=RUNNING)
        self._follow(name, process)

    def _follow(self, name: str, process: subprocess.Popen | None) -> None:
        threading.Thread(target=self._watch, args=(name, process), daemon=True).start()

    def _watch(self, name: str, process: subprocess.Popen | None) -> None:
        """Publish the progress of a training until it ends."""
        path, seen = self._folder(name) / PROGRESS, 0
        while not self._closed:
            ended = process.poll() is not None if process else not _is_running(self.read(name))
            lines = _lines(path)
            if len(lines) > seen:
                self._publish("progress", name=name, rows=rows_of(lines), last=lines[-1])
            seen = len(lines)
            if ended:
                self._finish(name, process)
                return
            time.sleep(_POLL_S)

    def _finish(self, name: str, process: subprocess.Popen | None) -> None:
        code = process.returncode if process else 0
        if self.read(name).get("cancelled"):
            state, reason = CANCELLED, ""
        elif code == 0 and self._is_trained(name):
            state, reason = DONE, ""
        elif code < 0:
            state, reason = INTERRUPTED, "its process was ended from outside, perhaps for lack of memory"
        else:
            state, reason = FAILED, _last_sentence(self._folder(name) / LOG)
        self._set(name, state=state, reason=reason)
        self._publish("job", name=name, state=state, reason=reason)

    def _notes(self, name: str) -> str:
        """Return which epoch was kept, and why; empty before the end."""
        if not self._is_trained(name):
            return ""
        try:
            return Card.read(self._folder(name)).notes
        except InputError:
            return ""

    def _is_trained(self, name: str) -> bool:
        """Return whether a training has written its net."""
        card = self._folder(name) / CARD
        return card.is_file() and card.stat().st_mtime >= self.read(name).get("at", 0)


def rows_of(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return loss and scores of each epoch from lines of progress.

    The scores in a line of a step are those after the epoch before.

    Examples
    --------
    >>> step = {"stage": "training", "epoch": 2, "step": 1, "loss": 0.5, "validation_f1": 0.75}
    >>> rows_of([{"stage": "training", "epoch": 1, "step": 1, "loss": 0.9}, step])
    [{'epoch': 1, 'loss': 0.9, 'validation_f1': 0.75}, {'epoch': 2, 'loss': 0.5}]
    """
    rows: dict[int, dict[str, Any]] = {}
    for line in lines:
        epoch = line.get("epoch")
        if type(epoch) is not int or line.get("stage") != "training":
            continue
        if "loss" in line:
            rows.setdefault(epoch, {"epoch": epoch})["loss"] = line["loss"]
        validated = epoch if "rate" in line else epoch - 1  # the last line is the row of the last epoch
        if validated in rows:
            rows[validated] |= {k: v for k, v in line.items() if k.startswith("validation")}
    return list(rows.values())


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a file of JSON lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # cut by a kill, and joined by the next line after a resume
            continue
    return [line for line in found if isinstance(line, dict)]


def _last_sentence(path: Path) -> str:
    """Return the last line of a log."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason was given")


def _is_running(job: dict[str, Any]) -> bool:
    return job.get("started") is not None and process_start(job["pid"]) == job["started"]


def _threads() -> dict[str, str]:
    """Return settings that leave one core to the page."""
    count = str(max(1, count_cores() - 1))
    return {name: count for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")}


def _own_group() -> dict[str, Any]:
    """Return options of `Popen` for a process group of its own, at a low priority."""
    if os.name == "posix":
        return {"start_new_session": True, "preexec_fn": _be_nice}
    return {"creationflags": 0x00000200 | 0x00004000}  # a new group, below normal priority


def _be_nice() -> None:
    os.nice(_NICE)


def _end(job: dict[str, Any]) -> None:
    """Ask the process group of a job to end; end it after a while."""
    for sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if not _is_running(job):
            return
        try:
            if os.name == "posix":
                os.killpg(job["pid"], sign)
            else:
                os.kill(job["pid"], signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return
        end = time.monotonic() + _GRACE_S
        while _is_running(job) and time.monotonic() < end:
            time.sleep(0.1)
