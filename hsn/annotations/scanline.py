"""Fill polygons row by row: exact, with bounded time and memory for any number of corners."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..limits import COORDINATE_PX, POLYGON_CROSSINGS


def fill_rings(
    rings: Sequence[np.ndarray], shape: tuple[int, int], *, where: Path | str = "outlines"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels inside of rings by the even-odd rule: a ring inside of another one is a hole.

    Parameters
    ----------
    rings : sequence of float arrays (n, 2)
        Corners (row, col); the center of the first pixel is (0, 0). The last corner is connected to the first.
    shape : (int, int)
        Height and width of the image; pixels outside are left out.
    where : path or str
        Name of the file, for messages.

    Returns
    -------
    rows, cols : int32 arrays (m,)
        Pixels whose center is inside. A center on a left or upper edge is inside, one on a right or lower edge is not.

    Raises
    ------
    InputError
        "outline-coordinates" if a coordinate is not finite or above 1e7 pixels; "outline-complex" if the edges cross
        too many rows.

    Examples
    --------
    >>> rows, cols = fill_rings([np.array([[-0.5, -0.5], [-0.5, 1.5], [0.5, 1.5], [0.5, -0.5]])], (3, 4))
    >>> rows.tolist(), cols.tolist()
    ([0, 0], [0, 1])
    """
    here = np.concatenate([np.asarray(ring, float).reshape(-1, 2) for ring in rings])
    _check(here, where)
    there = np.concatenate([np.roll(np.asarray(ring, float).reshape(-1, 2), -1, axis=0) for ring in rings])
    low = np.where((here[:, 0] <= there[:, 0])[:, None], here, there)
    high = np.where((here[:, 0] <= there[:, 0])[:, None], there, here)
    first = np.clip(np.ceil(low[:, 0]), 0, shape[0]).astype(np.int64)
    last = np.clip(np.ceil(high[:, 0]), 0, shape[0]).astype(np.int64)  # exclusive
    counts = last - first
    if counts.sum() > POLYGON_CROSSINGS:
        raise InputError(
            "outline-complex",
            f"edges of an outline in {where} must cross at most {POLYGON_CROSSINGS:,} rows of pixels",
            got=f"{counts.sum():,}",
            hint="simplify the outline",
        )
    edge = np.repeat(np.arange(len(low)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = (high[:, 1] - low[:, 1]) / np.where(counts > 0, high[:, 0] - low[:, 0], 1)
    col = low[edge, 1] + (row - low[edge, 0]) * slope[edge]
    order = np.lexsort((col, row))
    # Each row is crossed an even number of times; pixels between the first and second crossing are inside, and so on.
    row, col = row[order], np.clip(np.ceil(col[order]), 0, shape[1]).astype(np.int32)
    start, stop, row = col[::2], col[1::2], row[::2].astype(np.int32)
    widths = stop - start
    cols = np.arange(widths.sum(), dtype=np.int32)
    cols += np.repeat(start - (np.cumsum(widths, dtype=np.int32) - widths), widths)
    return np.repeat(row, widths), cols


def _check(points: np.ndarray, where: Path | str) -> None:
    valid = (np.abs(points) <= COORDINATE_PX).all(axis=1)  # False for NaN
    if not valid.all():
        raise InputError(
            "outline-coordinates",
            f"coordinates in {where} must be finite and within {COORDINATE_PX:g} pixels",
            got=points[~valid][0].tolist(),
            hint="export the annotation again, in pixels",
        )
