"""Write label images: PNG of 8 or 16 bits, or a tiled TIFF for slides and for more than 65,535 objects."""

from pathlib import Path
from typing import Any

from ..annotations.label_files import MAX_PNG_LABEL, write_labels
from ..limits import READ_PIXELS
from . import pyramid
from .ome_tiff import write_raster
from .source import ExportSource, whole_raster


def write_label_images(path: str | Path, source: ExportSource) -> list[Path]:
    """Write the label images of a result.

    Parameters
    ----------
    path : path
        ``NAME.png``. The files are ``NAME_classes.png`` and ``NAME_objects.png``; ``.tif`` where PNG is too small.
    source : ExportSource

    Returns
    -------
    list of pathlib.Path

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hsn.taxonomies import NUCLEI
    >>> source = ExportSource("a", NUCLEI, list, np.array([[0, 1]]))
    >>> [file.name for file in write_label_images(Path(tempfile.mkdtemp()) / "a.png", source)]
    ['a_classes.png']
    """
    path, written = Path(path), []
    for kind, raster in (("classes", source.labels), ("objects", source.instances)):
        if raster is not None:
            written.append(_write(path.with_name(f"{path.stem}_{kind}.png"), raster, source.mpp))
    return written


def _write(path: Path, raster: Any, mpp: float | None) -> Path:
    """Write one label image; return its path."""
    if raster.shape[0] * raster.shape[1] > READ_PIXELS:
        path = path.with_suffix(".tif")
        write_raster(path, raster, [path.stem], mpp=mpp)
        return path
    if pyramid.highest(raster) > MAX_PNG_LABEL:
        path = path.with_suffix(".tif")
    write_labels(path, whole_raster(raster, "label-images"))
    return path
