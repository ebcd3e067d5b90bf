"""`hsn fit`: a lab's own tags or masks become a trained folder."""

import re
from pathlib import Path
from typing import Annotated

import typer

from .speech import AsJson, close, complain, display_on_stderr, progress, start_keras, tell

_Images = Annotated[
    list[Path] | None,
    typer.Argument(help="Patches with tags, and folders of them; not with --masks.", show_default=False),
]
_Tags = Annotated[
    str | None,
    typer.Option(
        help="A CSV table; or 'names', where file names end like '[1 0 1 0].png'; or 'folders', one per class."
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
    typer.Option(help="From tags x1.7, m1 to m7, vgg16 (m2 if not said); from masks unet or fullnet (unet)."),
]
_Width = Annotated[
    float | None,
    typer.Option(
        help="From tags a factor on the net's channels (0.25); from masks channels (unet 16, fullnet 24)."
    ),
]
_Batch = Annotated[
    int | None, typer.Option(min=1, help="From tags patches (16); from masks crops (unet 4, fullnet 8).")
]
_Stain = Annotated[
    str | None,
    typer.Option(help="From masks: bring images to the stain of those learned from, by reinhard or macenko."),
]
_TAGS_NET, _TAGS_WIDTH, _TAGS_BATCH = "m2", 0.25, 16


def fit(
    images: _Images = None,
    tags: _Tags = None,
    masks: _Masks = None,
    *,
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel of the images.")],
    out: _Out,
    taxonomy: _Taxonomy = None,
    classes: _Classes = None,
    net: _Net = None,
    width: _Width = None,
    window: _Window = None,
    epochs: Annotated[int, typer.Option(min=1)] = 80,
    batch: _Batch = None,
    stain: _Stain = None,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the images to validate on.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
    as_json: AsJson = False,
):
    """Train a net from tags (which tissues are in each patch), or from masks (each object is outlined)."""
    _one_kind(images, tags, masks, classes=classes, window=window, stain=stain)
    numbers = {"mpp": mpp, "out": out, "taxonomy": taxonomy, "epochs": epochs, "validation": validation,
               "seed": seed, "net": net, "width": width, "batch": batch}  # fmt: skip
    if masks is not None:
        history, used, failures = _from_masks(masks, stain=stain, **numbers)
        data, score = {"images": len(used)}, ("PQ", "validation_pq")
    else:
        history, used, failures = _from_tags(images, tags, classes=classes, window=window, **numbers)
        data, score = {"patches": len(used)}, ("AUC", "validation_auc")
    _tell(out, history, data, score, as_json=as_json)
    close(failures)


def _one_kind(images, tags, masks, *, classes, window, stain):
    """Refuse to learn from nothing, from two kinds of annotation, or by options of the other kind."""
    from .._refuse import refuse

    if (tags is None) == (masks is None):
        refuse("a net learns from one kind of annotation", expected="either --tags or --masks",
               received="neither" if tags is None else "both", remedy="give one of them")  # fmt: skip
    if tags is not None and not images:
        refuse("tags need their patches", expected="hsn fit PATCHES --tags ...", received="no images",
               remedy="name the patches or their folder")  # fmt: skip
    if tags is not None and stain:
        refuse("stains are normalised for nets that learn from masks", expected="--masks with --stain",
               received="--tags", remedy="leave --stain out")  # fmt: skip
    of_tags = {"images": images, "--classes": classes, "--window": window}
    given = [name for name, value in of_tags.items() if value]
    if masks is not None and given:
        refuse("the folder of --masks holds images and masks alike", expected="hsn fit --masks FOLDER",
               received=f"{', '.join(given)} as well", remedy="leave that out")  # fmt: skip


def _from_masks(folder, *, net, width, stain, out, **numbers):
    """Train from masks: history, images, and what was left out."""
    start_keras()
    from . import from_masks

    net = net or "unet"
    from_masks.check(net, width, stain)
    _check_name(out)
    return from_masks.train(folder, net=net, width=width, stain=stain, out=out, **numbers)


def _from_tags(
    images, tags, *, classes, window, mpp, out, taxonomy, epochs, validation, seed, net, width, batch
):
    """Train from tags: history, patches, and what was left out."""
    start_keras()
    from ..nets import histonet
    from ..supervision.tags import Learning
    from ..supervision.tags import fit as fit_net

    net = net or _TAGS_NET
    _check(out, net, histonet.FAMILY)
    tagged, failures = _tagged(images, tags, classes, taxonomy)
    patches = _look_at(tagged)
    failures += patches.failures
    for name, why in failures:
        complain(f"left out: {name}: {why}")
    side = window or patches.side_px
    width = _TAGS_WIDTH if width is None else width
    built = histonet.FAMILY[net](len(tagged.classes), width=width, input_px=side, seed=seed)
    learning = Learning(epochs=epochs, batch=batch or _TAGS_BATCH, validation=validation, seed=seed)
    recipe = _recipe(
        built, tagged.classes, taxonomy, patches, mpp=mpp, side=side, learning=learning, name=out.name
    )
    with display_on_stderr():
        history = fit_net(built, patches.paths, tagged.tags[patches.kept], recipe, out=out)
    return history, patches.paths, failures


def _tell(out, history, data, score, *, as_json):
    """Draw the learning curves, and say which epoch was kept and what was written."""
    from ..views import figures

    figures.write(figures.learning_curves(history, title=out.name), out / "learning.png")
    best, (measure, column) = history.epochs[history.best], score
    files = [out / name for name in ("net.keras", "card.json", "recipe.json", "learning.png")]
    told = [
        f"{out}: epoch {best['epoch']} of {len(history.epochs)} kept, validation loss "
        f"{best['validation_loss']:.4f}, {measure} {best[column]:.4f}",
        *(f"wrote {path}" for path in files),
    ]
    data = {"folder": out} | data | {"best": best, "epochs": history.epochs, "files": files}
    tell(data, "\n".join(told), as_json=as_json)


def _check(out, net, family):
    """Refuse what would fail only after hours of training."""
    from .._refuse import refuse

    if net not in family:
        refuse("there is no such net", expected=f"one of {', '.join(family)}", received=repr(net),
               remedy="mend the name")  # fmt: skip
    _check_name(out)


def _check_name(out):
    from .._refuse import refuse

    if not re.fullmatch(r"\w[\w.+-]*", out.name):
        refuse("the net takes its name from its folder", expected="letters, digits, _ . + -",
               received=repr(out.name), remedy="rename the folder")  # fmt: skip


def _tagged(places, tags, classes, taxonomy):
    """Tags of all images, by whichever of the three habits, and places that were not found."""
    from .. import taxonomies
    from .._refuse import refuse
    from ..labels import tag_files
    from .files import images_of

    found, failures = images_of(places, deep=True)
    if tags == "folders":
        return tag_files.from_folders(found), failures
    if tags != "names":
        return tag_files.from_table(found, tags), failures
    if classes is None and not taxonomy:
        refuse("the digits in the names need their classes", expected="--classes, as in 'TE,NEC,LYM,TAS'",
               received="neither --classes nor --taxonomy", remedy="name the classes in the digits' order")  # fmt: skip
    if classes is not None:
        return tag_files.from_names(found, [name.strip() for name in classes.split(",")]), failures
    first = taxonomies.get(taxonomy[0])
    return tag_files.from_names(found, [name for name in first.names if name not in first.inferred]), failures


def _look_at(tagged):
    """Read every patch once before training: bad ones are left out now, not hours later."""
    from .._refuse import Refusal, refuse
    from ..images.read import read
    from .patches import Gathered

    gathered = Gathered()
    with progress() as bar:
        for k, path in enumerate(bar.track(tagged.paths, description="looking at patches")):
            try:
                gathered.add(k, path, read(path))
            except Refusal as refusal:
                gathered.failures.append((str(path), str(refusal)))
    if not gathered.paths:
        refuse("there is no patch to learn from", expected="square RGB images of one size", received="none",
               remedy="mend the images named: " + "; ".join(why for _, why in gathered.failures[:3]))  # fmt: skip
    return gathered


def _recipe(net, classes, taxonomy, patches, *, mpp, side, learning, name):
    from .. import taxonomies
    from ..nets import histonet
    from ..supervision.tags import Recipe
    from .patches import taxonomy_of

    spaces = [taxonomies.get(t) for t in taxonomy] if taxonomy else [taxonomy_of(classes, name)]
    return Recipe(
        classes=tuple(classes),
        thresholds=(0.5,) * len(classes),
        taxonomies=tuple(spaces),
        mpp=mpp * patches.side_px / side,
        image_mpp=mpp,
        window_px=side,
        mean=patches.mean,
        std=patches.std,
        features=histonet.features_of(net).name,
        logits=histonet.logits_of(net).name,
        learning=learning,
    )
