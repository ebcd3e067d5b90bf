"""`hsn export`: write results in the formats of other programs."""

from pathlib import Path
from typing import Annotated

import typer

from .console import (
    FAILED,
    INVALID,
    AsJson,
    Quiet,
    exit_with_failures,
    print_result,
    progress_display,
    split_names,
    warn,
)

_FORMATS = (
    "geojson, geojson.gz, csv, parquet, geoparquet, label-images, imagej, coco, hovernet, dicom, ome-tiff, "
    "ome-zarr, spatialdata, report"
)


def export(
    results: Annotated[Path, typer.Argument(help="Folder that `hsn segment` wrote.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", "-t", help=f"Formats, separated by commas: {_FORMATS}.", show_default=False)
    ],
    dest: Annotated[Path, typer.Option("--dest", "-d", help="Folder for the files.")] = Path("exports"),
    simplify: Annotated[
        float, typer.Option(help="Largest deviation of simplified outlines in pixels; 0 keeps them exact.")
    ] = 0.0,
    dicom_source: Annotated[
        Path | None, typer.Option(help="DICOM series of the slide; required for the format dicom.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Write results in the formats of other programs: QuPath, ImageJ, napari, pandas, R.

    Files are DEST/FORMAT/NAME.suffix. docs/how-to/exports.md has the steps in each program.
    """
    from ..workflows.exporting import export_all

    with progress_display(quiet=quiet) as progress:
        batch = export_all(
            results, split_names(to), dest, simplify_px=simplify, dicom_source=dicom_source, progress=progress
        )
    for sentence in () if quiet else batch.notes:
        warn(sentence)
    files = [str(path) for path in batch.files]
    print_result(files, f"wrote {len(files)} files to {dest}/", as_json=as_json)
    exit_with_failures(batch.failures, code=FAILED if files else INVALID)
