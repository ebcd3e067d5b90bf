"""Atomic file writing: after a crash a file holds its old or its new content, never a part."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError

# The shipped nets: in the package when installed from a wheel, beside it in a checkout.
_INSTALLED = Path(__file__).parent / "pretrained"
PRETRAINED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "pretrained"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder; move it to `path` on success, remove it on failure.

    Creates missing folders. The temporary name keeps the suffix of `path`, because many writers choose the file
    format by it.

    Parameters
    ----------
    path : path
        File to write.

    Yields
    ------
    pathlib.Path
        Temporary file to write to.

    Raises
    ------
    InputError
        "file-not-writable" if the folder cannot be created or written to.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "a" / "note.txt") as temporary:
    ...     _ = temporary.write_text("done")
    >>> [p.name for p in (folder / "a").iterdir()]
    ['note.txt']
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".{path.name}")
    except OSError as error:
        raise InputError(
            "file-not-writable",
            f"{path} must be in a folder with write permission",
            got=error.strerror,
            hint="choose another folder",
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp creates files with mode 0600; results get the default permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def walk_files(folder: Path | str) -> list[Path]:
    """List the files in and below a folder, sorted, without hidden ones; linked folders are followed.

    Each folder is searched once, even if several links lead to it; a link to a folder above ends there. Links whose
    target is gone are listed.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a").mkdir()
    >>> (folder / "a" / "b.txt").touch()
    >>> (folder / "loop").symlink_to(folder)
    >>> [path.name for path in walk_files(folder)]
    ['b.txt']
    """
    files: list[Path] = []
    links, seen = [Path(folder)], set()
    while links:
        start = links.pop(0)
        if os.path.realpath(start) in seen:
            continue
        for root, folders, names in os.walk(start):
            seen.add(os.path.realpath(root))
            folders[:] = sorted(name for name in folders if name[0] != ".")
            # Real folders first: a folder that is reached twice keeps its own name.
            links += [Path(root, name) for name in folders if os.path.islink(os.path.join(root, name))]
            folders[:] = [name for name in folders if os.path.realpath(os.path.join(root, name)) not in seen]
            files += [Path(root, name) for name in names if name[0] != "."]
    return sorted(files)


def csv_text(text: str) -> str:
    """Return a name for a cell of a CSV table; a spreadsheet must not run it as a formula.

    A name that starts with = + - @, a tab or a line end gets an apostrophe in front; `from_csv_text` removes it.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("tumor"), from_csv_text(csv_text("=1+1"))
    ("'=1+1", 'tumor', '=1+1')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv_text(cell: str) -> str:
    """Return the name in a cell that `csv_text` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def plain(value: Any) -> Any:
    """Return a value as plain data for JSON: arrays as lists, paths as text, NaN as None.

    Examples
    --------
    >>> plain({"iou": (float("nan"), 0.5)})
    {'iou': [None, 0.5]}
    """
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write_json(path: Path | str, data: Any) -> None:
    """Write data as JSON; a crash leaves the old file or the new one.

    Parameters
    ----------
    path : path
    data : object
        Passed through `plain`.
    """
    with atomic_write(path) as temporary:
        text = json.dumps(plain(data), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
