"""`hsn evaluate`: how good are label images, or a net, where truth is at hand."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import AsJson, close, progress, start_keras, tell

_Predictions = Annotated[
    Path, typer.Argument(help="Folder of label images or colour masks; with --model, of images.")
]
_Taxonomy = Annotated[
    str | None, typer.Option(help="A file or a built-in name; with --model, the net's if not said.")
]
_Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Segment the images with this net, score each stage.")
]
_Size = Annotated[
    Literal["image", "full"],
    typer.Option(
        help="Score at the size of the images (truth shrunk), or of the truth (prediction enlarged)."
    ),
]
_Unlisted = Annotated[
    Literal["ignore", "false_alarms"],
    typer.Option(help="Pixels whose truth is no listed class: leave out, or count as the release does."),
]
_Instances = Annotated[
    bool,
    typer.Option("--instances", help="Both number objects, or one of them outlines these: XML or ROI zips."),
]


def evaluate(
    predictions: _Predictions,
    truth: Annotated[Path, typer.Argument(help="Folder of label images or colour masks, of the same names.")],
    taxonomy: _Taxonomy = None,
    model: _Model = None,
    suffix: Annotated[str, typer.Option(help="What names of truth files add, as '_anno'.")] = "",
    objects: Annotated[str | None, typer.Option(help="Truth numbers the objects of this class.")] = None,
    mpp: Annotated[
        float | None, typer.Option(help="With --model: micrometres per pixel of the images.")
    ] = None,
    size: _Size = "image",
    unlisted: _Unlisted = "ignore",
    instances: _Instances = False,
    hausdorff: Annotated[
        bool, typer.Option("--hausdorff", help="With --instances: its distance too.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables and pictures.")] = Path("out"),
    as_json: AsJson = False,
):
    """Score predictions against truth: IoU of each class, mIoU, and the averages of HistoSegNet's release.

    With --instances: AJI, PQ = DQ x SQ, F1, object Dice, pixel Dice and IoU, and how far counts deviate.
    """
    from ..errors import refuse
    from .files import pairs

    _one_kind(instances, hausdorff, {"--taxonomy": taxonomy, "--model": model, "--objects": objects})
    space = None if instances else _space(taxonomy, model)
    together, alone = pairs(predictions, truth, suffix=suffix, outlines=instances)
    if not together:
        refuse("no file has a partner", expected=f"files of {predictions} and {truth} with the same names",
               received=f"none among {len(alone)}", remedy="check the folders, or give --suffix")  # fmt: skip
    failures = [(str(path), "has no partner of its name in the other folder") for path in alone]
    if instances:
        from . import objects as of_objects

        data, text, failed = of_objects.evaluate(together, out=out, hausdorff=hausdorff)
        tell(data | {"failures": dict([*failures, *failed])}, text, as_json=as_json)
        close([*failures, *failed])
        return
    scoring = {"size": size, "unlisted": unlisted}
    run = _of_net if model else _of_files
    tallies, files, failed = run(together, space, objects, model=model, mpp=mpp, out=out, **scoring)
    data = {"taxonomies": {t.taxonomy.name: t.as_dict() for t in tallies}, "files": files}
    tables = [
        f"{t.taxonomy.name}, {stage}, {t.images} images\n{s}"
        for t in tallies
        for stage, s in t.scores().items()
    ]
    text = "\n\n".join([*tables, "\n".join(f"wrote {path}" for path in files)])
    tell(data | {"failures": dict([*failures, *failed])}, text, as_json=as_json)
    close([*failures, *failed])


def _one_kind(instances, hausdorff, of_classes):
    """Refuse options that the kind of truth has no use for."""
    from ..errors import refuse

    given = [name for name, value in of_classes.items() if value is not None]
    if instances and given:
        refuse("numbered objects have no classes", expected="--instances alone", received=", ".join(given),
               remedy="leave that out")  # fmt: skip
    if hausdorff and not instances:
        refuse("the Hausdorff distance is of objects", expected="--instances with it", received="none",
               remedy="add --instances")  # fmt: skip


def _space(taxonomy, model):
    """The taxonomy by name or file, or else the net's first."""
    from .. import taxonomies
    from ..errors import refuse

    if taxonomy is None and model is None:
        refuse("labels mean nothing without their taxonomy", expected="--taxonomy, a file or one of "
               + ", ".join(taxonomies.BUILT_IN), received="none", remedy="name it")  # fmt: skip
    if model is None:
        return taxonomies.get(taxonomy)
    start_keras()
    from ..supervision import method_of, open_model

    _, config = method_of(open_model(model))
    return config.taxonomy(taxonomy)


def _truth(files, space, objects):
    from ..reports.compare import Truth, kind_of

    return Truth(space, "objects", objects) if objects else Truth(space, kind_of(files, space))


def _of_files(together, space, objects, *, out, model, mpp, **scoring):
    """Score files of predictions."""
    from ..reports import tally
    from ..reports.compare import Truth, compare, kind_of

    predicted = Truth(space, kind_of([first for first, _ in together], space))
    with progress() as bar:
        counted, failures = compare(
            bar.track(together, description="counting"),
            predicted,
            _truth([second for _, second in together], space, objects),
            **scoring,
        )
    return [counted], tally.write(out, [counted]), failures


def _of_net(together, space, objects, *, out, model, mpp, **scoring):
    """Segment images and score every stage."""
    from ..reports.compare import samples
    from ..reports.report import report

    truth = _truth([second for _, second in together], space, objects)
    made = report(model, samples(together, truth, mpp=mpp), out=out, taxonomies=[space.name], **scoring)
    return list(made.tallies.values()), made.files, list(made.failures)
