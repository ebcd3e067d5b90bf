"""Check the chunks of a Zarr array before they are decoded: a kilobyte can claim to hold a gigabyte."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_CODECS = {"gzip", "zlib", "zstd", "blosc"}
_OVERHEAD = 2**20  # bytes that a stored chunk may have more than its pixels
_STEP = 2**20  # bytes that are inflated at once
_ABSENT = 2**64 - 1  # offset of an empty chunk in a shard
_ZSTD_SIZES, _ZSTD_DICTIONARY = (0, 2, 4, 8), (0, 1, 2, 4)  # bytes of the fields of a frame's header


def check_chunks(folder: Path, array: Any) -> None:
    """Raise if a stored chunk would unpack to more than the pixels of a chunk.

    Parameters
    ----------
    folder : path
        Folder of the array: its metadata and chunks.
    array : zarr.Array

    Raises
    ------
    ValueError
        Also for a compression other than gzip, zlib, zstd and Blosc.
    """
    names = {type(codec).__name__.lower().removesuffix("codec") for codec in array.compressors}
    if names - _CODECS:
        raise ValueError(f"a compression by {', '.join(sorted(names - _CODECS))}")
    item = array.dtype.itemsize
    chunk = int(np.prod(array.chunks)) * item
    inner = 0 if array.shards is None else int(np.prod(array.shards)) * item // chunk
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith((".z", "zarr.json")):
            continue
        if path.stat().st_size > max(inner, 1) * (chunk + _OVERHEAD):
            raise ValueError(f"a chunk of {path.stat().st_size:,} bytes for {chunk:,} bytes of pixels")
        with path.open("rb") as file:
            for offset in _offsets(file, path.stat().st_size, inner):
                for name in names:
                    claimed = _unpacked_bytes(file, offset, name, chunk)
                    if claimed > chunk + _OVERHEAD:
                        raise ValueError(f"a chunk that unpacks to {claimed:,} bytes or more, not {chunk:,}")


def _offsets(file: BinaryIO, size: int, inner: int) -> Iterator[int]:
    """Yield where the chunks of a file start; the index of a shard is at its end, followed by a checksum."""
    if not inner:
        yield 0
        return
    index = 16 * inner + 4
    if size < index:
        raise ValueError(f"a shard of {size:,} bytes")
    file.seek(size - index)
    for offset, _ in struct.iter_unpack("<QQ", file.read(index - 4)):
        if offset != _ABSENT:
            yield min(offset, size)


def _unpacked_bytes(file: BinaryIO, offset: int, codec: str, limit: int) -> int:
    """Return the unpacked size of a chunk; gzip and zlib do not state it, so they are inflated up to the limit."""
    file.seek(offset)
    if codec in ("gzip", "zlib"):
        unpacker, total = zlib.decompressobj(47), 0
        while total <= limit + _OVERHEAD and not unpacker.eof:
            data = unpacker.unconsumed_tail or file.read(_STEP)
            if not data:
                break
            total += len(unpacker.decompress(data, _STEP))
        return total
    head = file.read(18).ljust(18, b"\0")
    if codec == "blosc":
        return int(struct.unpack_from("<I", head, 4)[0])
    flags = head[4]
    single = flags >> 5 & 1
    width = _ZSTD_SIZES[flags >> 6] or single
    if not width:
        raise ValueError("a chunk of zstd that does not state its size")
    start = 5 + (1 - single) + _ZSTD_DICTIONARY[flags & 3]
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)
