"""Read torch weights from `.npz` and `.safetensors` files.

A `.pt` or `.pth` file is a program for the pickle machine and is refused; its owner can save the arrays instead.
"""

import json
import math
import stat
import struct
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from ..errors import InputError
from ..files import first_line
from ..limits import STATE_BYTES, STATE_HEADER_BYTES

# bfloat16 is the upper half of a float32: it is read as integers and widened
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


def read_state(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read a `state_dict` as arrays, in the order of the file.

    Parameters
    ----------
    path : path
        `.npz`, saved with ``numpy.savez(path, **{k: v.cpu().numpy() for k, v in net.state_dict().items()})``, or
        `.safetensors`.

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        "weights-format" for another ending; "weights-damaged" for a missing, damaged or too large file, or one with
        Python objects.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.npz"
    >>> np.savez(path, **{"conv.weight": np.ones((2, 1, 3, 3), np.float32)})
    >>> {name: array.shape for name, array in read_state(path).items()}
    {'conv.weight': (2, 1, 3, 3)}
    """
    path = Path(path)
    readers = {".npz": _npz, ".safetensors": _safetensors}
    if path.suffix.lower() not in readers:
        raise InputError(
            "weights-format",
            f"{path} must be .npz or .safetensors, which can be read without running code",
            got=path.suffix or "no ending",
            hint="in torch: numpy.savez('net.npz', **{k: v.cpu().numpy() for k, v in state_dict.items()})",
        )
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            _damaged(path, "a folder, device or pipe")
        if state.st_size > STATE_BYTES:
            _damaged(path, f"more than {STATE_BYTES} bytes")
        return readers[path.suffix.lower()](path)
    except (
        OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, struct.error,
    ) as error:  # fmt: skip
        _damaged(path, getattr(error, "strerror", None) or first_line(error))


def _damaged(path: Path, got: str) -> NoReturn:
    raise InputError(
        "weights-damaged",
        f"{path} must be a complete .npz or .safetensors file of numbers",
        got=got,
        hint="save it again",
    )


def _npz(path: Path) -> dict[str, np.ndarray]:
    state = {}
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > STATE_BYTES:
            _damaged(path, f"a zip that unpacks to more than {STATE_BYTES} bytes")
        for info in infos:
            with archive.open(info) as file:
                state[info.filename.removesuffix(".npy")] = _npy(path, file, info.file_size)
    return state


def _npy(path: Path, file: IO[bytes], size: int) -> np.ndarray:
    """Read one array; its header is compared with the bytes in the file before memory is allocated."""
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, by_column, dtype = read_header[version](file)
    except (ValueError, KeyError) as error:
        _damaged(path, f"an entry that is not an array ({first_line(error)})")
    if dtype.kind not in "fiub" or min(shape, default=0) < 0:
        _damaged(path, f"an array of {dtype}, {shape}")
    data = file.read(size)
    if len(data) != math.prod(shape) * dtype.itemsize:
        _damaged(path, f"{len(data)} bytes for an array of shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C")


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    if length > min(STATE_HEADER_BYTES, len(data) - 8):
        _damaged(path, f"a header of {length} bytes")
    try:
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        return {name: _tensor(path, data, 8 + length, **entry) for name, entry in header.items()}
    except InputError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError, KeyError) as error:
        _damaged(path, f"a header that is not a table of tensors ({first_line(error)})")


def _tensor(
    path: Path, data: bytes, start: int, *, dtype: str, shape: list[int], data_offsets: Any
) -> np.ndarray:
    first, last = data_offsets
    kind = np.dtype(_SAFETENSORS[dtype])
    whole = all(isinstance(side, int) and side >= 0 for side in (*shape, first, last))
    if not whole or last - first != math.prod(shape) * kind.itemsize or start + last > len(data):
        _damaged(path, f"a tensor of shape {shape} at bytes {first} to {last} of {len(data) - start}")
    array = np.frombuffer(data, kind, math.prod(shape), start + first).reshape(shape)
    return (array.astype("<u4") << 16).view("<f4") if dtype == "BF16" else array
