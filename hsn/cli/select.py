"""`hsn select`: select a few patches of many images for annotation."""

from pathlib import Path
from typing import Annotated

import typer

from .console import (
    AsJson,
    Quiet,
    exit_with_failures,
    print_result,
    progress_display,
    start_keras,
    table,
    warn,
    written,
)

_Images = Annotated[
    list[Path], typer.Argument(help="Images, slides, and folders of them.", show_default=False)
]
_N = Annotated[int, typer.Option("--n", "-n", min=1, help="Number of patches to annotate.")]
_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the results; an interrupted run resumes.")
]
_Side = Annotated[
    int, typer.Option("--side-px", "--patch", min=2, help="Side of the patches in pixels, even.")
]
_Stride = Annotated[
    int,
    typer.Option("--stride-px", "--stride", min=1, help="Largest step between patches in pixels."),
]
_Encoder = Annotated[
    str,
    typer.Option(
        help="Features of patches: texture (needs no weights), the name or folder of a trained net, or a file of "
        "torchvision ResNet weights (.npz, .safetensors)."
    ),
]
_Mpp = Annotated[
    float | None,
    typer.Option(help="Micrometers per pixel: for a trained net, and of slides without a scale."),
]
_Tissue = Annotated[float, typer.Option(min=0, max=1, help="Smallest fraction of tissue in a patch.")]


def select(
    images: _Images,
    n: _N = 6,
    out: _Out = Path("chosen"),
    side_px: _Side = 256,
    stride_px: _Stride = 128,
    encoder: _Encoder = "texture",
    mpp: _Mpp = None,
    min_tissue: _Tissue = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the clustering.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Select patches to annotate, one for each kind of tissue in the images.

    Writes the patches, `choice.csv`, `places.geojson` (also one file per image, for QuPath) and a contact sheet.
    """
    if encoder != "texture":
        start_keras()
    from ..workflows.selection import select_patches

    with progress_display(quiet=quiet) as progress:
        selection = select_patches(
            images, n, out=out, side_px=side_px, stride_px=stride_px, encoder=encoder, mpp=mpp, min_tissue=min_tissue,
            seed=seed, progress=progress,
        )  # fmt: skip
    if not quiet:
        for sentence in selection.notes:
            warn(sentence)
    print_result(data_of(selection), f"{text_of(selection)}\n{selection.next_step}", as_json=as_json)
    exit_with_failures(selection.left_out)


def data_of(selection):
    """Return a selection as plain data."""
    return {
        "encoder": selection.encoder,
        "images": selection.images,
        "patches": selection.patches,
        "chosen": selection.rows,
        "files": selection.files,
    }


def text_of(selection):
    """Return a selection as text."""
    rows = [
        (row["number"], row["patch"], f"{row['share']:.1%}", f"{row['score']:.3g}") for row in selection.rows
    ]
    return "\n".join(
        [
            f"{selection.patches} patches of {selection.images} images, compared by {selection.encoder}",
            table(("", "patch", "stands for", "score"), rows),
            written(selection.files.values()),
        ]
    )
