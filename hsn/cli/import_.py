"""`hsn import`: convert annotations of other programs."""

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, Quiet, print_result, warn


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="GeoJSON, COCO JSON, XML, ImageJ zip, .npy, .mat, label image or OME-Zarr.",
            show_default=False,
        ),
    ],
    like: Annotated[Path, typer.Option("--like", help="The annotated image.", show_default=False)],
    form: Annotated[str, typer.Option("--as", help="masks (a label image) or geojson.")] = "masks",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result.")] = Path("masks"),
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Convert annotations of other programs to label images or GeoJSON.

    `hsn fit` and `hsn evaluate` read these files without a conversion, too. Pickled files are not read.
    """
    from ..workflows.importing import import_annotation

    done = import_annotation(file, like, out, form=form)
    for sentence in () if quiet else done.notes:
        warn(sentence)
    result = {"file": str(done.path), "objects": done.objects}
    print_result(result, f"wrote {done.objects} objects to {done.path}", as_json=as_json)
