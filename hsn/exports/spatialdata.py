"""Write SpatialData: image, label images, outlines and the table of objects in one Zarr folder, for scverse tools."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from ..files import atomic_folder
from ..objects.table import ObjectTable, concatenate
from . import pyramid
from .source import ExportSource

_CHUNK_PX = 4096
OUTLINES, TABLE = "outlines", "table"
_REGION, _ID = "region", "id"
_UNITS = {
    "um2": "um2",
    "um": "um",
    "px2": "px2",
    "px": "px",
    "od": "optical density",
}  # by the last word of a name


def write_spatialdata(path: str | Path, source: ExportSource) -> Path:
    """Write a result as SpatialData.

    Parameters
    ----------
    path : path
        Folder ``NAME.spatialdata.zarr``; an earlier one is replaced when the new one is complete.
    source : ExportSource

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        "spatialdata-missing".

    Notes
    -----
    Elements: the image "image", the labels "classes" and "objects", the shapes "outlines", whose index is the id of the
    object in "objects", and the table "table", which annotates the outlines. The coordinate system "global" is in
    micrometers, or in pixels if the scale is unknown. Images are written in blocks; outlines are in memory as a whole.
    """
    library = require("spatialdata", extra="spatialdata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages below SpatialData, about their own future
        elements = _rasters(source)
        found = [table for table in source.tables() if len(table)]
        if found:
            table = concatenate(found)
            elements |= {OUTLINES: _shapes(table), TABLE: _table(table)}
        data = library.SpatialData.init_from_elements(
            elements, attrs={"unit": _unit(source.mpp), "source": "hsn"}
        )
        with atomic_folder(path) as temporary:
            temporary.rmdir()  # SpatialData makes the folder itself
            data.write(temporary)
    return Path(path)


def _unit(mpp: float | None) -> str:
    return "px" if mpp is None else "um"


def _scale(mpp: float | None) -> dict[str, Any]:
    """Return the transformation from pixels to the coordinate system "global"."""
    transformations = require("spatialdata.transformations", extra="spatialdata")
    if mpp is None:
        return {"global": transformations.Identity()}
    return {"global": transformations.Scale([mpp, mpp], axes=("x", "y"))}


def _rasters(source: ExportSource) -> dict[str, Any]:
    """Return the image and the label images as pyramids, loaded block by block."""
    models, dask = (
        require("spatialdata.models", extra="spatialdata"),
        require("dask.array", extra="spatialdata"),
    )
    levels = pyramid.level_count(source.shape)
    common: dict[str, Any] = {
        "transformations": _scale(source.mpp),
        "scale_factors": [2] * (levels - 1) or None,
    }
    elements = {}
    for name, raster in (("classes", source.labels), ("objects", source.instances)):
        if raster is not None:
            blocks = dask.from_array(raster, chunks=_CHUNK_PX)
            elements[name] = models.Labels2DModel.parse(blocks.astype(np.uint32), dims=("y", "x"), **common)
    if source.image is not None:
        blocks = dask.moveaxis(dask.from_array(source.image, chunks=(_CHUNK_PX, _CHUNK_PX, 3)), 2, 0)
        elements["image"] = models.Image2DModel.parse(
            blocks, dims=("c", "y", "x"), c_coords=["red", "green", "blue"], **common
        )
    return elements


def _shapes(table: ObjectTable) -> Any:
    """Return the outlines, with the ids of the objects as index."""
    models, geopandas = (require(name, extra="spatialdata") for name in ("spatialdata.models", "geopandas"))
    frame = geopandas.GeoDataFrame(
        geometry=table.checked_outlines().to_shapely(multi=False), index=table.columns["id"]
    )
    return models.ShapesModel.parse(frame, transformations=_scale(table.mpp))


def _table(table: ObjectTable) -> Any:
    """Return the columns of the table: measurements as variables with units, the others as observations."""
    models, anndata, pandas = (
        require(name, extra="spatialdata") for name in ("spatialdata.models", "anndata", "pandas")
    )
    names = list(table.measurements)
    others = {name: table.columns[name] for name in table.names if name not in names and name != _ID}
    observed = pandas.DataFrame(others, index=[str(number) for number in table.columns[_ID]])
    observed[_REGION] = pandas.Categorical([OUTLINES] * len(table))
    observed[_ID] = np.asarray(table.columns[_ID])
    if "class" in observed:
        observed["class"] = observed["class"].astype("category")
    variables = pandas.DataFrame(
        {"unit": [_UNITS.get(name.split("_")[-1], "") for name in names]}, index=names
    )
    values = np.column_stack([table.columns[name] for name in names]).astype(np.float32)
    return models.TableModel.parse(
        anndata.AnnData(values, obs=observed, var=variables),
        region=OUTLINES,
        region_key=_REGION,
        instance_key=_ID,
    )
