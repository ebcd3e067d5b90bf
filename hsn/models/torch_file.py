"""Files of torch weights that need no unpickling: `.npz` and `.safetensors`.

A `.pt` or `.pth` file is a program for the pickle machine and is refused; its owner can save the numbers.
"""

import json
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError, refuse
from .bounded import in_short

_MOST_BYTES = 4 * 2**30  # some thirty times the full U-Net
_MOST_HEADER_BYTES = 2**24
_REMEDY = "in torch: numpy.savez('net.npz', **{k: v.cpu().numpy() for k, v in state_dict.items()})"
# bfloat16 is the upper half of a float32; it is read as whole numbers and widened
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


def read_state(path):
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
        If the file is missing, of another kind, damaged, too large, or holds Python objects.

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
        refuse(f"{path} cannot be read without running what it holds", expected=".npz or .safetensors",
               received=path.suffix or "no ending", remedy=_REMEDY)  # fmt: skip
    try:
        if path.stat().st_size > _MOST_BYTES:
            _refuse(path, f"more than {_MOST_BYTES} bytes")
        return readers[path.suffix.lower()](path)
    except OSError as error:
        _refuse(path, error.strerror or in_short(error))
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        struct.error,
    ) as error:
        _refuse(path, in_short(error))


def _refuse(path, received):
    refuse(f"{path} is no file of weights that can be read", expected="a whole .npz or .safetensors file of numbers",
           received=received, remedy="save it again")  # fmt: skip


def _npz(path):
    state = {}
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > _MOST_BYTES:
            _refuse(path, f"a zip that unpacks to more than {_MOST_BYTES} bytes")
        for info in infos:
            with archive.open(info) as file:
                state[info.filename.removesuffix(".npy")] = _npy(path, file, info.file_size)
    return state


def _npy(path, file, size):
    """One array; its header is compared with the bytes that are there before any memory is taken."""
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, by_column, dtype = read_header[version](file)
    except (ValueError, KeyError) as error:
        _refuse(path, f"an entry that is no array ({in_short(error)})")
    if dtype.kind not in "fiub" or min(shape, default=0) < 0:
        _refuse(path, f"an array of {dtype}, {shape}")
    data = file.read(size)
    if len(data) != math.prod(shape) * dtype.itemsize:
        _refuse(path, f"{len(data)} bytes for an array of shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C")


def _safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    if length > min(_MOST_HEADER_BYTES, len(data) - 8):
        _refuse(path, f"a header of {length} bytes")
    try:
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        return {name: _tensor(path, data, 8 + length, **entry) for name, entry in header.items()}
    except InputError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError, KeyError) as error:
        _refuse(path, f"a header that is no table of tensors ({in_short(error)})")


def _tensor(path, data, start, *, dtype, shape, data_offsets):
    first, last = data_offsets
    kind = np.dtype(_SAFETENSORS[dtype])
    whole = all(isinstance(side, int) and side >= 0 for side in (*shape, first, last))
    if not whole or last - first != math.prod(shape) * kind.itemsize or start + last > len(data):
        _refuse(path, f"a tensor of shape {shape} at bytes {first} to {last} of {len(data) - start}")
    array = np.frombuffer(data, kind, math.prod(shape), start + first).reshape(shape)
    return (array.astype("<u4") << 16).view("<f4") if dtype == "BF16" else array
