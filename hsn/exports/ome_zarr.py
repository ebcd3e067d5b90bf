"""Write OME-Zarr 0.5: the image with label images of classes and objects. napari and QuPath open it.

The format is written with zarr alone, block by block; a block is one shard, so that no shard is written twice.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..files import atomic_folder
from . import pyramid
from .ome_tiff import as_bytes
from .source import ExportSource

_CHUNK_PX, _SHARD_PX = 512, 4096
_VERSION = "0.5"
_COLORS = ("FF0000", "00FF00", "0000FF")


def write_ome_zarr(path: str | Path, source: ExportSource) -> Path:
    """Write a result as OME-Zarr 0.5.

    Parameters
    ----------
    path : path
        Folder ``NAME.ome.zarr``; an earlier one is replaced when the new one is complete.
    source : ExportSource
        The image of the group is the RGB image; without it, the probabilities, or else the classes.

    Returns
    -------
    pathlib.Path

    Notes
    -----
    ``labels/classes`` has the names and colors of the classes. In ``labels/objects`` only the
    background has a color: viewers choose those of the objects.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.taxonomies import NUCLEI
    >>> labels = np.array([[0, 1], [1, 1]])
    >>> path = write_ome_zarr(Path(tempfile.mkdtemp()) / "a.ome.zarr", ExportSource("a", NUCLEI, list, labels))
    >>> sorted(entry.name for entry in path.iterdir())
    ['0', 'labels', 'zarr.json']
    """
    zarr = require("zarr")
    with atomic_folder(path) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        _write_image(group, source)
        rasters = {"classes": source.labels, "objects": source.instances}
        rasters = {name: raster for name, raster in rasters.items() if raster is not None}
        labels = group.create_group("labels")
        labels.attrs["ome"] = {"version": _VERSION, "labels": list(rasters)}
        for name, raster in rasters.items():
            about: dict[str, Any] = {"version": _VERSION, "source": {"image": "../../"}}
            background = {"label-value": 0, "rgba": [0, 0, 0, 0]}
            about |= _class_colors(source) if name == "classes" else {"colors": [background]}
            inner = labels.create_group(name)
            dtype = pyramid.label_type(pyramid.highest(raster))
            scales = _write_levels(inner, raster, dtype, mean=False, mpp=source.mpp, name=name)
            inner.attrs["ome"] = {"version": _VERSION, "multiscales": [scales], "image-label": about}
    return Path(path)


def _write_image(group: Any, source: ExportSource) -> None:
    """Write the image and how to show it."""
    names: tuple[str, ...] = ("red", "green", "blue")
    colors: tuple[str, ...] = _COLORS
    raster = source.image
    if raster is None and source.probabilities is not None:
        raster, names = source.probabilities, source.taxonomy.names
        colors = tuple("".join(f"{level:02X}" for level in color) for color in source.taxonomy.colors)
    elif raster is None:
        raster, names, colors = source.labels, ("class",), ("FFFFFF",)
    mean = raster is not source.labels
    scales = _write_levels(
        group, raster, np.uint8, mean=mean, mpp=source.mpp, name=source.name, is_image=True
    )
    top = 255 if mean else max(1, len(source.taxonomy) - 1)
    window = {"min": 0, "max": top, "start": 0, "end": top}
    channels = [
        {"label": label, "color": color, "active": True, "window": window}
        for label, color in zip(names, colors, strict=True)
    ]
    group.attrs["ome"] = {"version": _VERSION, "multiscales": [scales], "omero": {"channels": channels}}


def _class_colors(source: ExportSource) -> dict[str, Any]:
    """Return colors and names of the classes; classes without a net output are transparent."""
    rows = [
        (k, tissue, 0 if tissue.name in source.taxonomy.inferred else 255)
        for k, tissue in enumerate(source.taxonomy.classes)
    ]
    return {
        "colors": [{"label-value": k, "rgba": [*tissue.color, alpha]} for k, tissue, alpha in rows],
        "properties": [{"label-value": k, "class": tissue.name} for k, tissue, _ in rows],
    }


def _write_levels(
    group: Any, raster: Any, dtype: type, *, mean: bool, mpp: float | None, name: str, is_image: bool = False
) -> dict[str, Any]:
    """Write the levels of a raster as arrays "0", "1", ...; return their description."""
    channels = (*raster.shape[2:], 1)[:1] if is_image else ()
    axes = ["c"] * len(channels) + ["y", "x"]
    size = 1.0 if mpp is None else mpp
    datasets = []
    for level in range(pyramid.level_count(raster.shape[:2])):
        shape = pyramid.level_shape(raster.shape[:2], level)
        chunk = tuple(min(_CHUNK_PX, side) for side in shape)
        sharded = max(shape) > _CHUNK_PX and min(shape) >= _CHUNK_PX
        shard = tuple(min(_SHARD_PX, -(-side // _CHUNK_PX) * _CHUNK_PX) for side in shape)
        array = group.create_array(
            str(level),
            shape=(*channels, *shape),
            chunks=(*[1] * len(channels), *chunk),
            shards=(*channels, *shard) if sharded else None,
            dtype=dtype,
            dimension_names=axes,
        )
        for rows, cols in pyramid.blocks(shape, _SHARD_PX):
            block = pyramid.read_block(raster, rows, cols, level, mean=mean)
            if channels:
                array[:, rows, cols] = np.moveaxis(as_bytes(np.atleast_3d(block)), 2, 0)
            else:
                array[rows, cols] = block.astype(dtype)
        scale, shift = size * 2**level, size * (2**level - 1) / 2
        steps = [("scale", 1.0, scale), ("translation", 0.0, shift)]
        datasets.append({
            "path": str(level),
            "coordinateTransformations": [
                {"type": kind, kind: [channel] * len(channels) + [value] * 2} for kind, channel, value in steps
            ],
        })  # fmt: skip
    unit = {} if mpp is None else {"unit": "micrometer"}
    described = [
        {"name": axis, "type": "channel"} if axis == "c" else {"name": axis, "type": "space"} | unit
        for axis in axes
    ]
    return {"name": name, "axes": described, "datasets": datasets}
