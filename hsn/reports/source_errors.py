"""Errors of a net by source: where did training know a pixel from, and how often is the net wrong there?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..checks import same_shape
from .tables import text_table, write_rows

COLUMNS = ("source", "annotated_pixels", "error", "nearest_pixels", "error_of_nearest")


def nearest_source(source: np.ndarray) -> np.ndarray:
    """Return for each pixel the source of the nearest known pixel, uint8 (H, W); 0 if none is known.

    Examples
    --------
    >>> nearest_source(np.array([[0, 1, 0, 0, 3]], np.uint8)).tolist()
    [[1, 1, 1, 3, 3]]
    """
    if not source.any():
        return source
    places = distance_transform_edt(source == 0, return_distances=False, return_indices=True)
    return source[tuple(places)]


@dataclass
class SourceErrors:
    """Counts of pixels and of errors by source.

    Attributes
    ----------
    names : dict of int to str
        Name of each source.
    counts : int64 array, shape (256, 4)
        Annotated pixels, errors of these, pixels whose nearest annotation is of this source, errors of these.
    """

    names: Mapping[int, str]
    counts: np.ndarray = field(default_factory=lambda: np.zeros((256, 4), np.int64))

    def add(self, source: np.ndarray, wrong: np.ndarray, valid: np.ndarray) -> None:
        """Count the pixels of an image.

        Parameters
        ----------
        source : uint8 array, shape (H, W)
            0 where nothing was known.
        wrong, valid : bool arrays, shape (H, W)
            Where the net is wrong, and where the truth is known.

        Raises
        ------
        InputError
            "shape-mismatch".
        """
        same_shape("source", source.shape, "wrong", wrong.shape)
        for column, places in ((0, source), (2, nearest_source(source))):
            self.counts[:, column] += np.bincount(places[valid], minlength=256)
            self.counts[:, column + 1] += np.bincount(places[valid & wrong], minlength=256)

    def rows(self) -> list[dict]:
        """Return one row for each source that occurs; an error is a share of pixels, None without pixels.

        Examples
        --------
        >>> errors = SourceErrors({1: "mask"})
        >>> errors.add(np.array([[0, 1]], np.uint8), np.array([[True, False]]), np.ones((1, 2), bool))
        >>> [(row["source"], row["error"], row["error_of_nearest"]) for row in errors.rows()]
        [('mask', 0.0, 0.5)]
        """
        found = [
            code for code in range(1, 256) if self.counts[code, 0] or self.counts[code, 2]
        ]  # 0 is unknown
        return [
            dict(zip(COLUMNS, (self.names.get(code, str(code)), *_shares(self.counts[code])), strict=True))
            for code in found
        ]

    def __str__(self) -> str:
        rows = [
            [row["source"], row["annotated_pixels"], _percent(row["error"]), row["nearest_pixels"],
             _percent(row["error_of_nearest"])]
            for row in self.rows()
        ]  # fmt: skip
        heads = ["source", "pixels", "wrong", "pixels nearest to it", "wrong"]
        return text_table(heads, rows)

    def write(self, folder: str | PathLike) -> list[Path]:
        """Write the rows to `errors_by_source.csv`; return the file."""
        path = Path(folder) / "errors_by_source.csv"
        write_rows(path, self.rows())
        return [path]


def _shares(counts: np.ndarray) -> tuple:
    pixels, wrong, near, near_wrong = counts.tolist()
    return pixels, wrong / pixels if pixels else None, near, near_wrong / near if near else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
