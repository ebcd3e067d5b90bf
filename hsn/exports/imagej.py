"""Write objects as a zip of ImageJ regions, which the ROI manager opens."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..files import atomic_write
from ..objects.table import ObjectTable

_TIME = (1980, 1, 1, 0, 0, 0)  # of the entries, so that equal objects give equal bytes
_BATCH = 20_000


def write_imagej(path: str | Path, tables: Iterable[ObjectTable], *, simplify_px: float = 0.0) -> int:
    """Write objects as a zip of `.roi` files.

    Parameters
    ----------
    path : path
    tables : iterable of ObjectTable
        With outlines. An object of one part is a polygon; holes and further parts make a composite region.
    simplify_px : float
        Largest deviation of simplified outlines in pixels. Default: 0.

    Returns
    -------
    int
        Number of regions.

    Notes
    -----
    Regions are named by the number of the object: ``00001.roi``. Their color is that of the class.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.exports.measure import measure_objects
    >>> path = Path(tempfile.mkdtemp()) / "a_RoiSet.zip"
    >>> write_imagej(path, [measure_objects(np.array([[0, 1]]))])
    1
    >>> from hsn.annotations.imagej import read_instances
    >>> read_instances(path, (1, 2)).tolist()
    [[0, 1]]
    """
    written = 0
    with (
        atomic_write(Path(path)) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for table in tables:
            for batch in table.batches(_BATCH):
                for name, content in _regions(batch, simplify_px, written):
                    archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)
                    written += 1
    return written


def _regions(table: ObjectTable, simplify_px: float, before: int) -> list[tuple[str, bytes]]:
    """Return name and bytes of each region."""
    roifile = require("roifile")
    outlines = table.checked_outlines().simplify(simplify_px)
    ids = table.columns.get("id", np.arange(before + 1, before + len(table) + 1)).tolist()
    classes = table.columns["class"].tolist() if "class" in table.columns else [""] * len(table)
    regions = []
    for k, (number, name) in enumerate(zip(ids, classes, strict=True)):
        rings = slice(*outlines.polygons[outlines.objects[k : k + 2]])
        parts = [
            outlines.points[outlines.rings[ring] : outlines.rings[ring + 1]]
            for ring in range(rings.start, rings.stop)
        ]
        region = _polygon(roifile, parts[0]) if len(parts) == 1 else _composite(roifile, parts)
        region.name = f"{number:05d}"
        if name in table.colors:
            region.stroke_color = bytes([255, *table.colors[name]])
        regions.append((f"{number:05d}.roi", region.tobytes()))
    return regions


def _polygon(roifile: Any, points: np.ndarray) -> Any:
    """Return a polygon; whole coordinates are stored as integers."""
    region = roifile.ImagejRoi.frompoints(points)
    region.roitype = roifile.ROI_TYPE.POLYGON
    return region


def _composite(roifile: Any, parts: list[np.ndarray]) -> Any:
    """Return a composite region: a path of moves, lines and closings."""
    path = []
    for part in parts:
        for k, (x, y) in enumerate(part.tolist()):
            path += [1.0 if k else 0.0, x, y]
        path.append(4.0)
    points = np.concatenate(parts)
    region = roifile.ImagejRoi()
    region.roitype = roifile.ROI_TYPE.RECT
    region.left, region.top = (int(edge) for edge in np.floor(points.min(axis=0)))
    region.right, region.bottom = (int(edge) for edge in np.ceil(points.max(axis=0)))
    region.multi_coordinates = np.array(path, np.float32)
    region.shape_roi_size = len(path)
    return region
