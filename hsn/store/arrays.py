"""Arrays of a slide on disk, in Zarr 3: chunks are written whole, to a temporary name that is then renamed."""

from collections import OrderedDict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

_KEPT_CHUNKS = 12  # decoded chunks that a reader keeps


def create_array(
    folder: str | PathLike, name: str, *, shape: Sequence[int], chunks: Sequence[int], dtype: str
) -> Any:
    """Create an array filled with 0, or open it if it exists.

    Parameters
    ----------
    folder : path
        A Zarr group; created if it is missing.
    name : str
    shape, chunks : sequence of int
        A task must write whole chunks: two tasks that write to one chunk would lose data.
    dtype : str

    Returns
    -------
    zarr.Array

    Examples
    --------
    >>> import tempfile
    >>> array = create_array(tempfile.mkdtemp(), "labels", shape=(4, 6), chunks=(2, 2), dtype="uint32")
    >>> array[:2, :2] = 7
    >>> array[1].tolist()
    [7, 7, 0, 0, 0, 0]
    """
    import zarr

    zarr.open_group(folder, mode="a")
    if (Path(folder) / name / "zarr.json").exists():
        return zarr.open_array(Path(folder) / name, mode="r+")
    return zarr.create_array(
        Path(folder) / name,
        shape=tuple(shape),
        chunks=tuple(min(chunk, side) for chunk, side in zip(chunks, shape, strict=True)),
        dtype=dtype,
        fill_value=0,
    )


def open_array(folder: str | PathLike, name: str, *, mode: Literal["r", "r+"] = "r") -> Any:
    """Open an array of a store, to read it, or with "r+" to write into it."""
    import zarr

    return zarr.open_array(Path(folder) / name, mode=mode)


class BoxReader:
    """Reads boxes of an array with channels first, (C, H, W), and keeps the last decoded chunks.

    Parameters
    ----------
    array : zarr.Array

    Examples
    --------
    >>> import tempfile
    >>> array = create_array(tempfile.mkdtemp(), "p", shape=(2, 4, 6), chunks=(2, 2, 4), dtype="uint8")
    >>> array[1, :2, :4] = 9
    >>> BoxReader(array).read(1, 2, 2, 3)[..., 1].tolist()
    [[9, 9, 0], [0, 0, 0]]
    """

    def __init__(self, array: Any) -> None:
        self._array, self._chunks = array, OrderedDict[tuple[int, int], np.ndarray]()

    def read(self, row: int, col: int, height: int, width: int) -> np.ndarray:
        """Return a box with channels last, (height, width, C)."""
        _, chunk_height, chunk_width = self._array.chunks
        box = np.empty((height, width, self._array.shape[0]), self._array.dtype)
        for y in range(row // chunk_height, -(-(row + height) // chunk_height)):
            for x in range(col // chunk_width, -(-(col + width) // chunk_width)):
                chunk, top, left = self._chunk(y, x), y * chunk_height, x * chunk_width
                first, last = max(row, top), min(row + height, top + chunk.shape[1])
                start, end = max(col, left), min(col + width, left + chunk.shape[2])
                part = chunk[:, first - top : last - top, start - left : end - left]
                box[first - row : last - row, start - col : end - col] = np.moveaxis(part, 0, 2)
        return box

    def _chunk(self, y: int, x: int) -> np.ndarray:
        if (y, x) not in self._chunks:
            _, height, width = self._array.chunks
            rows, columns = slice(y * height, (y + 1) * height), slice(x * width, (x + 1) * width)
            self._chunks[y, x] = self._array[:, rows, columns]
            while len(self._chunks) > _KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end((y, x))
        return self._chunks[y, x]
