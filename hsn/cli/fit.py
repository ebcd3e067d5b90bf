"""`hsn fit`: parse the options, train a net, print the result."""

import math
from pathlib import Path

from . import fit_options
from .console import (
    AsJson,
    Quiet,
    exit_with_failures,
    print_result,
    progress_display,
    split_names,
    start_keras,
    warn,
    written,
)

# Printed validation scores, in order.
_SCORES = {
    "validation_loss": "validation loss",
    "validation_auc": "AUC",
    "validation_aji": "AJI",
    "validation_pq": "PQ",
}


def fit(
    data: fit_options.Data = None,
    tags: fit_options.Tags = None,
    points: fit_options.Points = None,
    selected: fit_options.Selected = None,
    masks: fit_options.Masks = None,
    *,
    mpp: fit_options.Mpp,
    out: fit_options.Out,
    kind: fit_options.Kind = None,
    preset: fit_options.Preset = None,
    taxonomy: fit_options.Taxonomy = None,
    net: fit_options.Net = None,
    width: fit_options.Width = None,
    epochs: fit_options.Epochs = None,
    batch_size: fit_options.BatchSize = None,
    start: fit_options.Start = None,
    device: fit_options.Device = None,
    classes: fit_options.Classes = None,
    window_px: fit_options.WindowPx = None,
    min_share: fit_options.MinShare = None,
    stain: fit_options.Stain = None,
    rounds: fit_options.Rounds = None,
    radius_um: fit_options.RadiusUm = None,
    complete: fit_options.Complete = False,
    label: fit_options.Label = None,
    background: fit_options.Background = None,
    labels: fit_options.Labels = None,
    encoder: fit_options.Encoder = None,
    n: fit_options.N = None,
    synthetic: fit_options.Synthetic = None,
    min_score: fit_options.MinScore = None,
    without: fit_options.Without = None,
    tissues: fit_options.Tissues = None,
    steps: fit_options.Steps = None,
    validation: fit_options.Validation = 0.2,
    seed: fit_options.Seed = 0,
    progress: fit_options.ProgressFile = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
):
    """Train a net from masks, points, tags, masks of a few selected patches, or a mixture of them."""
    options = {
        "classes": classes and split_names(classes), "window_px": window_px,
        "min_share": min_share, "stain": stain, "rounds": rounds, "radius_um": radius_um,
        "complete": complete or None, "label": label, "background": background, "labels": labels, "encoder": encoder,
        "n": n, "synthetic": synthetic, "min_score": min_score, "without": without and tuple(without),
        "tissues": tissues and tuple(split_names(tissues)), "steps": steps,
    }  # fmt: skip
    options = {name: value for name, value in options.items() if value is not None}
    given = {"tags": tags, "points": points, "masks": masks, "selected": selected}
    common = {
        "mpp": mpp, "out": out, "kind": kind, "preset": preset, "net": net, "width": width, "epochs": epochs,
        "batch_size": batch_size, "validation": validation, "seed": seed, "start": start, "device": device,
        "taxonomy": taxonomy or None,
    }  # fmt: skip
    start_keras()
    show = {"quiet": quiet, "file": progress}
    if selected is not None and _select_first(selected, data, seed, given, options, as_json, show):
        return
    _train(_one_or_many(data), given, common, options, as_json, show)


def _one_or_many(data):
    """Return a single path, which is searched as a folder, or the list."""
    return data[0] if data and len(data) == 1 else data or None


def _train(data, given, common, options, as_json, show):
    """Set up, train and print."""
    from ..workflows.fitting import prepare

    with progress_display(**show) as progress:
        prepared = prepare(data, given, options, **common, progress=progress)
        if not show["quiet"]:
            for sentence in (prepared.summary, *prepared.setup.notes):
                warn(sentence)
            for name, reason in prepared.setup.left_out:
                warn(f"left out: {reason if name in reason else f'{name}: {reason}'}")
        result = prepared.run(progress)
        if not show["quiet"]:
            for sentence in result.notes[len(prepared.setup.notes) :]:
                warn(sentence)
    data = {"folder": result.folder} | result.counts
    data |= {"best": result.best, "epochs": result.history.epochs, "files": result.files}
    print_result(data, _text(result), as_json=as_json)
    exit_with_failures(result.left_out)


def _text(result):
    """Return the result as text: the best epoch and the written files."""
    best = result.best
    part = next((name for name in ("round", "stage") if name in best), None)
    of = f"of {part} {best[part]}" if part else f"of {len(result.history.epochs)}"
    scores = [
        f"{label} {best[name]:.4f}"
        for name, label in _SCORES.items()
        if name in best and best[name] is not None and math.isfinite(best[name])
    ]
    kept = ", ".join([f"epoch {best['epoch']} {of} kept", *scores])
    return f"{result.folder}: {_counts(result)}{kept}\n{written(result.files)}"


def _counts(result):
    counts = result.counts
    if result.kind == "points":
        return f"{counts['clicked']} clicks, {counts['found']} more nuclei found; "
    if result.kind == "selected":
        learned = counts["rounds"][counts["kept"]]["learned_from"]
        return (
            f"{counts['patches']} patches, {learned['real']} of them for training, with {learned['synthetic']}"
            f" synthetic pairs and {learned['pseudo']} pseudo-labeled images; "
        )
    return ""


def _select_first(folder, images, seed, given, options, as_json, show):
    """Select patches if the folder has none; return whether patches were selected."""
    from ..errors import InputError
    from ..workflows.fitting import check_options
    from ..workflows.selection import has_patches, next_step, select_patches
    from .select import data_of, text_of

    folder = Path(folder)
    if has_patches(folder) or sum(value is not None for value in given.values()) > 1:
        return False
    check_options(options, "selected")
    if not images:
        raise InputError(
            "patches-missing",
            f"{folder} must hold patches and their masks, or images must be given to select patches from",
            got="neither",
            hint=f"give the images: hsn fit IMAGES --selected {folder} ...",
        )
    with progress_display(**show) as progress:
        selection = select_patches(images, options.get("n", 6), out=folder, seed=seed, progress=progress)
    step = next_step(folder)
    print_result(data_of(selection) | {"next": step}, f"{text_of(selection)}\n{step}", as_json=as_json)
    exit_with_failures(selection.left_out)
    return True
