"""`hsn fit`: a lab's own tags, clicks, chosen patches or masks become a trained folder."""

import re

from . import fit_options
from .console import AsJson, close, start_keras, tell

_EPOCHS = 80
# Names of what validation measures, as they are said.
_SAID = {
    "validation_loss": "validation loss",
    "validation_auc": "AUC",
    "validation_aji": "AJI",
    "validation_pq": "PQ",
}


def fit(
    images: fit_options.Images = None,
    tags: fit_options.Tags = None,
    points: fit_options.Points = None,
    selected: fit_options.Selected = None,
    masks: fit_options.Masks = None,
    *,
    mpp: fit_options.Mpp,
    out: fit_options.Out,
    taxonomy: fit_options.Taxonomy = None,
    classes: fit_options.Classes = None,
    net: fit_options.Net = None,
    width: fit_options.Width = None,
    window: fit_options.Window = None,
    epochs: fit_options.Epochs = None,
    batch: fit_options.Batch = None,
    stain: fit_options.Stain = None,
    rounds: fit_options.Rounds = None,
    radius: fit_options.Radius = None,
    complete: fit_options.Complete = False,
    label: fit_options.Label = None,
    background: fit_options.Background = None,
    labels: fit_options.Labels = None,
    encoder: fit_options.Encoder = None,
    n: fit_options.N = None,
    synthetic: fit_options.Synthetic = None,
    least_score: fit_options.LeastScore = None,
    validation: fit_options.Validation = 0.2,
    seed: fit_options.Seed = 0,
    as_json: AsJson = False,
):
    """Train a net from tags (which tissues a patch has), points (nuclei), selected patches or masks (outlines)."""
    of_points = {"radius": radius, "complete": complete, "label": label, "background": background,
                 "labels": labels, "encoder": encoder}  # fmt: skip
    _one_kind(
        {"--tags": tags, "--points": points, "--selected": selected, "--masks": masks},
        images,
        {
            ("--tags", "--selected"): {"images": images},
            ("--tags",): {"--classes": classes, "--window": window},
            ("--points",): {f"--{name}": value for name, value in of_points.items()},
            ("--points", "--selected"): {"--rounds": rounds},
            ("--selected",): {"--n": n, "--synthetic": synthetic, "--least-score": least_score},
            ("--masks",): {"--stain": stain},
        },
    )
    numbers = {"mpp": mpp, "out": out, "taxonomy": taxonomy, "validation": validation, "seed": seed,
               "net": net, "width": width, "batch": batch}  # fmt: skip
    if points is not None:
        of_points["rounds"] = rounds
        failures = _from_points(points, of_points, as_json=as_json, epochs=epochs, **numbers)
    elif selected is not None:
        options = {"n": n, "synthetic": synthetic, "rounds": rounds, "least_score": least_score}
        failures = _from_selected(selected, images, options, as_json=as_json, epochs=epochs, **numbers)
    elif masks is not None:
        failures = _from_masks(masks, as_json=as_json, stain=stain, epochs=epochs or _EPOCHS, **numbers)
    else:
        of_tags = {"classes": classes, "window": window, "epochs": epochs or _EPOCHS}
        failures = _from_tags(images, tags, as_json=as_json, **of_tags, **numbers)
    close(failures)


def _one_kind(kinds, images, options):
    """Refuse to learn from nothing, from two kinds of annotation, or by options of another kind."""
    from ..errors import refuse

    chosen = [name for name, value in kinds.items() if value is not None]
    if len(chosen) != 1:
        refuse("a net learns from one kind of annotation", expected=f"one of {', '.join(kinds)}",
               received=" and ".join(chosen) or "none of them", remedy="give one of them")  # fmt: skip
    if chosen == ["--tags"] and not images:
        refuse("tags need their patches", expected="hsn fit PATCHES --tags ...", received="no images",
               remedy="name the patches or their folder")  # fmt: skip
    for its, values in options.items():
        given = [
            name for name, value in values.items() if value is not None and value is not False and value != []
        ]
        if chosen[0] not in its and given:
            what = "the images lie in the folder of" if given == ["images"] else "other options belong to"
            refuse(f"{what} {chosen[0]}", expected=f"{', '.join(given)} with {' or '.join(its)} only",
                   received=f"{', '.join(given)} as well", remedy="leave that out")  # fmt: skip


def _from_tags(images, tags, *, as_json, net, out, **numbers):
    """Train from tags, and tell; returns what was left out."""
    start_keras()
    from . import from_tags

    net = net or from_tags.NET
    from_tags.check(net)
    _check_name(out)
    history, used, failures = from_tags.train(images, tags, net=net, out=out, **numbers)
    _tell(out, history, {"patches": len(used)}, as_json=as_json)
    return failures


def _from_masks(folder, *, as_json, net, width, stain, out, **numbers):
    """Train from masks, and tell; returns what was left out."""
    start_keras()
    from . import from_masks

    net = net or "unet"
    from_masks.check(net, width, stain)
    _check_name(out)
    history, used, failures = from_masks.train(folder, net=net, width=width, stain=stain, out=out, **numbers)
    _tell(out, history, {"images": len(used)}, as_json=as_json)
    return failures


def _from_selected(folder, images, options, *, as_json, net, width, out, **numbers):
    """Choose what is to be outlined, or train from it, and tell; returns what was left out."""
    from . import from_selected

    net, options = net or "unet", from_selected.Options(**options)
    from_selected.check(net, width)
    _check_name(out)
    if not from_selected.is_chosen(folder):
        data, text, failures = from_selected.choose(folder, images, n=options.n, seed=numbers["seed"])
        tell(data, text, as_json=as_json)
        return failures
    start_keras()
    history, data, failures = from_selected.train(
        folder, images, net=net, width=width, options=options, out=out, **numbers
    )
    said = from_selected.text_of(data)
    _tell(out, history, data, as_json=as_json, said=said, stages="rounds/*")
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
    said = f"{data['clicked']} clicks, {data['found']} more nuclei found; "
    _tell(out, history, data, as_json=as_json, said=said, stages="detection/round-*")
    return failures


def _tell(out, history, data, *, as_json, said="", stages=None):
    """Draw the learning curves, and say which epoch was kept and what was written."""
    best = history.epochs[history.best]
    _draw(history, out.name, out / "learning.png")
    files = [out / name for name in ("net.keras", "card.json", "config.json", "learning.png")]
    files += _draw_stages(out, stages) if stages else []
    of = f"of round {best['round']}" if "round" in best else f"of {len(history.epochs)}"
    scores = [f"{said} {best[name]:.4f}" for name, said in _SAID.items() if name in best]
    kept = ", ".join([f"epoch {best['epoch']} {of} kept", *scores])
    text = "\n".join([f"{out}: {said}{kept}", *(f"wrote {path}" for path in files)])
    data = {"folder": out} | data | {"best": best, "epochs": history.epochs, "files": files}
    tell(data, text, as_json=as_json)


def _draw(history, title, path):
    """Learning curves; of several rounds one after another."""
    from ..reports import figures
    from ..types import History

    rows = (
        {name: value for name, value in row.items() if name != "round"} | {"epoch": number}
        for number, row in enumerate(history.epochs, start=1)
    )
    figures.write(figures.learning_curves(History(tuple(rows), history.best), title=title), path)


def _draw_stages(out, stages):
    """The curves of each training that a run has done before its last; returns the files written."""
    import json

    from ..types import History

    written = []
    for path in sorted(out.glob(f"{stages}/history.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        written.append(path.with_name("learning.png"))
        stage = path.parent.relative_to(out).as_posix()
        _draw(History(tuple(told["epochs"]), told.get("best")), f"{out.name}, {stage}", written[-1])
    return written


def _check_name(out):
    """Refuse what would fail only after hours of training."""
    from ..errors import refuse

    if not re.fullmatch(r"\w[\w.+-]*", out.name):
        refuse("the net takes its name from its folder", expected="letters, digits, _ . + -",
               received=repr(out.name), remedy="rename the folder")  # fmt: skip
