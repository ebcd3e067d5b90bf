"""`hsn evaluate`: score label images, instances or a net against truth files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import AsJson, Quiet, exit_with_failures, print_result, progress_display, start_keras, warn

_Predictions = Annotated[
    Path, typer.Argument(help="Folder of label images or color masks; with --model, of images.")
]
_Taxonomy = Annotated[
    str | None, typer.Option(help="A built-in name or a file. Default: the first of the net.")
]
_Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Segment the images with this net, and score each stage.")
]
_Size = Annotated[
    Literal["image", "full"], typer.Option(help="Score at the size of the images, or of the truth.")
]
_Unlisted = Annotated[
    Literal["ignore", "false_alarms"],
    typer.Option(help="Pixels of unlisted colors: leave them out, or count them as errors."),
]
_Instances = Annotated[
    bool,
    typer.Option(
        "--instances",
        help="Score objects: label images, or outlines (XML, ROI zips) on one side. Default with --model: if the truth "
        "files number objects.",
    ),
]


def evaluate(
    predictions: _Predictions,
    truth: Annotated[Path, typer.Argument(help="Folder of truth files of the same names.")],
    taxonomy: _Taxonomy = None,
    model: _Model = None,
    suffix: Annotated[str, typer.Option(help="Suffix of the names of truth files: '_anno'.")] = "",
    objects: Annotated[str | None, typer.Option(help="Class of the numbered objects of the truth.")] = None,
    mpp: Annotated[
        float | None, typer.Option(help="With --model: micrometers per pixel of the images.")
    ] = None,
    size: _Size = "image",
    unlisted: _Unlisted = "ignore",
    instances: _Instances = False,
    hausdorff: Annotated[
        bool, typer.Option("--hausdorff", help="With --instances: also score the Hausdorff distance.")
    ] = False,
    by: Annotated[
        Literal["source"] | None,
        typer.Option(
            help="With --model of mixed annotation: wrong pixels of its training images by annotation."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables and pictures.")] = Path("out"),
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Score predictions against truth: IoU of each class and their mean; or objects.

    Also prints the averages of HistoSegNet's release.
    With --instances: AJI, PQ = DQ x SQ, F1, object Dice, pixel Dice and IoU, and the deviation of counts.
    """
    if model is not None:
        start_keras()
    from ..workflows.evaluation import evaluate as score

    with progress_display(quiet=quiet) as progress:
        result = score(
            predictions if model is None else model, None if model is None else predictions, truth, taxonomy=taxonomy,
            instances=instances or None, hausdorff=hausdorff, objects=objects, suffix=suffix, mpp=mpp, size=size,
            unlisted=unlisted, by=by, out=out, progress=progress,
        )  # fmt: skip
    for sentence in () if quiet else result.notes:
        warn(sentence)
    data = result.scores | {"files": result.files, "failures": dict(result.failures)}
    text = f"{result.text}\n\nwrote {len(result.files)} files to {out}/"
    print_result(data, text, as_json=as_json)
    exit_with_failures(result.failures)
