"""Runs: a folder belongs to one training run, which can be resumed and extended.

Use
---
::

    with Run.open(out, config, net=net, data=(images, annotations), progress=progress) as run:
        history = fit_net(net, loss, ..., out=run.folder, progress=progress)
        models.save(out, net, card, config.to_dict())
        run.finish(history)

Rules
-----
- `run.json` holds the config, a digest of images and annotations, and a digest of the starting weights. The same call
  continues the run. Another config, other data or other starting weights raise "run-other".
- A config with more epochs extends the run. The new schedule applies from the next epoch on. Stages that depend on an
  extended stage are repeated (`depends`). A config with fewer epochs returns the existing result.
- While the block runs, the folder is locked: a second live process gets "run-locked". Locks and temporary files of dead
  processes are removed.
- The net starts from the weights of the first call, `start.weights.h5`, even if the given net was trained since then.
"""

import csv
import dataclasses
import hashlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..files import atomic_write, remove_leftovers
from ..locks import take_lock
from ..progress import track

FOLDER = "training"  # within a trained folder
RUN, LOCK, GUIDE, START, CURVES = "run.json", "run.lock", "README.md", "start.weights.h5", "learning.csv"
FORMAT = 1
_HDF5_BYTES = 1000  # of a data set besides its values
_STATES = 4  # sets of weights on disk: the weights, the two moments of Adam, and the best weights

_README = """\
# A training run of hsn

Annotation: {method}. The same command or call resumes an interrupted run; with more epochs it extends the run. Use
another folder for another run.

| file | content |
|---|---|
{rows}
"""
_ROWS = {
    f"{FOLDER}/{RUN}": "the config, and digests of images, annotations and starting weights",
    f"{FOLDER}/{START}": "the starting weights of the net",
    f"{FOLDER}/history.json": "loss and validation scores of every epoch",
    f"{FOLDER}/state-*.weights.h5": "weights and optimizer after the last epoch",
    f"{FOLDER}/best.weights.h5": "weights of the best epoch",
    f"{FOLDER}/{CURVES}": "the history as a table",
    "net.keras, card.json, config.json": "the trained net, for `hsn segment --model`",
}


class Run:
    """A training run and its locked folder; open it with `Run.open`.

    Attributes
    ----------
    out : pathlib.Path
        The trained folder.
    folder : pathlib.Path
        The folder `training` in `out`, for history and state.
    """

    def __init__(self, out: Path, net: Any) -> None:
        self.out, self.folder, self._net = out, out / FOLDER, net
        self._record: dict[str, Any] = {}

    @classmethod
    def open(cls, out, config, *, net, data, depends=None, contents=None, progress=None) -> Self:
        """Lock a folder and record the run in it; raise if the folder holds a different run.

        Parameters
        ----------
        out : path
            The trained folder.
        config : Config or TrainConfig
            The class attribute `LENGTHS` names the fields that extend a run. Default: "epochs".
        net : keras.Model
            Its weights are set to the starting weights of the run.
        data : object
            Images and annotations: arrays, paths, dataclasses, None, and sequences of them.
        depends : dict of str to sequence of str, optional
            Field of `LENGTHS` -> globs, relative to `out`, of files to remove if the field grows.
        contents : dict of str to str, optional
            Further files and their descriptions, for the README.
        progress : callable, optional
            See `hsn.progress`.

        Returns
        -------
        Run
            A context manager.

        Raises
        ------
        InputError
            "run-other", "run-locked", "folder-not-writable" or "folder-full".
        """
        run = cls(Path(out), net)
        take_lock(run.folder / LOCK)
        try:
            remove_leftovers(run.out, locked=True)  # the lock ensures that nobody else is writing
            run._check_space()
            run._compare_and_record(config, data, depends or {}, progress)
            run._set_starting_weights()
            run._write_readme(getattr(config, "METHOD", "outlines"), contents or {})
        except BaseException:
            (run.folder / LOCK).unlink(missing_ok=True)
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # The next call may get the same net object, which is now trained.
            starting = self._record["start"][0]
            self._record["start"] = [starting, weights_digest(self._net)]
            self._write_record()
        finally:
            (self.folder / LOCK).unlink(missing_ok=True)

    def finish(self, history) -> None:
        """Write the learning curves as a table."""
        if history.epochs:
            names = list(dict.fromkeys(name for row in history.epochs for name in row))
            with atomic_write(self.folder / CURVES) as temporary, temporary.open("w", newline="") as file:
                table = csv.DictWriter(file, names)
                table.writeheader()
                table.writerows(history.epochs)

    def _compare_and_record(self, config, data, depends, progress) -> None:
        """Compare the run with the recorded one, and record it."""
        path = self.folder / RUN
        lengths = getattr(config, "LENGTHS", ("epochs",))
        record: dict[str, Any] = {
            "format": FORMAT,
            "config": json.loads(json.dumps(config.to_dict())),
            "data": digest(data, progress=progress),
            "start": [weights_digest(self._net)],
        }
        previous = self._read_record(path)
        if previous is not None:
            if record["start"][0] not in previous["start"]:
                raise self._other_run("starting weights", "build the net with the same `seed` and weights")
            if record["data"] != previous["data"]:
                raise self._other_run("images or annotations")
            if _without(record["config"], lengths) != _without(previous["config"], lengths):
                names = ", ".join(_differences(record["config"], previous["config"]))
                raise self._other_run(f"settings ({names})")
            record["start"] = previous["start"]
            for name in lengths:
                if _value_at(record["config"], name) > _value_at(previous["config"], name):
                    self._remove(depends.get(name, ()))
        self._record = record
        self._write_record()

    def _remove(self, patterns) -> None:
        for path in sorted(path for pattern in patterns for path in self.out.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _read_record(self, path: Path) -> dict[str, Any] | None:
        if not path.exists():
            if (self.folder / "history.json").exists() or (self.out / RUN).exists():  # from an old version
                raise self._other_run("settings, which it does not record")
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            assert record["format"] == FORMAT
            assert {"config", "data", "start"} <= set(record)
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            raise self._other_run("records, a run.json of another version") from None
        return record

    def _other_run(self, difference: str, hint: str = "choose an empty folder to start again") -> InputError:
        return InputError(
            "run-other",
            f"{self.out} must be empty or hold the same run",
            got=f"a run with other {difference}",
            hint=hint,
        )

    def _write_record(self) -> None:
        with atomic_write(self.folder / RUN) as temporary:
            temporary.write_text(json.dumps(self._record, indent=1) + "\n", encoding="utf-8")

    def _set_starting_weights(self) -> None:
        """Load the starting weights of the run into the net; the first call saves them."""
        path = self.folder / START
        if not path.exists():
            write_weights(path, self._net)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns if a file does not fit
            try:
                self._net.load_weights(path)
            except (ValueError, OSError, UserWarning):
                raise self._other_run("weights, which do not fit this net", "build the same net") from None

    def _write_readme(self, method: str, contents: dict[str, str]) -> None:
        rows = "\n".join(f"| `{name}` | {text} |" for name, text in (contents | _ROWS).items())
        with atomic_write(self.folder / GUIDE) as temporary:
            temporary.write_text(_README.format(method=method, rows=rows), encoding="utf-8")

    def _check_space(self) -> None:
        """Raise if the disk is too full for the state of an epoch."""
        needed = _STATES * sum(weight.nbytes for weight in self._net.get_weights())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise InputError(
                "folder-full",
                f"{self.out} must have {needed:,} free bytes for the state of this net",
                got=f"{free:,}",
                hint="make room, or choose another disk",
            )


def digest(data: Any, *, progress=None) -> str:
    """Return a checksum of images and annotations, in hex; files are read in blocks and never decoded.

    Parameters
    ----------
    data : object
        Arrays, masked arrays, paths (the content of the file counts), dataclasses, plain values, None, and sequences of
        all these.
    progress : callable, optional

    Examples
    --------
    >>> digest([np.zeros(2), None]) == digest([np.zeros(2), None]), digest([np.zeros(2)]) == digest([np.ones(2)])
    (True, False)
    """
    checksum = hashlib.sha256()
    parts = data if isinstance(data, tuple) else (data,)
    for part in parts:
        _add(checksum, part, progress)
    return checksum.hexdigest()


def _add(checksum, value: Any, progress=None) -> None:
    """Add a value to a checksum, preceded by its kind and size."""
    if isinstance(value, np.ma.MaskedArray):
        _add(checksum, value.filled(0))
        value = np.ma.getmaskarray(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        checksum.update(f"array {value.dtype} {value.shape}".encode())
        checksum.update(np.ascontiguousarray(value).data if value.size else b"")
    elif isinstance(value, str | Path):
        _add_file(checksum, value)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _add(checksum, getattr(value, field.name))
    elif isinstance(value, list | tuple | np.ndarray):
        checksum.update(f"sequence {len(value)}".encode())
        for item in track(value, progress, "checking data"):
            _add(checksum, item)
    else:
        checksum.update(f"value {value!r}".encode())


def _add_file(checksum, path: str | Path) -> None:
    try:
        with open(path, "rb") as file:
            checksum.update(b"file " + hashlib.file_digest(file, "sha256").digest())
    except OSError:  # the reader of the image raises a better error
        checksum.update(f"path {path}".encode())


def write_weights(path: Path, net: Any, *, states: int = 1) -> None:
    """Write the weights of a net, or of a learner with its optimizer, atomically.

    Parameters
    ----------
    path : path
    net : keras.Model
    states : int
        Number of values per weight: 3 with the two moments of Adam. Default: 1.
    """
    weights = net.get_weights()
    # HDF5 crashes on a full disk, so the room is reserved first.
    size = states * sum(weight.nbytes for weight in weights) + _HDF5_BYTES * len(weights)
    with atomic_write(path, size=size) as temporary:
        net.save_weights(temporary)


def weights_digest(net: Any) -> str:
    """Return a checksum of a net's weights, in hex."""
    return digest([np.asarray(weight) for weight in net.get_weights()])


def _value_at(data: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        data = data[name]
    return -1 if data is None else data


def _without(data: dict[str, Any], paths) -> dict[str, Any]:
    """Return a copy of nested data without some entries."""
    copy = json.loads(json.dumps(data))
    for path in paths:
        *parents, name = path.split(".")
        inner = copy
        for parent in parents:
            inner = inner[parent]
        inner.pop(name, None)
    return copy


def _differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the dotted names of the values that differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        names = dict.fromkeys([*first, *second])
        return [
            d for n in names for d in _differences(first.get(n), second.get(n), f"{path}.{n}" if path else n)
        ]
    return [] if first == second else [path]
