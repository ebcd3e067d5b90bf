"""Atomic writing and bounded reading of files.

After a crash a file holds its old or its new content, never a part. Files from outside are regular files of limited
size.
"""

import gzip
import io
import json
import math
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError, as_input_error, printable
from .limits import CARD_BYTES, FILE_NAME_BYTES


def _shipped(name: str, checkout: str) -> Path:
    """Return a folder of the package when installed from a wheel, else that beside it in a checkout."""
    installed = Path(__file__).parent / name
    return installed if installed.is_dir() else Path(__file__).parents[1] / checkout


PRETRAINED = _shipped("pretrained", "pretrained")  # the shipped nets
SAMPLE = _shipped("sample", "img/04_slide_region_cc0") / "CMU-1-Small-Region.svs"  # a slide region, CC0
ZARR = ".zarr"  # suffix of a Zarr store, which is a folder
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


# Temporary names of `atomic_write`, and of the folders of `models.save`.
_LEFTOVER = re.compile(r"\.(?:(?P<process>\d+)-)?[a-z0-9_]{8}\..+|\.new-.+", re.DOTALL)
_TEMPORARY_BYTES = 24  # that a temporary name is longer


@contextmanager
def atomic_write(path: Path | str, *, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path in the same folder; move it to `path` on success, remove it on failure.

    Creates missing folders. The temporary name keeps the suffix of `path`, because many writers choose the file
    format by it.

    Parameters
    ----------
    path : path
        File to write.
    size : int
        Number of bytes that must fit on the disk, checked first. For writers that crash on a full disk. Default: 0.

    Yields
    ------
    pathlib.Path
        Temporary file to write to.

    Raises
    ------
    InputError
        "file-not-writable" if the folder cannot be created or written to; "file-name-too-long"; "disk-full".

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
    if len(os.fsencode(path.name)) > FILE_NAME_BYTES:
        raise InputError(
            "file-name-too-long",
            f"the name of {path} must have at most {FILE_NAME_BYTES} bytes",
            got=len(os.fsencode(path.name)),
            hint="rename the input, or shorten the name",
        )
    ending = path.name
    while len(os.fsencode(ending)) > FILE_NAME_BYTES - _TEMPORARY_BYTES:
        ending = ending[1:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{os.getpid()}-", suffix=f".{ending.lstrip('.')}"
        )
    except OSError as error:
        raise _not_writable(path, error) from None
    temporary = Path(name)
    try:
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
                os.ftruncate(handle, 0)
        finally:
            os.close(handle)
        yield temporary
        # mkstemp creates files with mode 0600; results get the default permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the writer's error, not one of a file that it reads
            error.filename = str(path)
        raise as_input_error(error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _not_writable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that cannot be created."""
    failure = as_input_error(error)
    if failure.code == "disk-full":
        return failure
    return InputError(
        "file-not-writable",
        f"{path} must be in a folder with write permission",
        got=error.strerror,
        hint="choose another folder",
    )


def check_writable(folder: str | os.PathLike) -> Path:
    """Return a folder if files can be written in it; it is not created.

    Raises
    ------
    InputError
        "folder-not-writable".

    Examples
    --------
    >>> check_writable(tempfile.gettempdir()) == Path(tempfile.gettempdir())
    True
    """
    folder = Path(folder)
    place = folder.absolute()
    try:
        while not place.exists():
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            return folder
    except OSError as error:
        raise InputError(
            "folder-not-writable",
            f"{folder} must be a folder that can be written to",
            got=error.strerror,
            hint="choose another folder",
        ) from None


def remove_leftovers(folder: Path | str, *, locked: bool = False) -> None:
    """Remove temporary files that a killed process left in a folder.

    Parameters
    ----------
    folder : path
    locked : bool
        Whether nobody else can be writing: all temporary files are removed, in subfolders, too. By default, only those
        directly in the folder whose process has ended.
    """
    folder = Path(folder)
    for path in list(folder.rglob(".*") if locked else folder.glob(".*")):
        match = _LEFTOVER.fullmatch(path.name)
        if match and (locked or (match["process"] and not _may_live(int(match["process"])))):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _may_live(process: int) -> bool:
    """Return whether another process with this number may be running."""
    if process == os.getpid():
        return False
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def check_file(path: Path | str, *, max_bytes: int) -> Path:
    """Return the path of a regular file of limited size; a device, a pipe or a larger file is an error.

    Raises
    ------
    InputError
        "file-unreadable", "file-not-regular" or "file-too-large".

    Examples
    --------
    >>> check_file("/dev/zero", max_bytes=10)
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: /dev/zero must be a regular file; got a device or pipe; copy its content into a file.
    """
    path = Path(path)
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise unreadable(path, error) from None
    if not stat.S_ISREG(state.st_mode):
        folder = stat.S_ISDIR(state.st_mode)
        raise InputError(
            "file-not-regular",
            f"{path} must be a regular file",
            got="a folder" if folder else "a device or pipe",
            hint="give a file" if folder else "copy its content into a file",
        )
    if state.st_size > max_bytes:
        raise InputError(
            "file-too-large",
            f"{path} must have at most {max_bytes:,} bytes",
            got=f"{state.st_size:,}",
            hint="get the original file again, or split it",
        )
    return path


def read_bytes(path: Path | str, *, max_bytes: int) -> bytes:
    """Return the content of a regular file of limited size; a `.gz` file is unpacked, and its content is limited.

    Raises
    ------
    InputError
        As `check_file`, or "gzip-damaged".
    """
    path = check_file(path, max_bytes=max_bytes)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    return _unpack(path, content, max_bytes) if path.suffix.lower() == ".gz" else content


def _unpack(path: Path, packed: bytes, max_bytes: int) -> bytes:
    """Return the content of a gzip file, of at most `max_bytes`."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            "gzip-damaged",
            f"{path} must be a complete gzip file",
            got=first_line(error),
            hint="copy it again",
        ) from None
    if len(content) > max_bytes:
        raise InputError(
            "file-too-large",
            f"{path} must hold at most {max_bytes:,} bytes",
            got="more",
            hint="get the original file again, or split it",
        )
    return content


def read_text(path: Path | str, *, max_bytes: int = CARD_BYTES, encoding: str = "utf-8") -> str:
    """Return the content of a UTF-8 file of limited size.

    Raises
    ------
    InputError
        As `check_file`, or "file-not-text".
    """
    try:
        return read_bytes(path, max_bytes=max_bytes).decode(encoding)
    except UnicodeDecodeError:
        raise InputError(
            "file-not-text",
            f"{path} must be UTF-8 text",
            got="other bytes",
            hint="get the original file again",
        ) from None


def unreadable(path: Path | str, error: Exception) -> InputError:
    """Return the error for a file that the system cannot read."""
    return InputError(
        "file-unreadable",
        f"{path} must be a file that can be read",
        got=getattr(error, "strerror", None) or error,
        hint="check the path and its permissions",
    )


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, to quote it in a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def walk_files(folder: Path | str) -> list[Path]:
    """List the files in and below a folder, sorted, without hidden ones; linked folders are followed.

    A Zarr store, a folder that ends in `.zarr`, is one entry. Each folder is searched once, even if several links lead
    to it; a link to a folder above ends there. Links whose target is gone are listed.

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
            names += [name for name in folders if name.lower().endswith(ZARR)]
            folders[:] = [name for name in folders if not name.lower().endswith(ZARR)]
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
    text = printable(text)
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
        return {printable(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else printable(value)


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


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; move it to `path` on success, remove it on failure.

    An earlier folder at `path` is replaced.

    Parameters
    ----------
    path : path

    Yields
    ------
    pathlib.Path
        Empty folder to write to.

    Raises
    ------
    InputError
        "file-not-writable" or "disk-full".

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp()) / "store"
    >>> with atomic_folder(folder) as temporary:
    ...     _ = (temporary / "a.txt").write_text("done")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The temporary name is one that `remove_leftovers` finds.
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{os.getpid()}-", suffix=f".{path.name}"))
    except OSError as error:
        raise _not_writable(path, error) from None
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        temporary.replace(path)
    except OSError as error:
        raise as_input_error(error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
