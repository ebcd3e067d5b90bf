"""`hsn fit`: a lab's own tags become a trained folder."""

import re
from pathlib import Path
from typing import Annotated

import typer

from .speech import AsJson, close, complain, display_on_stderr, progress, start_keras, tell

_Images = Annotated[list[Path], typer.Argument(help="Patches, and folders of them.", show_default=False)]
_Tags = Annotated[
    str,
    typer.Option(
        help="A CSV table; or 'names', where file names end like '[1 0 1 0].png'; or 'folders', one per class."
    ),
]

_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the trained net; called again, a killed run goes on.")
]
_Taxonomy = Annotated[
    list[str] | None,
    typer.Option(help="Label space: a file or a built-in name; by default the tags' classes."),
]
_Classes = Annotated[
    str | None, typer.Option(help="With 'names': what the digits stand for, as 'TE,NEC,LYM'.")
]
_Window = Annotated[
    int | None, typer.Option(help="Side of the net's input in pixels; the patches' by default.")
]


def fit(
    images: _Images,
    tags: _Tags,
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel of the patches.")],
    out: _Out,
    taxonomy: _Taxonomy = None,
    classes: _Classes = None,
    net: Annotated[str, typer.Option(help="Member of the HistoNet family: x1.7, m1 to m7, vgg16.")] = "m2",
    width: Annotated[float, typer.Option(help="Factor on the net's channels.")] = 0.25,
    window: _Window = None,
    epochs: Annotated[int, typer.Option(min=1)] = 80,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the patches to validate on.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
    as_json: AsJson = False,
):
    """Train a net from tags: which tissues are in each patch. No outlines are needed."""
    start_keras()
    from ..nets import histonet
    from ..supervision.tags import Learning
    from ..supervision.tags import fit as fit_net
    from ..views import figures

    _check(out, net, histonet.FAMILY)
    tagged, failures = _tagged(images, tags, classes, taxonomy)
    patches = _look_at(tagged)
    failures += patches.failures
    for name, why in failures:
        complain(f"left out: {name}: {why}")
    side = window or patches.side_px
    built = histonet.FAMILY[net](len(tagged.classes), width=width, input_px=side, seed=seed)
    learning = Learning(epochs=epochs, batch=batch, validation=validation, seed=seed)
    recipe = _recipe(
        built, tagged.classes, taxonomy, patches, mpp=mpp, side=side, learning=learning, name=out.name
    )
    with display_on_stderr():
        history = fit_net(built, patches.paths, tagged.tags[patches.kept], recipe, out=out)
    figures.write(figures.learning_curves(history, title=out.name), out / "learning.png")
    best = history.epochs[history.best]
    files = [out / name for name in ("net.keras", "card.json", "recipe.json", "learning.png")]
    told = [
        f"{out}: epoch {best['epoch']} of {len(history.epochs)} kept, validation loss "
        f"{best['validation_loss']:.4f}, AUC {best['validation_auc']:.4f}",
        *(f"wrote {path}" for path in files),
    ]
    data = {
        "folder": out,
        "patches": len(patches.paths),
        "best": best,
        "epochs": history.epochs,
        "files": files,
    }
    tell(data, "\n".join(told), as_json=as_json)
    close(failures)


def _check(out, net, family):
    """Refuse what would fail only after hours of training."""
    from .._refuse import refuse

    if net not in family:
        refuse("there is no such net", expected=f"one of {', '.join(family)}", received=repr(net),
               remedy="mend the name")  # fmt: skip
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
