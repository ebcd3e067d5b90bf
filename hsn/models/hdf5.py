"""HDF5 files from outside: every link and every size is looked at before any number is read.

HDF5 can point at other files (external and soft links, external and virtual storage), and a dataset of a few
bytes can declare terabytes. Files of weights need none of that.
"""

from contextlib import contextmanager

import h5py

from ..errors import InputError, refuse
from .bounded import in_short

# Groups and datasets; the deepest nets of this field have some thousands. Also ends a walk in a circle of
# links.
MAX_OBJECTS = 50_000


@contextmanager
def opened(source, path, *, max_bytes):
    """Open an HDF5 file that holds nothing but plain numbers.

    Parameters
    ----------
    source : path or binary file
    path : path
        What to call it in a error.
    max_bytes : int
        How much all its datasets together may declare.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        If it is no HDF5 file, is damaged, points outside itself, holds anything but numbers, or declares too
        much.
    """
    try:
        with h5py.File(source, "r") as file:
            _check(file, path, max_bytes)
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        refuse(f"{path} is damaged or no HDF5 file", expected="a whole file of weights",
               received=in_short(error), remedy="download or copy it again")  # fmt: skip


def _check(file, path, max_bytes):
    """Walk all groups without following a link out; refuse the first thing that weights do not need."""
    groups, seen, declared = [file], 0, 0
    while groups:
        group = groups.pop()
        seen += len(group)
        if seen > MAX_OBJECTS:
            refuse(f"{path} holds too many groups", expected=f"at most {MAX_OBJECTS:,}", received="more",
                   remedy="do not use this file; get the original again")  # fmt: skip
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                _refuse_outside(path, f"a link at {group.name}/{name}")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
                continue
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
                refuse(f"{path} holds more than numbers", expected="datasets of numbers",
                       received=f"{group.name}/{name}", remedy="get the original file again")  # fmt: skip
            if item.external or item.is_virtual:
                _refuse_outside(path, f"storage in another file for {item.name}")
            declared += item.nbytes
    if declared > max_bytes:
        refuse(f"{path} declares too many numbers", expected=f"at most {max_bytes:,} bytes",
               received=f"{declared:,}", remedy="do not use this file; get the original again")  # fmt: skip


def _refuse_outside(path, received):
    refuse(f"{path} points at other files", expected="a file that stands alone", received=received,
           remedy="do not use this file; get the original again")  # fmt: skip
