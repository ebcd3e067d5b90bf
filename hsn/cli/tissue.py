"""`hsn tissue`: find the tissue of slides; write masks that can be edited."""

from pathlib import Path
from typing import Annotated

import typer

from .console import FAILED, INVALID, AsJson, Quiet, exit_with_failures, print_result, progress_display, table


def tissue(
    slides: Annotated[list[Path], typer.Argument(help="Slides, and folders of slides.", show_default=False)],
    mpp: Annotated[
        float | None,
        typer.Option(help="Micrometers per pixel of the slides. Default: that of the files' metadata."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks.")] = Path("tissue"),
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Find the tissue of slides: write one PNG per slide at 8 um/px; white is tissue.

    Edit a mask in any image editor, and give it to `hsn segment --tissue`.
    """
    from ..workflows.slides import find_tissues

    with progress_display(quiet=quiet) as progress:
        rows, failures = find_tissues(slides, out, mpp=mpp, progress=progress)
    lines = [[Path(row["slide"]).name, f"{row['tissue_mm2']:.2f}", f"{row['fraction']:.3f}"] for row in rows]
    text = table(["slide", "tissue mm2", "fraction"], lines) + f"\nwrote {len(rows)} masks to {out}/"
    print_result(rows, text, as_json=as_json)
    exit_with_failures(failures, code=FAILED if rows else INVALID)
