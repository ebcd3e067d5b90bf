"""Train a net from images and annotations: find them, set up, train, draw the learning curves."""

import importlib
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import taxonomies
from ..checks import as_mpp, as_seed, one_of
from ..data.discovery import KINDS, discover, find_pairs, find_tags, from_lists
from ..data.image_files import find_images
from ..data.setup import FitRequest, FitSetup
from ..errors import InputError
from ..files import check_writable
from ..limits import NAME_CHARS
from ..models.folders import Model
from ..notes import collect_notes, note
from ..progress import Progress
from ..projects.study import STUDY, find_study, read_study
from ..types import History
from .domain_check import store_domain
from .fit_report import check_history, count_results, draw_all_curves
from .selection import next_step
from .slide_regions import cut_regions, find_annotated_slides

# Options of one method only; the fields of `hsn.supervision.<method>.setup.Options`.
OPTIONS = {
    "masks": ("stain",),
    "points": ("rounds", "radius_um", "complete", "label", "background", "labels", "encoder"),
    "tags": ("classes", "window_px", "min_share", "cell_px"),
    "selected": ("n", "synthetic", "rounds", "min_score"),
    "mixed": ("without", "tissues", "radius_um", "steps"),
}
# Folders of earlier stages of a run.
STAGES = {"points": "detection/round-*", "selected": "rounds/*", "tags": "stage-*"}
FILES = ("net.keras", "card.json", "config.json")
REGIONS = "regions"  # folder of the images that are cut from slides
_SHOWN = 3  # files named in a warning


@dataclass(frozen=True)
class FitResult:
    """Result of a training.

    Attributes
    ----------
    folder : pathlib.Path
        The trained folder.
    kind : str
    history : History
    counts : dict
        Numbers of images, points and rounds.
    left_out : list of (str, str)
        Unused files and the reasons.
    notes : list of str
        Sentences for the user.
    files : list of pathlib.Path
        Written files.
    """

    folder: Path
    kind: str
    history: History
    counts: dict[str, Any]
    left_out: list[tuple[str, str]]
    notes: list[str]
    files: list[Path]

    @property
    def best(self) -> dict:
        """Row of the best epoch in the history."""
        last = len(self.history.epochs) - 1
        return self.history.epochs[last if self.history.best is None else self.history.best]

    @property
    def model(self) -> Model:
        """Load the trained model from its folder."""
        from ..models import load

        return load(self.folder)


@dataclass(frozen=True)
class Fit:
    """A training that is ready to run.

    Attributes
    ----------
    kind : str
    setup : FitSetup
    out : pathlib.Path
    summary : str
        Sentence about the images and annotations.
    device : str or None
    """

    kind: str
    setup: FitSetup
    out: Path
    summary: str
    device: str | None = None

    def run(self, progress: Progress | None = None) -> FitResult:
        """Train the net and draw the learning curves."""
        method = importlib.import_module(f"hsn.supervision.{self.kind}")
        setup = self.setup
        with _on_device(self.device):
            history = method.fit(
                setup.net, setup.images, setup.annotations, setup.config, out=self.out, progress=progress
            )
        store_domain(self.out, setup.images, setup.config)
        counts = setup.counts | count_results(self.kind, self.out)
        files = [self.out / name for name in FILES]
        files += draw_all_curves(self.out, history, STAGES.get(self.kind))
        notes = [*setup.notes, *check_history(history)]
        return FitResult(self.out, self.kind, history, counts, setup.left_out, notes, files)


def fit(
    data: Any = None,
    *,
    tags: Any = None,
    points: Any = None,
    masks: Any = None,
    selected: Any = None,
    unlabeled: Any = None,
    kind: str | None = None,
    mpp: float,
    out: str | os.PathLike,
    preset: str | None = None,
    net: str | None = None,
    width: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: float | Sequence[int] = 0.2,
    seed: int = 0,
    start: Any = None,
    device: str | None = None,
    taxonomy: Any = None,
    progress: Progress | None = None,
    **options: Any,
) -> Model:
    """Train a net from images and annotations.

    Parameters
    ----------
    data : path, sequence of paths, or sequence of uint8 arrays (H, W, 3)
        A folder of images and annotations, which are detected. Or images, with one of the next four arguments.
    tags : sequence, path, "names" or "folders", optional
        Present tissues of each image: class names, or 1, 0, NaN per class. Or their source: a table, "names" for tags
        in file names, "folders" for one folder per class.
    points : sequence or path, optional
        Clicked nuclei of each image: (N, 2) rows and columns in pixels, or a file. Or a folder with the images.
    masks : sequence or path, optional
        Objects of each image: int (H, W), 0 background, or a file. Or a folder with the images.
    selected : sequence or path, optional
        As `masks`, for a few patches selected by `hsn.select_patches`.
    unlabeled : sequence or path, optional
        With `selected`: images for pseudo-labels.
    kind : {"masks", "points", "tags", "selected", "mixed"}, optional
        Kind of annotation to use. Default: the only kind in the folder, or "mixed" for several.
    mpp : float
        Micrometers per pixel of the images.
    out : path
        Folder of the trained net. An interrupted run is resumed.
    preset : str, optional
        Name of the config. Default: "cpu", or the published config of `net`.
    net : str, optional
        Name of the architecture. Default: the net of the preset.
    width : float, optional
        Number of channels; with tags a factor on the number. Default: the width of the preset.
    epochs, batch_size : int, optional
        Default: the numbers of the preset.
    validation : float or sequence of int
        Fraction of the images for validation, or their indices. Default: 0.2.
    seed : int
        Seed of initial weights, order and augmentation. Default: 0.
    start : str, path or Model, optional
        Trained net to start from. The weights of matching layers are copied. Mixed annotation then takes small steps,
        and learns from the predictions of that net where nothing is marked.
    device : str, optional
        "cpu", "gpu" or "gpu:1". Default: the backend chooses.
    taxonomy : str, path, Taxonomy, or sequence of these, optional
        Label space. Default: the classes of the tags, or nuclei.
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.
    **options
        Options of one method, for example `stain`, `radius_um`, `classes`; see `hsn.supervision.<method>.setup`.

    Returns
    -------
    hsn.models.Model

    Raises
    ------
    InputError
        "annotations-missing" if no annotation is found, "kind-ambiguous" for several kinds, or the code of an invalid
        option.

    Warns
    -----
    UserWarning
        If files are left out.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(4)]
    >>> tags = ["gland", "stroma", "gland", "stroma"]
    >>> folder = Path(tempfile.mkdtemp()) / "mine"
    >>> model = fit(images, tags=tags, mpp=0.5, out=folder, net="m4", width=0.05, epochs=1, validation=0.5)
    >>> model.card.classes
    ('gland', 'stroma')
    """
    given = {"tags": tags, "points": points, "masks": masks, "selected": selected}
    training = {
        "preset": preset, "net": net, "width": width, "epochs": epochs, "batch_size": batch_size,
        "validation": validation if isinstance(validation, int | float) else tuple(validation), "seed": seed,
    }  # fmt: skip
    prepared = prepare(
        data, given, options, mpp=mpp, out=out, kind=kind, unlabeled=unlabeled, start=start, device=device,
        taxonomy=taxonomy, progress=progress, **training,
    )  # fmt: skip
    result = prepared.run(progress)
    for sentence in result.notes:
        warnings.warn(sentence, stacklevel=2)
    if result.left_out:
        reasons = "; ".join(
            reason if name in reason else f"{name}: {reason}" for name, reason in result.left_out[:_SHOWN]
        )
        warnings.warn(f"{len(result.left_out)} files are left out: {reasons}", stacklevel=2)
    return result.model


def prepare(
    data: Any,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    mpp: float,
    out: str | os.PathLike,
    kind: str | None = None,
    unlabeled: Any = None,
    start: Any = None,
    device: str | None = None,
    taxonomy: Any = None,
    progress: Progress | None = None,
    **training: Any,
) -> Fit:
    """Set up a training: find the annotations, read the images, build the net and the config.

    Parameters
    ----------
    data : see `fit`
    given : dict
        Annotations by kind, or None.
    options : dict
        Options of one method.
    mpp, out, kind, unlabeled, start, device, taxonomy, progress : see `fit`
    **training
        Fields of `hsn.data.setup.FitRequest`.

    Returns
    -------
    Fit
    """
    out, found, notes = Path(out), None, []
    given = {name: value for name, value in given.items() if value is not None}
    kind = _kind_of(given, kind)
    _check_name(out)
    check_writable(out)
    as_seed(training.get("seed", 0))
    with collect_notes() as assumed:
        if not given and kind in (None, "mixed") and _is_path(data) and (Path(data) / STUDY).is_file():
            found, options, training = _find_in_study(data, options, training)
            kind = found.kind
        elif not given:
            found = _discover(_with_regions(data, out, mpp, progress), kind, options)
            kind = found.kind
        setup = importlib.import_module(f"hsn.supervision.{kind}.setup")
        check_options(options, kind)
        chosen = setup.Options(**options)
        request = FitRequest(mpp=as_mpp(mpp), name=out.name, taxonomies=_taxonomies(taxonomy), **training)
        setup.check(request, chosen)
        if kind == "selected":
            source = given.get("selected", data)
            found, notes = _find_selected(setup, data if given else None, source, unlabeled, chosen)
        elif found is None:
            found = _pair_given(kind, data, given[kind], options, request)
        with _on_device(device):
            ready = setup.prepare(found, request, chosen, progress=progress)
            if start is not None:
                ready, sentence = _begin_with(start, ready, setup)
                notes = [*notes, sentence]
    ready.notes[:0] = [*notes, *assumed.sentences()]
    return Fit(kind, ready, out, str(found), device)


# --- Find the annotations ----------------------------------------------------------------------------------------


def _kind_of(given, kind):
    """Return the kind of the given annotations, or None."""
    if kind is not None:
        one_of("kind", kind, KINDS)
    if len(given) > 1 or (given and kind not in (None, *given)):
        raise InputError(
            "kind-ambiguous",
            "one kind of annotation must be given",
            got=" and ".join(dict.fromkeys([*given, *([kind] if kind else [])])),
            hint="leave one of them out",
        )
    return next(iter(given), kind)


def _with_regions(data, out, mpp, progress):
    """Return the folder of data; for a folder of annotated slides, one of the images of their regions."""
    slides = find_annotated_slides(data) if _is_path(data) and Path(data).is_dir() else []
    if not slides:
        return data
    regions = out / REGIONS
    images = cut_regions(slides, regions, mpp=as_mpp(mpp), progress=progress)
    note(f"{len(images)} annotated regions of slides are the images; they are in {regions}", data)
    return regions


def _discover(data, kind, options):
    """Find images and annotations in a folder."""
    if data is None:
        raise InputError(
            "data-missing",
            "`data` must be a folder of images and annotations",
            got="None",
            hint="give the folder, or images with tags, points or masks",
        )
    if not _is_path(data) and not all(_is_path(place) for place in data):
        raise InputError(
            "annotations-missing",
            "arrays must come with tags=, points=, masks= or selected=",
            got="images only",
            hint="give a list of annotations, one per image",
        )
    return discover(data, kind=kind, classes=options.get("classes"))


def _find_in_study(folder, options, training):
    """Find the images of a study; its classes and its split complete the options."""
    study = read_study(folder)
    if study.classes:
        options = {"tissues": study.kinds("tissue")} | dict(options)
    splits = {image.path: image.split for image in study.images()}
    found = find_study(study)
    held_out = tuple(k for k, path in enumerate(found.images) if splits[path] == "val")
    if held_out:
        note(f"images of the split val of {STUDY} are used for validation", study.folder, len(held_out))
        training = training | {"validation": held_out}
    return found, options, training


def _pair_given(kind, data, value, options, request):
    """Pair images with given annotations: a list, a folder, or the source of tags."""
    if kind == "tags":
        classes = options.get("classes")
        if classes is None and request.taxonomies:
            first = request.taxonomies[0]
            classes = [name for name in first.names if name not in first.inferred]
        if data is None:
            raise InputError(
                "data-missing", "tags must come with their images", got="no images", hint="give the images"
            )
        if _is_path(value):
            return find_tags(_places(data), value, classes=classes)
        return from_lists(kind, _images(data), value, classes=classes)
    if not _is_path(value):
        return from_lists(kind, _images(data), value)
    if data is not None and not (_is_path(data) and Path(data) == Path(value)):
        raise InputError(
            "images-elsewhere",
            f"images must lie in the folder of `{kind}`",
            got="images in `data`",
            hint="leave the images out, or give a list of annotations",
        )
    return find_pairs(value, kind)


def _find_selected(setup, data, value, unlabeled, options):
    """Find the annotated patches and the unlabeled images; return them and notes."""
    if _is_path(value):
        places = _places(unlabeled if unlabeled is not None else data or [])
        return setup.find(value, places, options, next_step=next_step(value))
    found = from_lists("selected", _images(data), value)
    images = [] if unlabeled is None else _images(unlabeled)
    return (found if options.rounds == 0 else setup.with_unlabeled(found, images)), []


def _is_path(value):
    return isinstance(value, str | os.PathLike)


def _places(data):
    return [Path(data)] if _is_path(data) else [Path(place) for place in data]


def _images(data):
    """Return a list of images; a folder is replaced by its images."""
    if data is None:
        raise InputError(
            "data-missing", "annotations must come with their images", got="None", hint="give `data`"
        )
    if _is_path(data):
        found, failures = find_images(data)
        if failures:
            raise InputError(
                "data-missing", f"{data} must hold images", got=failures[0][1], hint="correct the path"
            )
        return found
    return list(data)


# --- Options -----------------------------------------------------------------------------------------------------


def check_options(options, kind):
    """Raise unless every option belongs to this kind of annotation.

    Parameters
    ----------
    options : iterable of str
    kind : str

    Raises
    ------
    InputError
        "option-of-other-kind" or "option-unknown".

    Examples
    --------
    >>> check_options(["stain"], "masks")
    """
    for name in options:
        owners = [owner for owner, names in OPTIONS.items() if name in names]
        if not owners:
            raise InputError(
                "option-unknown",
                f"options of {kind} must be among {', '.join(OPTIONS[kind])}",
                got=repr(name),
                hint="correct the name",
            )
        if kind not in owners:
            raise InputError(
                "option-of-other-kind",
                f"`{name}` must be used with {' or '.join(owners)} only",
                got=f"`{name}` with {kind}",
                hint="leave it out",
            )


def _check_name(out):
    """Raise unless the name of the folder is a valid name of a net."""
    if not re.fullmatch(r"\w[\w.+-]*", out.name) or len(out.name) > NAME_CHARS:
        raise InputError(
            "out-name",
            f"the name of `out` must consist of 1 to {NAME_CHARS} letters, digits and _ . + -,"
            " because it is the name of the net",
            got=repr(out.name),
            hint="rename the folder",
        )


def _taxonomies(taxonomy):
    if taxonomy is None:
        return ()
    single = isinstance(taxonomy, str | os.PathLike | taxonomies.Taxonomy)
    return tuple(taxonomies.get(name) for name in ([taxonomy] if single else taxonomy))


def _begin_with(start, ready, setup):
    """Copy the weights of a trained net; return the set-up and a sentence with the number of copied layers."""
    from ..nets.transfer import copy_weights
    from ..supervision import open_model

    model = open_model(start)
    copied, total = copy_weights(ready.net, model.net)
    if hasattr(setup, "continue_from"):
        ready = setup.continue_from(ready, model)
    return ready, f"started from {model.card.name}: weights of {copied} of {total} layers"


def _on_device(device):
    """Return a context in which Keras computes on a device."""
    if device is None:
        return nullcontext()
    import keras

    if not re.fullmatch(r"(cpu|gpu)(:\d+)?", device.lower()):
        raise InputError(
            "device-unknown", "`device` must be cpu, gpu or gpu:1", got=repr(device), hint="leave it out"
        )
    return keras.device(device.lower() if ":" in device else f"{device.lower()}:0")
