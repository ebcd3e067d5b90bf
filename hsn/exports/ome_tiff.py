"""Write OME-TIFF pyramids: classes, objects and probabilities, for QuPath, napari, ImageJ and OMERO.

Levels of labels are sampled by the nearest neighbor, levels of probabilities are averaged.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..files import atomic_write
from . import pyramid
from .source import ExportSource

_TILE_PX = 512


def write_ome_tiff(path: str | Path, source: ExportSource) -> list[Path]:
    """Write the rasters of a result, each as an OME-TIFF pyramid.

    Parameters
    ----------
    path : path
        ``NAME.ome.tif``. The files are ``NAME_classes.ome.tif``, ``NAME_objects.ome.tif`` and
        ``NAME_probabilities.ome.tif``, as far as the result has them.
    source : ExportSource

    Returns
    -------
    list of pathlib.Path
        The files.

    Notes
    -----
    Objects above 65,535 need 32 bits, which not all programs show; import polygons into QuPath instead.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.taxonomies import NUCLEI
    >>> labels = np.array([[0, 1], [1, 1]])
    >>> source = ExportSource("a", NUCLEI, list, labels)
    >>> [path.name for path in write_ome_tiff(Path(tempfile.mkdtemp()) / "a.ome.tif", source)]
    ['a_classes.ome.tif']
    """
    path = Path(path)
    stem = path.name.removesuffix(".ome.tif")
    written = []
    for kind, raster, names in (
        ("classes", source.labels, ["class"]),
        ("objects", source.instances, ["object"]),
        ("probabilities", source.probabilities, list(source.taxonomy.names)),
    ):
        if raster is not None:
            written.append(path.with_name(f"{stem}_{kind}.ome.tif"))
            write_raster(written[-1], raster, names, mpp=source.mpp, mean=kind == "probabilities")
    return written


def write_raster(
    path: Path, raster: Any, names: Sequence[str], *, mpp: float | None = None, mean: bool = False
) -> None:
    """Write one raster as an OME-TIFF pyramid with tiles of 512 px.

    Parameters
    ----------
    path : path
    raster : array-like (H, W) of labels, or (H, W, C)
        Floats in [0, 1] are stored as 0 to 255.
    names : sequence of str
        Names of the channels.
    mpp : float, optional
        Micrometers per pixel.
    mean : bool
        Whether levels are averaged. Default: False, the nearest pixel.
    """
    tifffile = require("tifffile")
    dtype = np.uint8 if raster.ndim == 3 else pyramid.label_type(pyramid.highest(raster))
    levels = pyramid.level_count(raster.shape[:2])
    metadata: dict[str, Any] = {"axes": "YX" if raster.ndim == 2 else "CYX", "Channel": {"Name": list(names)}}
    if mpp is not None:
        metadata |= {f"PhysicalSize{axis}": mpp for axis in "XY"} | {
            f"PhysicalSize{axis}Unit": "µm" for axis in "XY"
        }
    with atomic_write(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True, ome=True) as writer:
        for level in range(levels):
            shape = pyramid.level_shape(raster.shape[:2], level)
            scale = {} if mpp is None else {"resolution": (1e4 / mpp / 2**level,) * 2}
            writer.write(
                _tiles(raster, level, dtype, mean),
                shape=(*raster.shape[2:], *shape),
                dtype=dtype,
                tile=(_TILE_PX, _TILE_PX),
                compression="zlib",
                photometric="minisblack",
                planarconfig="separate" if raster.ndim == 3 else None,
                subifds=levels - 1 if level == 0 else None,
                subfiletype=1 if level else 0,
                resolutionunit="CENTIMETER" if scale else None,
                metadata=metadata if level == 0 else None,
                software="hsn" if level == 0 else None,
                **scale,
            )


def _tiles(raster: Any, level: int, dtype: type, mean: bool) -> Iterator[np.ndarray]:
    """Yield the tiles of a level, channel by channel, padded with 0."""
    shape = pyramid.level_shape(raster.shape[:2], level)
    for channel in range(raster.shape[2]) if raster.ndim == 3 else (None,):
        for rows, cols in pyramid.blocks(shape, _TILE_PX):
            block = pyramid.read_block(raster, rows, cols, level, mean=mean, channel=channel)
            tile: np.ndarray = np.zeros((_TILE_PX, _TILE_PX), dtype)
            tile[: block.shape[0], : block.shape[1]] = as_bytes(block) if raster.ndim == 3 else block
            yield tile


def as_bytes(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities in [0, 1] as uint8, 255 for 1; whole numbers keep their values.

    Examples
    --------
    >>> as_bytes(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    if probabilities.dtype.kind in "ui":
        return probabilities.astype(np.uint8)
    return np.rint(np.clip(probabilities, 0, 1) * 255).astype(np.uint8)
