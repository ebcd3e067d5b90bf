"""The journal: one JSON line for each edit, on disk before the edit is acknowledged.

Lines are only appended. A crash can cut the last line short: it was never acknowledged, and it is removed, because the
next line would otherwise be joined to it. A damaged line anywhere else is an error with its number.
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, as_input_error

FOLDER, SUFFIX = "journal", ".jsonl"
_FILE_BYTES = 2**26  # a longer file is followed by a new one


class Journal:
    """Appends records to the files of a folder.

    Parameters
    ----------
    folder : path
        Created if it does not exist.

    Attributes
    ----------
    seq : int
        Number of the last record; 0 if there is none.

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()))
    >>> journal.append([{"op": "put"}, {"op": "remove"}])
    2
    >>> [record["op"] for record in journal.read()]
    ['put', 'remove']
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        if not self._files():
            self._new_file(1)
        _cut_torn_line(self._files()[-1])
        self.seq = 0
        for record in self.read():
            self.seq = record["seq"]

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all records in their order.

        Raises
        ------
        InputError
            "journal-damaged" with the number of the line.
        """
        seq = 0
        for path in self._files():
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    record = _parse(line)
                    if record is None or record.get("seq") != seq + 1:
                        raise InputError(
                            "journal-damaged", f"line {number} of {path} must be a record with number {seq + 1}",
                            got=line[:80], hint="restore the file from a backup, or remove the line",
                        )  # fmt: skip
                    seq += 1
                    yield record

    def append(self, records: Sequence[dict[str, Any]]) -> int:
        """Append records; return the number of the last one. They are on disk when the call returns.

        Parameters
        ----------
        records : sequence of dict
            Their entry `seq` is added.

        Raises
        ------
        InputError
            "disk-full", or another code of the system; then no record is kept.
        """
        with self._lock:
            path = self._files()[-1]
            if path.stat().st_size > _FILE_BYTES:
                path = self._new_file(int(path.stem) + 1)
            lines = [
                json.dumps({"seq": self.seq + k} | record, ensure_ascii=False, separators=(",", ":"))
                for k, record in enumerate(records, 1)
            ]
            _append(path, "".join(f"{line}\n" for line in lines).encode())
            self.seq += len(records)
            return self.seq

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"[0-9]*{SUFFIX}"))

    def _new_file(self, number: int) -> Path:
        path = self._folder / f"{number:06}{SUFFIX}"
        path.touch()
        _sync_folder(self._folder)
        return path


def _append(path: Path, data: bytes) -> None:
    """Append bytes and wait until they are on disk; on failure, remove what was written."""
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except OSError as error:
            os.truncate(path, before)
            raise as_input_error(error) from None


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line; None if it is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _cut_torn_line(path: Path) -> None:
    """Remove the end of a file after its last complete line."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)


def _sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
