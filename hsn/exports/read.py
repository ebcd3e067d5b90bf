"""Read objects: tables that hsn wrote, and masks or outlines of other programs."""

from pathlib import Path
from typing import Any

import numpy as np

from ..annotations import mask_files
from ..checks import require
from ..errors import InputError
from ..files import check_file, first_line
from ..limits import TABLE_BYTES, TABLE_CELLS
from ..objects.outlines import from_shapely
from ..objects.table import ObjectTable
from .measure import measure_objects

_GEOMETRY, _BOX = "geometry", "bbox"
_TABLES = (".parquet", ".csv")


def read_objects(
    path: str | Path, *, shape: tuple[int, int] | None = None, mpp: float | None = None
) -> ObjectTable:
    """Read objects from a file.

    Parameters
    ----------
    path : path
        A table that hsn wrote (`.csv`, `.parquet`, GeoParquet with outlines); or masks in any form that `hsn fit`
        takes: label image, GeoJSON of QuPath, COCO, ImageJ zip, `.npy`, `.mat`, OME-Zarr. Masks are measured.
    shape : (int, int), optional
        Height and width of the image; required for outlines, which do not store it.
    mpp : float, optional
        Micrometers per pixel, for the measurements of masks.

    Returns
    -------
    ObjectTable

    Raises
    ------
    InputError
        "table-damaged", "shape-missing", or an error of the reader of the file.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.exports.tables import write_geoparquet
    >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
    >>> _ = write_geoparquet(path, [measure_objects(np.array([[0, 1, 1]]))])
    >>> table = read_objects(path)
    >>> table["area_px2"].tolist(), table.outlines.areas().tolist()
    ([2.0], [2.0])
    """
    path = Path(path)
    if path.suffix.lower() not in _TABLES:
        return measure_objects(mask_files.read(path, shape), mpp=mpp)
    check_file(path, max_bytes=TABLE_BYTES)
    try:
        is_csv = path.suffix.lower() == ".csv"
        arrow = require("pyarrow.csv").read_csv(path) if is_csv else _read_parquet(path)
        columns = {
            name: _as_array(arrow[name]) for name in arrow.column_names if name not in (_GEOMETRY, _BOX)
        }
        outlines = None
        if _GEOMETRY in arrow.column_names:
            shapely = require("shapely")
            outlines = from_shapely(shapely.from_wkb(arrow[_GEOMETRY].to_pylist()))
    except InputError:
        raise
    except Exception as error:  # Arrow and GEOS raise many kinds of errors for damaged bytes
        raise InputError(
            "table-damaged",
            f"{path} must be a table of objects",
            got=first_line(error),
            hint="export the result again",
        ) from None
    return ObjectTable(columns, outlines, mpp=mpp)


def _read_parquet(path: Path) -> Any:
    """Return a Parquet file as an Arrow table; a kilobyte can claim a billion equal rows."""
    with require("pyarrow.parquet").ParquetFile(path) as file:
        about = file.metadata
        if about.num_rows * max(1, about.num_columns) > TABLE_CELLS:
            raise ValueError(f"{about.num_rows:,} rows of {about.num_columns} columns")
        return file.read()


def _as_array(column: Any) -> np.ndarray:
    """Return a column as a NumPy array; absent numbers are NaN."""
    pa = require("pyarrow")
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind):
        compute = require("pyarrow.compute")
        longest = compute.max(compute.binary_length(column.cast(pa.string()))).as_py()
        if (longest or 0) * len(column) > TABLE_BYTES:
            raise ValueError(f"{len(column):,} rows of texts of up to {longest:,} letters")
        return np.array([text or "" for text in column.to_pylist()], dtype=str)
    values: np.ndarray = column.to_numpy()
    return values
