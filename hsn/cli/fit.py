"""`hsn fit`: a lab's own tags, clicks or masks become a trained folder."""

import re
from pathlib import Path
from typing import Annotated

import typer

from .speech import AsJson, close, start_keras, tell

_Images = Annotated[
    list[Path] | None,
    typer.Argument(help="Patches with tags, and folders of them; only with --tags.", show_default=False),
]
_Tags = Annotated[
    str | None,
    typer.Option(
        help="A CSV table; or 'names', where file names end like '[1 0 1 0].png'; or 'folders', one per class."
    ),
]
_Points = Annotated[
    Path | None,
    typer.Option(
        help="Instead of tags: a folder of images, and of clicks on some nuclei, as CSV (x,y), QuPath's GeoJSON or "
        "point images of their names."
    ),
]
_Masks = Annotated[
    Path | None,
    typer.Option(
        help="Instead of tags: a folder of images, and of label images, XML or ROI zips of their names."
    ),
]

_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the trained net; called again, a killed run goes on.")
]
_Taxonomy = Annotated[
    list[str] | None,
    typer.Option(help="Label space: a file or a built-in name; by default the tags' classes, or nuclei."),
]
_Classes = Annotated[
    str | None, typer.Option(help="With 'names': what the digits stand for, as 'TE,NEC,LYM'.")
]
_Window = Annotated[
    int | None, typer.Option(help="With tags: side of the net's input in pixels; the patches' by default.")
]
_Net = Annotated[
    str | None,
    typer.Option(
        help="From tags x1.7, m1 to m7, vgg16 (m2 if not said); from points resunet18, resunet34, resunet50 "
        "(resunet18); from masks unet or fullnet (unet)."
    ),
]
_Width = Annotated[
    float | None,
    typer.Option(
        help="From tags a factor on the net's channels (0.25); from points channels (16; of the larger nets 64); "
        "from masks channels (unet 16, fullnet 24)."
    ),
]
_Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="80; from points those of segmentation by coarse labels (50; of the larger nets 100), to which the other "
        "stages keep their proportion.",
    ),
]
_Batch = Annotated[
    int | None,
    typer.Option(
        min=1, help="From tags patches (16); from points crops (8); from masks crops (unet 4, fullnet 8)."
    ),
]
_Stain = Annotated[
    str | None,
    typer.Option(help="From masks: bring images to the stain of those learned from, by reinhard or macenko."),
]
_Rounds = Annotated[
    int | None,
    typer.Option(
        min=0, help="From points: how often detection learns again from what it held for background (2)."
    ),
]
_Radius = Annotated[
    float | None, typer.Option(help="From points: mean radius of a nucleus in micrometres (2.75).")
]
_Complete = Annotated[
    bool, typer.Option("--complete", help="From points: every nucleus is clicked, so none is sought.")
]
_Label = Annotated[str | None, typer.Option(help="From points: take only clicks of this class.")]
_Background = Annotated[
    Path | None,
    typer.Option(
        help="From points: a folder of masks of the images' names, white where surely no nucleus is."
    ),
]
_Labels = Annotated[
    Path | None,
    typer.Option(help="From points: coarse labels of the images' names, as an earlier run wrote them."),
]
_Encoder = Annotated[
    Path | None,
    typer.Option(
        help="From points: weights of a ResNet to begin with, .npz or torch's .pth; see docs/points.md."
    ),
]
_EPOCHS = 80


def fit(
    images: _Images = None,
    tags: _Tags = None,
    points: _Points = None,
    masks: _Masks = None,
    *,
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel of the images.")],
    out: _Out,
    taxonomy: _Taxonomy = None,
    classes: _Classes = None,
    net: _Net = None,
    width: _Width = None,
    window: _Window = None,
    epochs: _Epochs = None,
    batch: _Batch = None,
    stain: _Stain = None,
    rounds: _Rounds = None,
    radius: _Radius = None,
    complete: _Complete = False,
    label: _Label = None,
    background: _Background = None,
    labels: _Labels = None,
    encoder: _Encoder = None,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the images to validate on.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
    as_json: AsJson = False,
):
    """Train a net from tags (which tissues are in each patch), points (some nuclei are clicked) or masks (outlines)."""
    of_points = {"rounds": rounds, "radius": radius, "complete": complete, "label": label,
                 "background": background, "labels": labels, "encoder": encoder}  # fmt: skip
    _one_kind({"--tags": tags, "--points": points, "--masks": masks}, images,
              {"--tags": {"images": images, "--classes": classes, "--window": window},
               "--points": {f"--{name}": value for name, value in of_points.items()},
               "--masks": {"--stain": stain}})  # fmt: skip
    numbers = {"mpp": mpp, "out": out, "taxonomy": taxonomy, "validation": validation, "seed": seed,
               "net": net, "width": width, "batch": batch}  # fmt: skip
    if points is not None:
        failures = _from_points(points, of_points, as_json=as_json, epochs=epochs, **numbers)
    elif masks is not None:
        failures = _from_masks(masks, as_json=as_json, stain=stain, epochs=epochs or _EPOCHS, **numbers)
    else:
        of_tags = {"classes": classes, "window": window, "epochs": epochs or _EPOCHS}
        failures = _from_tags(images, tags, as_json=as_json, **of_tags, **numbers)
    close(failures)


def _one_kind(kinds, images, options):
    """Refuse to learn from nothing, from two kinds of annotation, or by options of another kind."""
    from .._refuse import refuse

    chosen = [name for name, value in kinds.items() if value is not None]
    if len(chosen) != 1:
        refuse("a net learns from one kind of annotation", expected=f"one of {', '.join(kinds)}",
               received=" and ".join(chosen) or "none of them", remedy="give one of them")  # fmt: skip
    if chosen == ["--tags"] and not images:
        refuse("tags need their patches", expected="hsn fit PATCHES --tags ...", received="no images",
               remedy="name the patches or their folder")  # fmt: skip
    for kind, its in options.items():
        given = [name for name, value in its.items() if value not in (None, False, [])]
        if kind != chosen[0] and given:
            what = "the images lie in the folder of" if given == ["images"] else "other options belong to"
            refuse(f"{what} {chosen[0]}", expected=f"{', '.join(given)} with {kind} only",
                   received=f"{', '.join(given)} as well", remedy="leave that out")  # fmt: skip


def _from_tags(images, tags, *, as_json, net, out, **numbers):
    """Train from tags, and tell; returns what was left out."""
    start_keras()
    from . import from_tags

    net = net or from_tags.NET
    from_tags.check(net)
    _check_name(out)
    history, used, failures = from_tags.train(images, tags, net=net, out=out, **numbers)
    _tell(out, history, {"patches": len(used)}, ("AUC", "validation_auc"), as_json=as_json)
    return failures


def _from_masks(folder, *, as_json, net, width, stain, out, **numbers):
    """Train from masks, and tell; returns what was left out."""
    start_keras()
    from . import from_masks

    net = net or "unet"
    from_masks.check(net, width, stain)
    _check_name(out)
    history, used, failures = from_masks.train(folder, net=net, width=width, stain=stain, out=out, **numbers)
    _tell(out, history, {"images": len(used)}, ("PQ", "validation_pq"), as_json=as_json)
    return failures


def _from_points(folder, options, *, as_json, net, width, out, **numbers):
    """Train from points, and tell; returns what was left out."""
    start_keras()
    from . import from_points

    net, options = net or from_points.QUICK, from_points.Options(**options)
    from_points.check(net, width, options)
    _check_name(out)
    history, used, failures = from_points.train(
        folder, net=net, width=width, options=options, out=out, **numbers
    )
    data = {"images": len(used), **from_points.told(out)}
    _tell(out, history, data, None, as_json=as_json, more=from_points.curves(out))
    return failures


def _tell(out, history, data, score, *, as_json, more=()):
    """Draw the learning curves, and say which epoch was kept and what was written."""
    from ..views import figures

    figures.write(figures.learning_curves(history, title=out.name), out / "learning.png")
    best = history.epochs[history.best]
    files = [*(out / name for name in ("net.keras", "card.json", "recipe.json", "learning.png")), *more]
    kept = (
        f"epoch {best['epoch']} of {len(history.epochs)} kept, validation loss {best['validation_loss']:.4f}"
    )
    if score is not None:
        kept += f", {score[0]} {best[score[1]]:.4f}"
    points = f"{data['clicked']} clicks, {data['found']} more nuclei found; " if "clicked" in data else ""
    told = [f"{out}: {points}{kept}", *(f"wrote {path}" for path in files)]
    data = {"folder": out} | data | {"best": best, "epochs": history.epochs, "files": files}
    tell(data, "\n".join(told), as_json=as_json)


def _check_name(out):
    """Refuse what would fail only after hours of training."""
    from .._refuse import refuse

    if not re.fullmatch(r"\w[\w.+-]*", out.name):
        refuse("the net takes its name from its folder", expected="letters, digits, _ . + -",
               received=repr(out.name), remedy="rename the folder")  # fmt: skip
