"""Read one table of numbers from a MATLAB 5 file, by its name.

SciPy's reader can end the whole program on a file with a single damaged byte. This reader supports only tables of real
numbers, and checks each length in the file against the bytes that are there.

Source: the MAT-file format as MathWorks describes it (level 5).
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np

Buffer = bytes | memoryview
# Codes of the format: how numbers are stored, and two kinds of element.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TABLE, _COMPRESSED = 14, 15
_HEAD_BYTES = 4096  # of a compressed table, which hold its flags, shape and name
_NUMBERS, _COMPLEX = range(6, 14), 0x0800  # double, single, and integers of 8 to 32 bits


def table(content: bytes, *names: str, max_bytes: int) -> np.ndarray:
    """Return the first table of real numbers that has one of the names.

    Parameters
    ----------
    content : bytes
        A whole MATLAB 5 file.
    *names : str
        The preferred name first. Other tables are not unpacked.
    max_bytes : int
        Largest size of a compressed table, unpacked.

    Returns
    -------
    float64 array

    Raises
    ------
    ValueError, struct.error, zlib.error
        If the file is not MATLAB 5, damaged or a bomb, has no such table, or the table does not hold real numbers.

    Examples
    --------
    >>> import io, scipy.io
    >>> file = io.BytesIO()
    >>> scipy.io.savemat(file, {"t": [[0.5, 2.0]]})
    >>> table(file.getvalue(), "t", max_bytes=1000).tolist()
    [[0.5, 2.0]]
    """
    if len(content) < 128 or not content.startswith(b"MATLAB 5.0 MAT-file"):
        raise ValueError(f"a file that starts with {content[:19]!r}")
    order = "<" if content[126:128] == b"IM" else ">"
    tables: dict[bytes, tuple[int, Buffer]] = {}
    for kind, body in _elements(memoryview(content)[128:], order):
        inner, head = kind, body
        if kind == _COMPRESSED:
            start = zlib.decompressobj().decompress(body, _HEAD_BYTES)
            inner, head = struct.unpack_from(order + "I", start)[0], start[8:]
        if inner != _TABLE:
            raise ValueError(f"an element of kind {inner} where a table should be")
        parts = list(islice(_elements(head, order), 3))  # flags, shape, name
        if len(parts) == 3:
            tables.setdefault(bytes(parts[2][1]), (kind, body))
    name = next((name for name in names if name.encode() in tables), None)
    if name is None:
        raise ValueError(f"no table `{names[0]}`")
    kind, body = tables[name.encode()]
    return _numbers(_inflate(body, order, max_bytes) if kind == _COMPRESSED else body, name, order)


def _inflate(packed: Buffer, order: str, max_bytes: int) -> Buffer:
    """Return the inside of a compressed table, which must not state a larger size than `max_bytes`."""
    unpacker = zlib.decompressobj()
    head = unpacker.decompress(packed, 8)
    (size,) = struct.unpack_from(order + "4xI", head)
    if size > max_bytes:
        raise ValueError(f"a table of {size:,} bytes")
    return next(_elements(head + unpacker.decompress(unpacker.unconsumed_tail, size + 1), order), (0, b""))[1]


def _numbers(body: Buffer, name: str, order: str) -> np.ndarray:
    """Return the numbers of a table."""
    parts = list(islice(_elements(body, order), 4))  # flags, shape, name, numbers
    (flags,) = struct.unpack_from(order + "I", parts[0][1])
    if flags & 0xFF not in _NUMBERS or flags & _COMPLEX or len(parts) < 4 or parts[3][0] not in _STORED:
        raise ValueError(f"`{name}` does not hold real numbers")
    shape = np.frombuffer(parts[1][1], order + "i4")
    numbers = np.frombuffer(parts[3][1], order + _STORED[parts[3][0]])
    return numbers.astype(np.float64).reshape(tuple(shape), order="F")


def _elements(content: Buffer, order: str) -> Iterator[tuple[int, Buffer]]:
    """Yield kind and body of each element; raise if one extends beyond the end."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from(order + "II", content, at)
        start, end = at + 8, at + 8 + size
        if kind >> 16:  # up to four bytes are stored in the head itself
            kind, start, end = kind & 0xFFFF, at + 4, at + 4 + (kind >> 16)
        if end > len(content) or (start == at + 4 and end > at + 8):
            raise ValueError(f"an element of {end - start:,} bytes where {len(content) - start:,} are left")
        yield kind, content[start:end]
        at = end if kind == _COMPRESSED else end + -end % 8
