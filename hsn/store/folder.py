"""The folder of one run over a slide: plan, lock, markers, parts.

Rules
-----
- `run.json` holds the plan: everything that decides the result. Another plan in the folder raises "run-other".
- A task writes its data first and its marker last, both to a temporary name that is then renamed. A task with a marker
  is finished; any other task is repeated. A process that is killed loses the tasks that it was working on.
- While the run is open, the folder is locked. Temporary files of dead processes are removed.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..files import atomic_write, read_text, remove_leftovers, write_json
from ..locks import take_lock

RUN, LOCK, DONE, PARTS, ARRAYS = "run.json", "run.lock", "done", "parts", "store.zarr"
FORMAT = 1
STALE_S = 600.0  # a lock of another machine that was not touched for so long is left behind
_TOUCH_S = 30.0


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return the digest of a plan of plain data.

    Examples
    --------
    >>> plan_digest({"mpp": 0.25})[:8], plan_digest({"mpp": 0.5})[:8]
    ('cf6aaca0', 'd44f50ff')
    """
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


class RunFolder:
    """A folder of results of one slide; open it with `RunFolder.open`, and in workers with `RunFolder.attach`.

    Attributes
    ----------
    path : pathlib.Path
    plan : dict
    digest : str
        Digest of the plan.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any], record: dict[str, Any]) -> None:
        self.path, self.plan, self.digest = path, dict(plan), plan_digest(plan)
        self._record, self._touched = record, time.monotonic()

    @classmethod
    def open(cls, path: str | os.PathLike, plan: Mapping[str, Any], *, overwrite: bool = False) -> Self:
        """Lock a folder and compare its plan; the result is a context manager.

        Parameters
        ----------
        path : path
            Created if it is missing.
        plan : dict
            Plain data: everything that decides the result.
        overwrite : bool
            Whether to remove the results of another plan. Default: False.

        Returns
        -------
        RunFolder

        Raises
        ------
        InputError
            "run-other" if the folder holds another plan; "run-locked"; "folder-not-writable".
        """
        path = Path(path)
        take_lock(path / LOCK, stale_s=STALE_S)
        try:
            _remove_leftovers(path)
            record = _read_record(path / RUN)
            if record is not None and (overwrite or record.get("format") != FORMAT):
                _remove_results(path)
                record = None
            if record is not None and record["digest"] != plan_digest(plan):
                raise InputError(
                    "run-other", f"{path} must hold results of the same slide, net and options",
                    got="; ".join(_differences(record["plan"], plan)) or "another plan",
                    hint="choose another folder, or repeat it with `overwrite` (--overwrite)",
                )  # fmt: skip
            folder = cls(
                path, plan, record or {"format": FORMAT, "digest": plan_digest(plan), "plan": dict(plan)}
            )
            folder.record(state="running")
            return folder
        except BaseException:
            (path / LOCK).unlink(missing_ok=True)
            raise

    @classmethod
    def attach(cls, path: str | os.PathLike, plan: Mapping[str, Any]) -> Self:
        """Return the folder that another process holds open, to work in it."""
        return cls(Path(path), plan, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        try:
            if error is not None:
                self.record(state="failed", reason=str(error))
        except InputError:  # a full disk: the first error counts
            pass
        finally:
            (self.path / LOCK).unlink(missing_ok=True)

    def record(self, **values: Any) -> None:
        """Write values into `run.json`: state, reason, timings."""
        self._record |= values
        write_json(self.path / RUN, self._record)

    def touch(self) -> None:
        """Show that the process works; call it after every task."""
        if time.monotonic() - self._touched > _TOUCH_S:
            self._touched = time.monotonic()
            os.utime(self.path / LOCK)

    # --- Markers ---------------------------------------------------------------------------------------------------

    def is_done(self, phase: str, key: str) -> bool:
        """Check whether a task is finished."""
        return (self.path / DONE / phase / key).exists()

    def finished(self, phase: str) -> set[str]:
        """Return the keys of the finished tasks of a phase; raise if they belong to another plan."""
        try:
            names = [name for name in os.listdir(self.path / DONE / phase) if not name.startswith(".")]
        except FileNotFoundError:
            return set()
        return set(names)

    def mark(self, phase: str, key: str, **values: Any) -> None:
        """Mark a task as finished, after its data; `values` are stored in the marker."""
        path = self.path / DONE / phase / key
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"plan": self.digest[:16], **values}), encoding="utf-8")

    def marker(self, phase: str, key: str) -> dict[str, Any]:
        """Return the content of a marker."""
        content: dict[str, Any] = json.loads(read_text(self.path / DONE / phase / key))
        return content

    # --- Parts -----------------------------------------------------------------------------------------------------

    def save_part(self, phase: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays of a task."""
        with atomic_write(self.path / PARTS / phase / f"{key}.npz") as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]  # names are strings

    def load_part(self, phase: str, key: str) -> dict[str, np.ndarray]:
        """Read the arrays of a task."""
        return load_part(self.path, phase, key)


def load_part(folder: str | os.PathLike, phase: str, key: str) -> dict[str, np.ndarray]:
    """Read the arrays of a task of the run in a folder."""
    with np.load(Path(folder) / PARTS / phase / f"{key}.npz", allow_pickle=False) as file:
        return dict(file)


def _read_record(path: Path) -> dict[str, Any] | None:
    """Read `run.json`; None if it is missing or damaged."""
    try:
        record = json.loads(read_text(path))
        return record if isinstance(record, dict) and "digest" in record and "plan" in record else None
    except (InputError, ValueError):
        return None


def _remove_results(path: Path) -> None:
    for name in (DONE, PARTS, ARRAYS):
        shutil.rmtree(path / name, ignore_errors=True)
    (path / RUN).unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files; the lock ensures that nobody else is writing."""
    remove_leftovers(path, locked=True)
    for leftover in (path / ARRAYS).rglob("*.partial"):
        leftover.unlink(missing_ok=True)


def _differences(first: Any, second: Any, name: str = "") -> Iterator[str]:
    """Yield the differences of two plans, one text per value."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in {**first, **second}:
            yield from _differences(first.get(key), second.get(key), f"{name}.{key}" if name else key)
    elif json.dumps(first) != json.dumps(second):
        yield f"{name} {json.dumps(first)} there and {json.dumps(second)} here"
