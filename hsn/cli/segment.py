"""`hsn segment`: segment images; write labels, objects, overlays, areas and a table."""

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
    start_keras,
    warn,
)

_Taxonomy = Annotated[
    str | None, typer.Option(help="A label space of the net, or a file. Default: its first.")
]
_PANEL = "Slides"
Workers = Annotated[int, typer.Option(help="Processes for a slide.", rich_help_panel=_PANEL)]
Memory = Annotated[
    str | None, typer.Option(help='Memory for post-processing of a slide, "6GB".', rich_help_panel=_PANEL)
]
Tissue = Annotated[
    str | None,
    typer.Option(
        help='Mask, or folder of masks, of `hsn tissue`; "none" segments all pixels.', rich_help_panel=_PANEL
    ),
]
SkipErrors = Annotated[
    bool, typer.Option("--skip-errors", help="Leave out damaged parts of a slide.", rich_help_panel=_PANEL)
]
Shard = Annotated[
    str | None,
    typer.Option(help="Part of the files for a job of an array, such as 3/16.", rich_help_panel=_PANEL),
]
Cluster = Annotated[
    Path | None,
    typer.Option(help="YAML file of a Dask cluster: SLURM, LSF, PBS, ...", rich_help_panel=_PANEL),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a running Dask scheduler, tcp://host:8786.", rich_help_panel=_PANEL),
]


def segment(
    images: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", show_default=False)],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name or folder of a trained net.")
    ] = "glas-tags",
    taxonomy: _Taxonomy = None,
    mpp: Annotated[
        float | None,
        typer.Option(help="Micrometers per pixel of the images. Default: that of the files' metadata."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    save: Annotated[
        str,
        typer.Option(help="Further formats, such as geojson,csv,parquet. `hsn export --help` lists all."),
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo images that are done already.")
    ] = False,
    workers: Workers = 1,
    memory: Memory = None,
    tissue: Tissue = None,
    skip_errors: SkipErrors = False,
    shard: Shard = None,
    cluster: Cluster = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Segment images and slides: write labels, overlays, areas, scores and summary.csv.

    Images with results of the same net and options are skipped. Nets that separate objects also give a label image of
    objects: a PNG, or a 32-bit TIFF from 65,536 objects on.

    A slide gets a folder NAME/ with tables, outlines for QuPath, and its arrays. The same command continues a
    slide after an interruption.
    """
    start_keras()
    from ..workflows.segmentation import SUMMARY, segment_all
    from ..workflows.slides import SlideOptions

    slides = SlideOptions(workers, memory, tissue, skip_errors, shard, cluster, scheduler)
    with progress_display(quiet=quiet) as progress:
        batch = segment_all(
            images,
            model,
            out,
            taxonomy=taxonomy,
            mpp=mpp,
            save=split_names(save),
            overwrite=overwrite,
            slides=slides,
            progress=progress,
        )
    for sentence in () if quiet else batch.notes:
        warn(sentence)
    print_result(batch.results, _text(batch, out / SUMMARY), as_json=as_json)
    exit_with_failures(batch.failures, code=FAILED if batch.results else INVALID)


def _text(batch, table):
    """Return the numbers of images, objects and files as text."""
    done = len(batch.results) - batch.skipped
    before = f", {batch.skipped} were done already" if batch.skipped else ""
    objects = [result["objects"] for result in batch.results if "objects" in result]
    total = f", {sum(objects)} objects in all" if objects else ""
    scale = f"scale: {batch.scale}\n" if batch.scale else ""
    written = f"wrote {_count(batch.files, 'file')} to {table.parent}/"
    return f"{_count(done, 'image')} segmented{before}{total}\n{scale}{written}"


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
