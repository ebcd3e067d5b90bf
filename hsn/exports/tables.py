"""Write objects as tables: CSV, Parquet, and GeoParquet 1.1 with outlines."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..errors import InputError
from ..files import atomic_write, csv_text
from ..objects.table import ObjectTable

_ROW_GROUP = 50_000  # rows that a reader loads at once
_BOX = ("xmin", "ymin", "xmax", "ymax")
_DECIMALS = 6


def write_csv(path: str | Path, tables: Iterable[ObjectTable]) -> int:
    """Write objects as CSV with a header line, UTF-8, decimal points.

    Parameters
    ----------
    path : path
    tables : iterable of ObjectTable
        With the same columns. Names that a spreadsheet would run as formulas get an apostrophe in front.

    Returns
    -------
    int
        Number of objects.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.csv"
    >>> write_csv(path, [ObjectTable({"id": np.array([1]), "area_px2": np.array([9.0])})])
    1
    >>> path.read_text().split()
    ['id,area_px2', '1,9']
    """
    csv = require("pyarrow.csv")
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    with atomic_write(Path(path)) as temporary, open(temporary, "wb") as file:

        def open_writer(schema: Any) -> Any:
            file.write((",".join(schema.names) + "\n").encode())
            return csv.CSVWriter(file, schema, write_options=options)

        return _write(tables, open_writer, _for_csv)


def write_parquet(path: str | Path, tables: Iterable[ObjectTable]) -> int:
    """Write objects as a Parquet table without outlines; parameters as for `write_csv`.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow.parquet
    >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
    >>> write_parquet(path, [ObjectTable({"id": np.array([1, 5])})])
    2
    >>> pyarrow.parquet.read_table(path)["id"].to_pylist()
    [1, 5]
    """
    with atomic_write(Path(path)) as temporary:
        return _write(
            tables, lambda schema: _parquet_writer(temporary, schema), lambda table: table.to_arrow()
        )


def write_geoparquet(path: str | Path, tables: Iterable[ObjectTable], *, simplify_px: float = 0.0) -> int:
    """Write objects with outlines as GeoParquet 1.1; geopandas, QGIS, DuckDB and R (sf, geoarrow) read it.

    Parameters
    ----------
    path : path
    tables : iterable of ObjectTable
        With outlines.
    simplify_px : float
        Largest deviation of simplified outlines in pixels. Default: 0.

    Returns
    -------
    int
        Number of objects.

    Raises
    ------
    InputError
        "outlines-missing", "disk-full" or "file-not-writable".

    Notes
    -----
    The coordinates are pixels, so the coordinate reference system is null. Each row has a bounding box, which lets
    readers load a part: ``geopandas.read_parquet(path, bbox=(0, 0, 5000, 5000))``.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.exports.measure import measure_objects
    >>> write_geoparquet(Path(tempfile.mkdtemp()) / "a.parquet", [measure_objects(np.array([[0, 1]]))])
    1
    """

    def convert(table: ObjectTable) -> Any:
        return _with_geometry(table, simplify_px)

    with atomic_write(Path(path)) as temporary:
        return _write(tables, lambda schema: _parquet_writer(temporary, schema), convert)


def _write(tables: Iterable[ObjectTable], open_writer: Any, convert: Any) -> int:
    """Write each table through a writer that is opened with the columns of the first one."""
    writer, written = None, 0
    try:
        for table in tables:
            for batch in table.batches(_ROW_GROUP) if len(table) else [table]:
                rows = convert(batch)
                if writer is None:
                    writer = open_writer(rows.schema)
                writer.write_table(rows.cast(writer.schema) if hasattr(writer, "schema") else rows)
                written += len(batch)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise InputError(
            "tables-missing",
            "`tables` must hold at least one table of objects, which may be empty",
            got="none",
            hint="give the table of an image",
        )
    return written


def _parquet_writer(path: Path, schema: Any) -> Any:
    # Only classes repeat: dictionaries of ids, numbers and outlines would cost time and save nothing.
    return require("pyarrow.parquet").ParquetWriter(
        path, schema, compression="zstd", use_dictionary=["class"], write_statistics=_statistics(schema)
    )


def _statistics(schema: Any) -> list[str]:
    """Return the columns whose smallest and largest values are stored, for readers of a part: not the outlines."""
    boxes = [f"bbox.{name}" for name in _BOX] if "bbox" in schema.names else []
    return [*boxes, *(name for name in schema.names if name not in ("bbox", "geometry", "uuid"))]


def _for_csv(table: ObjectTable) -> Any:
    """Return an Arrow table with short numbers and safe names."""
    columns = {
        name: np.round(values, _DECIMALS) if values.dtype.kind == "f" else values
        for name, values in ((name, table.columns[name]) for name in table.names)
    }
    if "class" in columns:
        safe = {name: csv_text(name) for name in set(columns["class"].tolist())}
        columns["class"] = np.array([safe[name] for name in columns["class"].tolist()], dtype=str)
    arrow = ObjectTable(columns).to_arrow()
    pa = require("pyarrow")
    plain = [
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in arrow.columns
    ]
    return pa.table(plain, arrow.column_names)


def _with_geometry(table: ObjectTable, simplify_px: float) -> Any:
    """Return an Arrow table with the columns bbox and geometry, and GeoParquet's metadata."""
    pa = require("pyarrow")
    outlines = table.checked_outlines().simplify(simplify_px)
    arrow = table.to_arrow()
    corners = outlines.boxes().astype(np.float32)
    box = pa.StructArray.from_arrays([pa.array(corners[:, k]) for k in range(4)], names=list(_BOX))
    data, offsets = outlines.to_wkb()
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    wkb = pa.Array.from_buffers(pa.binary(), len(table), buffers)
    arrow = arrow.append_column("bbox", box).append_column("geometry", wkb)
    return arrow.replace_schema_metadata({"geo": json.dumps(_geo_metadata())})


def _geo_metadata() -> dict[str, Any]:
    return {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon", "MultiPolygon"],
                "crs": None,  # pixels; readers take a missing crs for longitude and latitude
                "covering": {"bbox": {name: ["bbox", name] for name in _BOX}},
            }
        },
    }
