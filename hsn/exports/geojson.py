"""Write objects as GeoJSON that QuPath 0.4 to 0.7 imports.

QuPath's rules: ids are UUIDs, measurements are finite numbers, absent names and classes are left out, rings are
closed. Coordinates are (x, y) in pixels of the image at full resolution; the first pixel covers 0 to 1.
"""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..checks import one_of, require
from ..files import atomic_write
from ..objects.table import ObjectTable

OBJECT_TYPES = ("auto", "detection", "annotation")
_DETECTION_UM2 = 500.0  # median area of nuclei is below; glands and regions are above
_BATCH = 20_000  # objects in memory at once
_DECIMALS = 4
_NAMES = {"score": "Probability", "eccentricity": "Eccentricity", "solidity": "Solidity"}
_WORDS = {"um2": "µm^2", "um": "µm", "px2": "px^2", "od": "OD", "x": "X", "y": "Y"}
_LEFT_OUT = ("centroid_x_px", "centroid_y_px", "centroid_x_um", "centroid_y_um")  # QuPath computes them


def write_geojson(
    path: str | Path,
    tables: Iterable[ObjectTable],
    *,
    object_type: str = "auto",
    simplify_px: float = 0.0,
) -> int:
    """Write objects as a GeoJSON FeatureCollection; a path that ends in `.gz` is compressed.

    Parameters
    ----------
    path : path
        `.geojson` or `.geojson.gz`.
    tables : iterable of ObjectTable
        With outlines. Objects are written in their order; memory holds 20,000 at once.
    object_type : {"auto", "detection", "annotation"}
        Type of the objects in QuPath. "auto" (default): detections if the median area of the first table is below
        500 um2 (nuclei), annotations otherwise (glands, tissue). With an unknown scale: detections above 1,000 objects.
    simplify_px : float
        Largest deviation of simplified outlines in pixels. Default: 0, the exact borders of the pixels.

    Returns
    -------
    int
        Number of objects.

    Raises
    ------
    InputError
        "object-type-unknown", "outlines-missing", "disk-full" or "file-not-writable".

    Notes
    -----
    Equal objects give equal bytes: ids do not change between runs, and the header of a compressed file has no time.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.exports.measure import measure_objects
    >>> path = Path(tempfile.mkdtemp()) / "a.geojson"
    >>> write_geojson(path, [measure_objects(np.array([[0, 1]]))])
    1
    >>> path.read_text().splitlines()[1][:74]
    '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[1,0],[2,0]'
    """
    one_of("object_type", object_type, OBJECT_TYPES)
    dumps = require("orjson").dumps
    written = 0
    with _open(Path(path)) as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        for table in tables:
            if object_type == "auto" and len(table):
                object_type = _type_of(table)
            for batch in table.batches(_BATCH):
                records = features(batch, object_type=object_type, simplify_px=simplify_px)
                lines = [dumps(record) for record in records]
                file.write(b",\n" if written else b"\n")
                file.write(b",\n".join(lines))
                written += len(lines)
        file.write(b"\n]}\n")
    return written


def features(table: ObjectTable, *, object_type: str, simplify_px: float = 0.0) -> Iterator[dict[str, Any]]:
    """Yield each object as a GeoJSON Feature."""
    outlines = table.checked_outlines().simplify(simplify_px)
    points = outlines.points.tolist()
    rings, polygons, objects = (offsets.tolist() for offsets in outlines[1:])
    ids = table.columns["uuid"].tolist() if "uuid" in table.columns else None
    classes = table.columns["class"].tolist() if "class" in table.columns else None
    kinds = {
        name: {"name": name} | ({"color": list(table.colors[name])} if name in table.colors else {})
        for name in dict.fromkeys(classes or ())
    }
    for k, measurements in enumerate(_measurements(table)):
        parts: list[list[list]] = []
        for polygon in range(objects[k], objects[k + 1]):
            parts.append([])
            for ring in range(polygons[polygon], polygons[polygon + 1]):
                corners = points[rings[ring] : rings[ring + 1]]
                corners.append(corners[0])
                parts[-1].append(corners)
        geometry = (
            {"type": "Polygon", "coordinates": parts[0]}
            if len(parts) == 1
            else {"type": "MultiPolygon", "coordinates": parts}
        )
        properties: dict[str, Any] = {"objectType": object_type}
        if classes is not None:
            properties["classification"] = kinds[classes[k]]
        properties["measurements"] = measurements
        feature = {"type": "Feature"} | ({"id": ids[k]} if ids else {})
        yield feature | {"geometry": geometry, "properties": properties}


def _measurements(table: ObjectTable) -> Iterator[dict[str, float]]:
    """Yield the measurements of each object by QuPath's names; NaN and infinite values are left out."""
    names = [name for name in table.measurements if name not in _LEFT_OUT]
    columns = [np.round(table.columns[name].astype(float), _DECIMALS) for name in names]
    shown = [measurement_name(name) for name in names]
    matrix = np.array(columns).reshape(len(columns), len(table)).T
    for row, whole in zip(matrix.tolist(), np.isfinite(matrix).all(axis=1).tolist(), strict=True):
        cells = zip(shown, row, strict=True)
        yield dict(cells) if whole else {name: value for name, value in cells if np.isfinite(value)}


def measurement_name(column: str) -> str:
    """Return QuPath's way to write the name of a column.

    Examples
    --------
    >>> measurement_name("area_um2"), measurement_name("hematoxylin_mean_od")
    ('Area µm^2', 'Hematoxylin mean OD')
    """
    words = [_WORDS.get(word, word) for word in column.split("_")]
    return _NAMES.get(column, " ".join([words[0].capitalize(), *words[1:]]))


def _type_of(table: ObjectTable) -> str:
    """Return the QuPath type for objects of this size."""
    areas = table.columns.get("area_um2")
    small = len(table) > 1000 if areas is None else float(np.median(areas)) < _DETECTION_UM2
    return "detection" if small else "annotation"


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing, compressed if its name ends in .gz; it appears when the block ends."""
    with atomic_write(path) as temporary, open(temporary, "wb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            yield cast(IO[bytes], file)
