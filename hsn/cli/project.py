"""`hsn project`: make a study folder, add images, divide them, check their annotation."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import FAILED, AsJson, Command, Commands, Quiet, print_result, progress_display

commands = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Make, fill, divide and check study folders.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_Folder = Annotated[Path, typer.Argument(help="The study folder.")]


@commands.command(cls=Command)
def new(
    folder: _Folder,
    images: Annotated[
        list[Path] | None, typer.Argument(help="Images, or folders of images; they are not copied.")
    ] = None,
    objects: Annotated[str, typer.Option(help="Classes of objects: 'Nucleus'.")] = "Nucleus",
    tissues: Annotated[str | None, typer.Option(help="Classes of tissues: 'Tumor,Stroma'.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Micrometers per pixel of the images.")] = None,
    annotator: Annotated[str, typer.Option(help="Name of the annotator, for the history.")] = "",
    as_json: AsJson = False,
):
    """Make a study folder: study.toml, images.csv, and folders for annotations, masks and models."""
    from ..projects.study import new_study

    classes = {
        name.strip(): kind
        for names, kind in ((objects, "object"), (tissues, "tissue"))
        for name in (names or "").split(",")
        if name.strip()
    }
    study = new_study(folder, images=images or [], classes=classes, mpp=mpp, annotator=annotator)
    count = len(study.images())
    data = {"folder": study.folder, "images": count, "classes": list(classes)}
    text = f"{study.folder}: a study of {count} images; annotate into {study.folder / 'annotations'}"
    print_result(data, text, as_json=as_json)


@commands.command(cls=Command)
def add(
    folder: _Folder,
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images; they are not copied.")],
    group: Annotated[str | None, typer.Option(help="Patient or slide of these images.")] = None,
    mpp: Annotated[float | None, typer.Option(help="Micrometers per pixel of these images.")] = None,
    split: Annotated[Literal["", "train", "val", "test"], typer.Option(help="Split of these images.")] = "",
    as_json: AsJson = False,
):
    """Add images to the table of a study."""
    from ..projects.study import add_images, read_study

    study = read_study(folder)
    added = add_images(study, images, group=group, mpp=mpp, split=split)
    data = {"folder": study.folder, "added": len(added), "images": len(study.images())}
    print_result(data, f"{study.folder}: added {len(added)} images", as_json=as_json)


@commands.command(cls=Command)
def split(
    folder: _Folder,
    val: Annotated[float, typer.Option(help="Share of the annotated images for validation.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share of the annotated images for testing.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Divide images anew that have a split.")] = False,
    as_json: AsJson = False,
):
    """Divide the images of a study into training, validation and test images, by group."""
    from ..projects.split import split_study
    from ..projects.study import read_study

    counts = Counter(
        image.split for image in split_study(read_study(folder), val=val, test=test, seed=seed, again=again)
    )
    text = ", ".join(f"{counts[name]} {name}" for name in ("train", "val", "test"))
    print_result({"folder": folder, **counts}, f"{folder}: {text}", as_json=as_json)


@commands.command(cls=Command)
def check(folder: _Folder, quiet: Quiet = False, as_json: AsJson = False):
    """Check the annotation of a study: contradictions, with file and feature."""
    from ..projects.contradictions import check_study
    from ..projects.study import read_study

    with progress_display(quiet=quiet) as progress:
        problems = check_study(read_study(folder), progress=progress)
    data = [{"code": p.code, "file": p.file, "features": p.features, "message": p.message} for p in problems]
    text = "\n".join(map(str, problems)) if problems else f"{folder}: no contradictions"
    print_result(data, text, as_json=as_json)
    if problems:
        raise typer.Exit(FAILED)
