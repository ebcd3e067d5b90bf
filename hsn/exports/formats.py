"""The formats of exports by name; a format's packages are imported when it is written."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import require
from ..errors import InputError
from .source import ExportSource


@dataclass(frozen=True)
class Format:
    """A form in which a result is written.

    Attributes
    ----------
    folder : str
        Folder of the files in the folder of results.
    ending : str
        What is added to the name of the image.
    writer : str
        "module:function" in this package.
    takes : {"tables", "source"}
        First argument after the path: the objects, or the `ExportSource`.
    options : tuple of str
        Options that the writer takes.
    packages : tuple of (str, str or None)
        Modules that the writer needs, and the extra of hsn that installs them.
    """

    folder: str
    ending: str
    writer: str
    takes: str = "tables"
    options: tuple[str, ...] = ()
    packages: tuple[tuple[str, str | None], ...] = ()


_ARROW = (("pyarrow", None),)
_SHAPES = (("shapely", None),)

EXPORTS = {
    "geojson": Format(
        "geojson", ".geojson", "geojson:write_geojson", options=("simplify_px",), packages=(("orjson", None),)
    ),
    "geojson.gz": Format(
        "geojson",
        ".geojson.gz",
        "geojson:write_geojson",
        options=("simplify_px",),
        packages=(("orjson", None),),
    ),
    "csv": Format("csv", ".csv", "tables:write_csv", packages=_ARROW),
    "parquet": Format("parquet", ".parquet", "tables:write_parquet", packages=_ARROW),
    "geoparquet": Format(
        "geoparquet",
        ".parquet",
        "tables:write_geoparquet",
        options=("simplify_px",),
        packages=_ARROW + _SHAPES,
    ),
    "label-images": Format("label-images", ".png", "label_images:write_label_images", takes="source"),
    "imagej": Format(
        "imagej",
        "_RoiSet.zip",
        "imagej:write_imagej",
        options=("simplify_px",),
        packages=(("roifile", None),),
    ),
    "coco": Format("coco", ".json", "coco:write_coco", takes="source"),
    "hovernet": Format("hovernet", ".mat", "hovernet:write_hovernet", takes="source"),
    "dicom": Format(
        "dicom",
        ".dcm",
        "dicom:write_dicom",
        takes="source",
        options=("dicom_source",),
        packages=(("highdicom", "dicom"),),
    ),
    "ome-tiff": Format("ome-tiff", ".ome.tif", "ome_tiff:write_ome_tiff", takes="source"),
    "ome-zarr": Format(
        "ome-zarr", ".ome.zarr", "ome_zarr:write_ome_zarr", takes="source", packages=(("zarr", None),)
    ),
    "spatialdata": Format(
        "spatialdata",
        ".spatialdata.zarr",
        "spatialdata:write_spatialdata",
        takes="source",
        packages=(("spatialdata", "spatialdata"),),
    ),
}


def file_of(folder: Path, name: str, kind: str) -> Path:
    """Return the path of an exported file.

    Examples
    --------
    >>> file_of(Path("out"), "a", "geojson").as_posix()
    'out/geojson/a.geojson'
    """
    form = EXPORTS[kind]
    return folder / form.folder / f"{name}{form.ending}"


def check_formats(kinds: Sequence[str], *, others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return formats without duplicates, after a check that they exist and that their packages are installed.

    Parameters
    ----------
    kinds : sequence of str
    others : sequence of str
        Further names that are allowed.

    Raises
    ------
    InputError
        "formats-unknown", or "<package>-missing".

    Examples
    --------
    >>> check_formats(["csv", "geojson", "csv"])
    ('csv', 'geojson')
    """
    known = (*others, *EXPORTS)
    for kind in kinds:
        if kind not in known:
            raise InputError(
                "formats-unknown",
                f"`formats` must be some of {', '.join(known)}",
                got=repr(kind),
                hint="choose among these",
            )
        for package, extra in EXPORTS[kind].packages if kind in EXPORTS else ():
            require(package, extra=extra)
    return tuple(dict.fromkeys(kinds))


def write_export(source: ExportSource, folder: Path, kind: str, **options: Any) -> Path:
    """Write a result in one format; return its path, for several files that of the first.

    Parameters
    ----------
    source : ExportSource
    folder : path
        Folder of results.
    kind : str
        A name in `EXPORTS`.
    **options
        Options of all formats; a format uses its own.
    """
    form, path = EXPORTS[kind], file_of(folder, source.name, kind)
    module, function = form.writer.split(":")
    write = getattr(importlib.import_module(f".{module}", __package__), function)
    used = {name: options[name] for name in form.options if name in options}
    written = write(path, source.tables() if form.takes == "tables" else source, **used)
    return written[0] if isinstance(written, list) and written else path
