"""Table of objects: one row per object, as NumPy columns with units in their names, and the outlines.

The columns are NumPy arrays, so that a table costs no package. `to_arrow`, `to_pandas` and `to_geopandas` convert it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import require
from ..errors import InputError
from ..taxonomies import Color
from . import outlines as polygons
from .outlines import Outlines

_ANCHOR = ("anchor_x_px", "anchor_y_px")  # the first pixel of each object: what its UUID is made from


@dataclass(frozen=True)
class ObjectTable:
    """Objects of an image, one row each.

    Attributes
    ----------
    columns : dict of str to array (n,)
        By name, in the order of a written table; see `hsn.exports.measure.measure_objects`.
    outlines : Outlines or None
        In level-0 pixels (x, y); the first pixel covers 0 to 1.
    colors : dict of str to (int, int, int)
        Color of each class.
    mpp : float or None
        Micrometers per pixel, None if unknown.

    Examples
    --------
    >>> table = ObjectTable({"id": np.array([1, 2]), "area_px": np.array([9, 4])})
    >>> table
    ObjectTable(2 objects: id, area_px)
    >>> table["area_px"].tolist(), table[table["area_px"] > 5]["id"].tolist()
    ([9, 4], [1])
    """

    columns: Mapping[str, np.ndarray]
    outlines: Outlines | None = None
    colors: Mapping[str, Color] = field(default_factory=dict)
    mpp: float | None = None

    def __repr__(self) -> str:
        return f"ObjectTable({len(self)} objects: {', '.join(self.names)})"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, key: str | slice | npt.ArrayLike) -> Any:
        """Return a column by its name, or the table of some rows by a slice, a mask or indices."""
        if isinstance(key, str):
            return self.columns[key]
        if isinstance(key, slice):
            rows = np.arange(len(self))[key]
        else:
            rows = np.asarray(key)
            rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(
            self, columns=columns, outlines=None if self.outlines is None else self.outlines.take(rows)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are written to files."""
        return tuple(name for name in self.columns if name not in _ANCHOR)

    @property
    def measurements(self) -> tuple[str, ...]:
        """Names of the columns of numbers: not ids, classes and flags."""
        return tuple(
            name
            for name in self.names
            if self.columns[name].dtype.kind in "fiu" and name not in ("id", "tissue_id")
        )

    def batches(self, size: int = 20_000) -> Iterator["ObjectTable"]:
        """Yield the table in parts of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def with_columns(self, **columns: np.ndarray) -> "ObjectTable":
        """Return the table with further columns, or other values of columns."""
        return replace(self, columns={**self.columns, **columns})

    def named(self, image: str) -> "ObjectTable":
        """Return the table with a column `uuid`, which depends on the name of the image and the first pixels only.

        The same object of the same image has the same UUID in each run, on each machine. The version is 8 (RFC 9562).

        Parameters
        ----------
        image : str
            Name of the image.

        Examples
        --------
        >>> from hsn.exports.measure import measure_objects
        >>> measure_objects(np.array([[0, 1]])).named("a")["uuid"].tolist()
        ['40f89e39-5b66-822f-8000-000000000001']
        """
        if not all(name in self.columns for name in _ANCHOR):
            return self
        uuids = uuids_of(image, *(self.columns[name] for name in _ANCHOR))
        columns = dict(self.columns)
        first = {"id": columns.pop("id"), "uuid": uuids} if "id" in columns else {"uuid": uuids}
        return replace(self, columns={**first, **columns})

    def to_arrow(self, *, geometry: bool = False) -> Any:
        """Return a `pyarrow.Table`; with `geometry`, outlines as WKB in a column "geometry".

        Examples
        --------
        >>> ObjectTable({"id": np.array([1, 2])}).to_arrow().num_rows
        2
        """
        pa = require("pyarrow")
        arrays = {}
        for name in self.names:
            arrays[name] = pa.array(self.columns[name], from_pandas=True)  # NaN becomes null
            if name == "class":
                arrays[name] = arrays[name].dictionary_encode()
        if geometry and self.outlines is not None:
            shapely = require("shapely")
            arrays["geometry"] = pa.array(shapely.to_wkb(self.outlines.to_shapely(multi=False)), pa.binary())
        return pa.table(arrays)

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`.

        Raises
        ------
        InputError
            "pandas-missing".
        """
        pandas = require("pandas")
        return pandas.DataFrame({name: self.columns[name] for name in self.names})

    def to_geopandas(self) -> Any:
        """Return a `geopandas.GeoDataFrame` with outlines in pixels, without a coordinate reference system.

        Raises
        ------
        InputError
            "geopandas-missing" or "outlines-missing".
        """
        geopandas = require("geopandas")
        return geopandas.GeoDataFrame(
            {name: self.columns[name] for name in self.names}, geometry=self.checked_outlines().to_shapely()
        )

    def checked_outlines(self) -> Outlines:
        """Return the outlines; raise InputError "outlines-missing" without them."""
        if self.outlines is None:
            raise InputError(
                "outlines-missing",
                "the table of objects must have outlines",
                got="columns only",
                hint="measure the objects with hsn.exports.measure.measure_objects",
            )
        return self.outlines


def concatenate(tables: Sequence[ObjectTable]) -> ObjectTable:
    """Join tables with the same columns.

    Examples
    --------
    >>> len(concatenate([ObjectTable({"id": np.array([1, 2])})] * 2))
    4
    """
    first = tables[0]
    columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in first.columns}
    outlines = [table.outlines for table in tables]
    joined = (
        None if None in outlines else polygons.concatenate([part for part in outlines if part is not None])
    )
    return replace(first, columns=columns, outlines=joined)


def uuids_of(image: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a UUID of version 8 for each position in an image, as text (n,).

    Parameters
    ----------
    image : str
        Name of the image.
    x, y : int array (n,)
        Position in pixels, 0 to 2^31 - 1.
    """
    code = np.zeros((len(x), 16), np.uint8)
    code[:, :8] = np.frombuffer(
        hashlib.blake2b(image.encode("utf-8", "replace"), digest_size=8).digest(), "u1"
    )
    code[:, 6] = code[:, 6] & 0x0F | 0x80  # version 8
    place = (1 << 63) | (np.asarray(y, np.uint64) << np.uint64(31)) | np.asarray(x, np.uint64)  # variant 10
    code[:, 8:] = place.astype(">u8").view(np.uint8).reshape(-1, 8)
    digits = np.frombuffer(b"0123456789abcdef", "u1")
    text = np.full((len(x), 36), ord("-"), np.uint8)
    places = [k for k in range(36) if k not in (8, 13, 18, 23)]
    text[:, places] = digits[np.stack([code >> 4, code & 15], axis=2).reshape(len(x), 32)]
    return text.view("S36").ravel().astype("U36")
