"""Levels of an image pyramid, computed block by block from anything that is sliced like an array."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_SMALLEST_PX = 512  # largest side of the last level
_BLOCK_PX = 4096  # side of the square that is loaded at once


def level_count(shape: tuple[int, int]) -> int:
    """Return the number of levels, each of half the size, until the image fits on a screen.

    Examples
    --------
    >>> level_count((300, 400)), level_count((4096, 1000))
    (1, 4)
    """
    return max(0, int(np.ceil(np.log2(max(shape) / _SMALLEST_PX)))) + 1


def level_shape(shape: tuple[int, int], level: int) -> tuple[int, int]:
    """Return height and width of a level.

    Examples
    --------
    >>> level_shape((5, 8), 1)
    (3, 4)
    """
    return -(-shape[0] // 2**level), -(-shape[1] // 2**level)


def read_block(
    raster: Any, rows: slice, cols: slice, level: int, *, mean: bool, channel: int | None = None
) -> np.ndarray:
    """Read a block of a level.

    Parameters
    ----------
    raster : array-like (H, W) or (H, W, C)
    rows, cols : slice
        Pixels of the level.
    level : int
        Each pixel stands for 2^level x 2^level pixels of the raster.
    mean : bool
        Whether to average (probabilities, images); otherwise the first pixel is taken (labels).
    channel : int, optional
        Channel to read. Default: all.

    Examples
    --------
    >>> raster = np.arange(16, dtype=np.uint8).reshape(4, 4)
    >>> read_block(raster, slice(0, 2), slice(0, 2), 1, mean=False).tolist()
    [[0, 2], [8, 10]]
    >>> read_block(raster, slice(0, 2), slice(0, 2), 1, mean=True).tolist()
    [[2, 4], [10, 12]]
    """
    factor = 2**level
    step = 1 if mean else factor
    index: list[slice | int] = [slice(part.start * factor, part.stop * factor, step) for part in (rows, cols)]
    if channel is not None:
        index.append(channel)
    if not mean or level == 0:
        return np.asarray(raster[tuple(index)])
    height = max(1, _BLOCK_PX // factor)  # rows of the level that are averaged at once
    parts = []
    for top in range(rows.start, rows.stop, height):
        index[0] = slice(top * factor, min(top + height, rows.stop) * factor)
        parts.append(_average(np.asarray(raster[tuple(index)]), factor))
    return np.concatenate(parts)


def _average(block: np.ndarray, factor: int) -> np.ndarray:
    """Average squares of `factor` pixels; squares at the border of the image may be smaller."""
    rows, cols = (np.arange(0, size, factor) for size in block.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(block.astype(np.float64), rows, axis=0), cols, axis=1)
    heights = np.diff(np.append(rows, block.shape[0]))
    widths = np.diff(np.append(cols, block.shape[1]))
    areas = (heights[:, None] * widths).reshape(len(rows), len(cols), *[1] * (block.ndim - 2))
    means = sums / areas
    return (np.rint(means) if block.dtype.kind in "ui" else means).astype(block.dtype)


def blocks(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Yield the squares of an image, row by row; those at the border are smaller.

    Examples
    --------
    >>> list(blocks((2, 3), 2))
    [(slice(0, 2, None), slice(0, 2, None)), (slice(0, 2, None), slice(2, 3, None))]
    """
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def highest(raster: Any) -> int:
    """Return the largest value of a label raster."""
    return max((int(np.max(raster[block])) for block in blocks(raster.shape[:2], _BLOCK_PX)), default=0)


def label_type(largest: int) -> type[np.unsignedinteger]:
    """Return the smallest unsigned type that holds labels up to `largest`.

    Examples
    --------
    >>> label_type(255).__name__, label_type(256).__name__
    ('uint8', 'uint16')
    """
    return np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32
