"""Open HDF5 files from outside; links and sizes are checked before any number is read.

HDF5 can point at other files by links, external storage and virtual storage. A dataset of a few bytes can declare
terabytes. Files of weights need none of that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import BinaryIO

import h5py

from ..errors import InputError
from .bounded import first_line

# Groups and datasets. The deepest nets of this field have some thousands; the limit also ends a circle of links.
MAX_OBJECTS = 50_000


@contextmanager
def opened(source: str | PathLike[str] | BinaryIO, path: object, *, max_bytes: int) -> Iterator[h5py.File]:
    """Open an HDF5 file that holds only numbers.

    Parameters
    ----------
    source : path or binary file
    path : path
        Name of the file in messages.
    max_bytes : int
        Limit for the declared sizes of all datasets together.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        "weights-damaged" for another or damaged file; "weights-unsafe" if it points outside itself, holds anything
        but numbers, or declares too much.
    """
    try:
        with h5py.File(source, "r") as file:
            _check(file, path, max_bytes)
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "weights-damaged",
            f"{path} must be a complete HDF5 file",
            got=first_line(error),
            hint="download or copy it again",
        ) from None


def _check(file: h5py.File, path: object, max_bytes: int) -> None:
    """Walk all groups without following a link out of the file."""
    groups, seen, declared = [file], 0, 0
    while groups:
        group = groups.pop()
        seen += len(group)
        _require(seen <= MAX_OBJECTS, path, f"hold at most {MAX_OBJECTS:,} groups and datasets", "more")
        for name in group:
            link, place = group.get(name, getlink=True), f"{group.name.rstrip('/')}/{name}"
            _require(isinstance(link, h5py.HardLink), path, "not point at other files", f"a link at {place}")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
                continue
            numbers = isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub"
            _require(numbers, path, "hold only numbers", place)
            inside = not item.external and not item.is_virtual
            _require(inside, path, "not point at other files", f"storage in another file for {place}")
            declared += item.nbytes
    _require(declared <= max_bytes, path, f"declare at most {max_bytes:,} bytes", f"{declared:,}")


def _require(holds: bool, path: object, must: str, got: str) -> None:
    if not holds:
        raise InputError(
            "weights-unsafe",
            f"{path} must {must}",
            got=got,
            hint="do not use it; get the original file again",
        )
