"""Plan the next annotation: what more minutes will bring, by kind, and where to spend them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..annotations.annotation import KINDS, Annotation, kinds_of
from ..errors import InputError
from ..files import atomic_write, check_writable
from ..images.read import read
from ..progress import Progress, report
from ..projects.cost import cost_card, count_items
from ..projects.forecast import LEAST_PARTS, Expected, forecast
from ..projects.subsets import part_of
from ..reports.tables import text_table, write_rows
from ..selection.clusters import kmeans
from ..selection.patches import cut_patches, grid_corners, tissue_fraction
from ..selection.texture import describe

SHARES = (0.125, 0.25, 0.5, 1.0)
MORE_MINUTES = (30.0, 60.0, 120.0)
EPOCHS = 10  # of a probe
PLAN_TABLE, NEXT_TABLE, FIGURE = "plan.csv", "next.csv", "plan.png"
_MIN_TISSUE = 0.1
_MEASURES = {"pq": "PQ", "f1": "F1 of clicks", "iou": "mean IoU", "auc": "AUC of tags", "loss": "exp(-loss)"}


@dataclass(frozen=True)
class Plan:
    """Forecasts by kind of annotation, and places to annotate next.

    Attributes
    ----------
    measure : str
        Validation measure of the scores: the most precise that the validation images allow.
    probes : list of dict
        Kind, share, minutes, and mean score of each trained probe.
    forecasts : dict of str to list of Expected
        By kind.
    places : list of dict
        Image, row, column, side in pixels, uncertainty and cluster size of each suggested patch, the best first.
    notes : list of str
    files : list of pathlib.Path
    """

    measure: str
    probes: list[dict]
    forecasts: dict[str, list[Expected]]
    places: list[dict]
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [
            (kind, f"{each.minutes:.0f}", f"{each.score:.3f}", f"{each.low:.3f} to {each.high:.3f}")
            for kind, expected in self.forecasts.items()
            for each in expected
        ]
        return text_table(
            ("more of", "minutes altogether", f"expected {self.measure}", "95 % interval"), rows
        )


def plan(
    study: str | os.PathLike,
    *,
    mpp: float,
    out: str | os.PathLike = "plan",
    shares: Sequence[float] = SHARES,
    more_minutes: Sequence[float] = MORE_MINUTES,
    seconds: Mapping[str, float] | None = None,
    n: int = 6,
    side_px: int = 256,
    epochs: int = EPOCHS,
    width: float | None = None,
    validation: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Forecast what more annotation will bring, and suggest patches to annotate next.

    For each kind of annotation, small nets (probes) learn from growing parts of it, beside all of the other kinds. A
    curve through their scores gives the forecast. Suggested patches are those about which the net of all annotation is
    least sure, one for each kind of texture.

    Parameters
    ----------
    study : path
        A study folder, or a folder of images and annotation, as for `hsn.fit`.
    mpp : float
        Micrometers per pixel of the images.
    out : path
        Folder for the probes, tables and the figure. An interrupted plan is continued. Default: "plan".
    shares : sequence of float
        Parts of the annotation, three or more, the last one 1. Default: 0.125, 0.25, 0.5, 1.
    more_minutes : sequence of float
        Further minutes of annotation to forecast for. Default: 30, 60, 120.
    seconds : dict of str to float, optional
        Seconds for one item of a kind; see `hsn.projects.cost.SECONDS`.
    n : int
        Number of suggested patches. Default: 6.
    side_px : int
        Side of the patches in pixels. Default: 256.
    epochs : int
        Epochs of each probe. Default: 10.
    width, validation, seed, progress : see `hsn.fit`

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        "plan-shares", "plan-images" if no image can be held out, or an error of `hsn.fit`.

    References
    ----------
    .. [1] Cortes et al., Learning curves: asymptotic values and rate of convergence, NeurIPS 1993.

    Examples
    --------
    >>> plan("study", mpp=0.25, shares=(0.5,))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: `shares` must be two or more numbers between 0 and 1; got [0.5]; leave it out for \
0.125, 0.25, 0.5.
    """
    from ..supervision.mixed.validation import split_images
    from .fitting import prepare

    shares = _check_shares(shares)
    card = cost_card(seconds)
    out = check_writable(out)
    options: dict[str, Any] = {"epochs": epochs, "width": width, "validation": validation, "seed": seed}
    setup = prepare(study, {}, {}, mpp=mpp, out=out / "all", kind="mixed", progress=progress, **options).setup
    images, config = setup.images, setup.config
    given = [annotation or Annotation() for annotation in setup.annotations]
    split = split_images(
        [kinds_of(a) for a in given], [a.group for a in given], config.train.validation, seed=seed
    )
    if split.blocks:
        raise InputError("plan-images", "the most precise annotation must be in two images of different groups",
                         got="one image or group", hint="annotate some of another image")  # fmt: skip
    config = config.replace(train={"validation": tuple(split.held_out.tolist())}, tune_postprocess=False)
    study_data = _Data(setup.net, images, given, config, split, out / "probes", seed)
    probes = _train_probes(study_data, shares, card, progress)
    forecasts, notes = _forecast(probes, more_minutes, seed)
    places = suggest_patches(
        images, study_data.folder("all", 1.0), n, side_px=side_px, mpp=mpp, seed=seed, progress=progress
    )
    measure = _MEASURES[probes[0].measure]
    rows = [
        {"kind": p.kind, "share": p.share, "minutes": p.minutes, measure: float(np.nanmean(p.scores))}
        for p in probes
    ]
    return _write(Plan(measure, rows, forecasts, places, [*setup.notes, *notes]), out)


# --- Probes --------------------------------------------------------------------------------------------------------


class _Data(NamedTuple):
    """Inputs of all probes."""

    net: Any
    images: Sequence
    annotations: list[Annotation]
    config: Any
    split: Any
    out: Path
    seed: int

    def folder(self, kind: str, share: float) -> Path:
        """Return the folder of a probe."""
        return self.out / f"{kind}-{share:g}"


class _Probe(NamedTuple):
    """A trained probe: part of a kind, minutes that its kinds cost, measure, and score of each validation image.

    The score of an image that does not allow the measure is NaN.
    """

    kind: str
    share: float
    minutes: dict[str, float]
    measure: str
    scores: list[float]


def _train_probes(data, shares, card, progress):
    """Train a net on all annotation, then one for each smaller part of each kind."""
    learned = data.split.learned.tolist()
    whole = [data.annotations[k] for k in learned]
    shapes = [_shape(data.images[k]) for k in learned]
    present = [kind for kind in KINDS if any(kind in kinds_of(annotation) for annotation in whole)]
    tasks = [("all", 1.0), *((kind, share) for kind in present for share in shares[:-1])]
    start = data.net.get_weights()
    probes = []
    for number, (kind, share) in enumerate(tasks):
        report(progress, "probes", number, len(tasks))
        part = whole if kind == "all" else part_of(whole, kind, share, seed=data.seed)
        minutes = dict.fromkeys(KINDS, 0.0)
        for annotation, shape in zip(part, shapes, strict=True):
            for each, count in count_items(annotation, shape).items():
                minutes[each] += count * card[each] / 60
        data.net.set_weights(start)
        probes.append(
            _Probe(kind, share, minutes, *_train_probe(data, part, data.folder(kind, share), progress))
        )
    return probes


def _train_probe(data, part, out, progress):
    """Train one probe; return the measure and the score of each validation image."""
    from ..supervision import mixed, open_model
    from ..supervision.mixed.training import Prepare
    from ..supervision.mixed.validation import allowed_measures, find_monitor, validate
    from ..training.images import training_images

    annotations = list(data.annotations)
    for k, annotation in zip(data.split.learned.tolist(), part, strict=True):
        annotations[k] = annotation
    mixed.fit(data.net, data.images, annotations, data.config, out=out, progress=progress)
    held_out = data.split.held_out.tolist()
    tasks = [(annotations[k], True) for k in held_out]
    samples = training_images([data.images[k] for k in held_out], tasks, Prepare(data.config, False))
    measure = find_monitor([allowed_measures(sample.load(), data.config) for sample in samples], data.config)
    net = open_model(out).net
    scores = [validate(net, [sample], data.config).get(f"validation_{measure}", np.nan) for sample in samples]
    return measure, [float(np.exp(-s)) if measure == "loss" else float(s) for s in scores]


def _forecast(probes, more_minutes, seed):
    """Return the forecast of each kind with enough parts, and notes about the others."""
    whole, forecasts, notes = probes[0], {}, []
    for kind in dict.fromkeys(probe.kind for probe in probes[1:]):
        parts = [*(probe for probe in probes if probe.kind == kind), whole]
        minutes = [part.minutes[kind] for part in parts]
        if len(set(minutes)) < LEAST_PARTS:
            notes.append(f"too little annotation of {kind} for a forecast: {minutes[-1]:.1f} minutes")
            continue
        scores = np.array([part.scores for part in parts])
        forecasts[kind] = forecast(minutes, scores, more_minutes, seed=seed)
    return forecasts, notes


# --- Places --------------------------------------------------------------------------------------------------------


def suggest_patches(images, model, n, *, side_px, mpp, seed, progress=None):
    """Return patches to annotate next: of each kind of texture, the one that the net is least sure about.

    Parameters
    ----------
    images : sequence of paths, or of uint8 arrays (H, W, 3)
    model : str, path or Model
    n : int
        Number of patches.
    side_px : int
        Side of the patches; images with a smaller side are left out.
    mpp : float
        Micrometers per pixel.
    seed : int
        Of the clustering.
    progress : callable, optional

    Returns
    -------
    list of dict
        `image`, `row`, `column`, `side_px`, `uncertainty` (mean over pixels of 1 - the largest probability, 0..1),
        `stands_for` (patches of this texture); by uncertainty x size of the cluster, the largest first.
    """
    from ..supervision import segment

    found, features = [], []
    for number, image in enumerate(images):
        report(progress, "uncertainty", number, len(images))
        pixels = image if isinstance(image, np.ndarray) else read(image)
        if min(pixels.shape[:2]) < side_px:
            continue
        corners = grid_corners(pixels.shape[:2], side_px=side_px, stride_px=side_px)
        corners = corners[tissue_fraction(pixels, corners, side_px) >= _MIN_TISSUE]
        if not len(corners):
            continue
        doubt = 1 - segment(pixels, model, mpp=mpp).probabilities.max(axis=2)
        name = f"image {number}" if isinstance(image, np.ndarray) else str(image)
        found += [
            {"image": name, "row": int(r), "column": int(c), "side_px": side_px,
             "uncertainty": float(doubt[r : r + side_px, c : c + side_px].mean())}
            for r, c in corners
        ]  # fmt: skip
        features.append(describe(cut_patches(pixels, corners, side_px)))
    if not found:
        return []
    vectors = np.concatenate(features)
    vectors = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-6)
    clusters = kmeans(vectors, min(n, len(found)), seed=seed).labels
    sizes = np.bincount(clusters)
    for row, cluster in zip(found, clusters.tolist(), strict=True):
        row["stands_for"], row["cluster"] = int(sizes[cluster]), cluster
    best = {}
    for row in sorted(found, key=lambda row: -row["uncertainty"]):
        best.setdefault(row.pop("cluster"), row)
    return sorted(best.values(), key=lambda row: -row["uncertainty"] * row["stands_for"])


# --- Files ---------------------------------------------------------------------------------------------------------


def _write(result, out):
    """Write the tables and the figure; return the plan with its files."""
    from ..reports import figures
    from ..reports.forecast_figure import forecast_figure

    files = [out / PLAN_TABLE, out / NEXT_TABLE, out / FIGURE]
    rows = [
        {
            "kind": kind,
            "minutes": round(each.minutes, 1),
            "score": each.score,
            "low": each.low,
            "high": each.high,
        }
        for kind, expected in result.forecasts.items()
        for each in expected
    ]
    for path, table in zip(files, (rows, result.places), strict=False):
        if table:
            write_rows(path, table)
    whole, *parts = result.probes
    measured = {
        kind: [
            (row["minutes"][kind], row[result.measure])
            for row in (*parts, whole)
            if row["kind"] in (kind, "all")
        ]
        for kind in dict.fromkeys(row["kind"] for row in parts)
    }
    figures.write(forecast_figure(measured, result.forecasts, measure=result.measure), files[2])
    with atomic_write(out / "plan.json") as temporary:
        data = {"measure": result.measure, "probes": result.probes, "notes": result.notes}
        temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
    written = [path for path in files if path.is_file()]
    return replace(result, files=[*written, out / "plan.json"])


def _check_shares(shares):
    """Return the shares as a sorted tuple that ends with 1."""
    values = tuple(sorted({float(share) for share in shares} | {1.0}))
    if len(values) < LEAST_PARTS or not values[0] > 0 or values[-1] > 1:
        raise InputError("plan-shares", "`shares` must be two or more numbers between 0 and 1", got=list(shares),
                         hint="leave it out for 0.125, 0.25, 0.5")  # fmt: skip
    return values


def _shape(image):
    return image.shape[:2] if isinstance(image, np.ndarray) else read(image).shape[:2]
