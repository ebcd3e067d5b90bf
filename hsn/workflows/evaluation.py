"""Evaluate label images, instances or a net against truth files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import taxonomies
from ..checks import one_of
from ..data.folder_pairs import NO_PARTNER, pair_folders
from ..errors import InputError
from ..files import check_writable
from ..notes import collect_notes, note
from ..progress import Progress, track
from ..reports.compare import TruthFormat, compare_files, detect_kind, make_samples, numbers_objects
from ..reports.confusion import write_scores
from ..reports.object_scores import no_pairs_scored, score_objects
from ..supervision import method_of, open_model
from .scale_check import ScaleCheck


@dataclass(frozen=True)
class Evaluation:
    """Scores of an evaluation.

    Attributes
    ----------
    scores : dict
        Scores as plain data: by taxonomy and stage, or of objects per image and pooled.
    text : str
        Scores as text tables.
    files : list of pathlib.Path
        Written files.
    failures : list of (str, str)
        Files that were not scored, and the reasons.
    notes : list of str
        What was assumed about the files.
    """

    scores: dict
    text: str
    files: list[Path] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self):
        return self.text


def evaluate(
    model_or_predictions: Any,
    images: str | os.PathLike | None = None,
    truth: str | os.PathLike | None = None,
    *,
    taxonomy: str | os.PathLike | None = None,
    instances: bool | None = None,
    hausdorff: bool = False,
    objects: str | None = None,
    suffix: str = "",
    mpp: float | None = None,
    size: str = "image",
    unlisted: str = "ignore",
    by: str | None = None,
    out: str | os.PathLike = "out",
    progress: Progress | None = None,
) -> Evaluation:
    """Score a net, or files of predictions, against truth files of the same names.

    Parameters
    ----------
    model_or_predictions : str, path or hsn.models.Model
        With `images`: a net, as for `hsn.segment`. Without: a folder of predictions.
    images : path, optional
        Folder of images for the net.
    truth : path
        Folder of label images, color masks or, with `instances`, outlines.
    taxonomy : str or path, optional
        Label space. Default: the first taxonomy of the net.
    instances : bool, optional
        Score objects (AJI, PQ, F1, object Dice), not classes. Default: yes for a net if the truth files number objects.
    hausdorff : bool
        With `instances`: also score the Hausdorff distance. Default: False.
    objects : str, optional
        Class of the numbered objects, if truth files are instances.
    suffix : str
        Suffix of the names of truth files, for example "_anno". Default: none.
    mpp : float, optional
        Micrometers per pixel of the images. Default: that of the metadata, or of the net's training images.
    size : {"image", "full"}
        Score at the size of the images, or of the truth. Default: "image".
    unlisted : {"ignore", "false_alarms"}
        Pixels of unlisted colors: leave them out, or count them as errors. Default: "ignore".
    by : {"source"}, optional
        With a net from mixed annotation and its training images: the share of wrong pixels, by the kind of annotation
        that training knew a pixel from, or that is nearest to it.
    out : path
        Folder for tables and pictures. Default: "out".
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        "truth-missing", "taxonomy-missing", "pairs-missing"; "option-of-other-kind" for an unsuitable option;
        "objects-missing" if the truth numbers objects and the net does not separate them; "sources-missing" for `by`
        without source maps.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hsn.annotations.label_files import write_labels
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("found", "true"):
    ...     write_labels(folder / name / "a.png", np.array([[0, 1], [0, 1]]))
    >>> result = evaluate(folder / "found", truth=folder / "true", taxonomy="glas", out=folder / "scores")
    >>> result.scores["taxonomies"]["glas"]["stages"]["prediction"]["mIoU"]
    1.0
    """
    model = None if images is None else model_or_predictions
    check_writable(out)
    if by is not None:
        return _by_source(
            model, images, truth, one_of("by", by, ("source",)), taxonomy, suffix, mpp, out, progress
        )
    _check(truth, instances, hausdorff, {"taxonomy": taxonomy, "objects": objects})
    first = model_or_predictions if images is None else images
    scoring = {"size": size, "unlisted": unlisted}
    options = {"model": model, "mpp": mpp, "out": out, "progress": progress}
    with collect_notes() as notes:
        space = None if instances else _label_space(taxonomy, model)
        pairs, failures = _pair(first, truth, suffix, bool(instances))
        if instances is None and space is not None and model is not None and objects is None:
            instances = numbers_objects([path for _, path in pairs], space)
        if instances:
            data, text, files, failed = _score_objects(pairs, hausdorff, **options)
        else:
            score = _score_files if model is None else _score_net
            evaluations, files, failed = score(pairs, space, objects, **options, **scoring)
            if not any(counts.images for counts in evaluations):
                raise no_pairs_scored(failed)
            data, text = _summarize(evaluations, unlisted)
    return Evaluation(data, text, list(files), failures + failed, notes.sentences())


def _by_source(model, images, truth, by, taxonomy, suffix, mpp, out, progress):
    """Score a net on its training images by the source of its targets."""
    _check(truth, None, False, {})
    if model is None:
        raise InputError("images-missing", f"`by={by}` must come with a net and its training images", got="no net",
                         hint="give the trained folder: --model")  # fmt: skip
    from .source_evaluation import score_sources  # with Keras

    with collect_notes() as notes:
        pairs, failures = _pair(images, truth, suffix, True)
        errors, failed = score_sources(pairs, model, taxonomy=taxonomy, mpp=mpp, progress=progress)
    return Evaluation({"by_source": errors.rows()}, str(errors), errors.write(out), failures + failed,
                      notes.sentences())  # fmt: skip


def _pair(first, truth, suffix, outlines):
    """Return the pairs of files, and the files to score without a truth file; note other truth files."""
    pairs, alone, truth_alone = pair_folders(first, truth, suffix=suffix, outlines=outlines)
    if not pairs:
        raise InputError(
            "pairs-missing",
            f"files of {first} and {truth} must have the same names",
            got="; ".join(f"{path} {why}" for path, why in (alone + truth_alone)[:3]) or "no files",
            hint="check the folders, or give the suffix",
        )
    for path, reason in truth_alone:
        if reason == NO_PARTNER:
            note("truth files have no prediction, so they are not scored", path)
        else:
            alone.append((path, reason))
    return pairs, [(str(path), reason) for path, reason in alone]


def _score_objects(pairs, hausdorff, *, model, mpp, out, progress):
    """Score objects: of files, or of a net."""
    failed = []
    if model is not None:
        pairs, failed = _segment_objects(pairs, model, mpp=mpp, out=out, progress=progress)
        if not pairs:
            raise no_pairs_scored(failed)
    scores = score_objects(pairs, hausdorff=hausdorff, progress=progress)
    return scores.as_dict(), str(scores), scores.write(out), failed + scores.failures


def _summarize(evaluations, unlisted):
    """Return the scores of all taxonomies as plain data and as tables; note unknown pixels of the truth."""
    for counts in evaluations:
        if counts.unknown_pixels:
            meaning = "left out" if unlisted == "ignore" else "counted as errors where a class is predicted"
            percent = f"{100 * counts.unknown_fraction:.2g} %"
            note(f"{percent} of the pixels of the truth are unknown and {meaning}", counts.taxonomy.name)
    data = {"taxonomies": {counts.taxonomy.name: counts.as_dict() for counts in evaluations}}
    return data, "\n\n".join(map(str, evaluations))


def _segment_objects(pairs, model, *, mpp, out, progress):
    """Segment the images; return pairs of files, the found objects and the true ones, and failures."""
    from .segmentation import segment_all  # with Keras, which files of predictions do not need

    batch = segment_all([image for image, _ in pairs], model, out, mpp=mpp, progress=progress)
    truth = {str(image): path for image, path in pairs}
    found = [
        (Path(result["files"]["instances"]), truth[str(result["image"])])
        for result in batch.results
        if "instances" in result["files"]
    ]
    if batch.results and not found:
        raise InputError(
            "objects-missing",
            "the net must separate objects, because the truth files number objects",
            got="a net of classes",
            hint="name the class that the objects have: objects=..., or --objects",
        )
    return found, batch.failures


def _check(truth, instances, hausdorff, class_options):
    """Raise if an option cannot be used with this kind of truth."""
    if truth is None:
        raise InputError(
            "truth-missing", "`truth` must be a folder of truth files", got="None", hint="give truth=..."
        )
    given = [name for name, value in class_options.items() if value is not None]
    if instances and given:
        raise InputError(
            "option-of-other-kind",
            "`instances` must be used alone, because numbered objects have no classes",
            got=", ".join(given),
            hint="leave it out",
        )
    if hausdorff and not instances:
        raise InputError(
            "option-of-other-kind",
            "`hausdorff` must be used with `instances`",
            got="no instances",
            hint="add instances",
        )


def _label_space(taxonomy, model):
    """Return a taxonomy by name or file. Default: the first taxonomy of the net."""
    if taxonomy is None and model is None:
        raise InputError(
            "taxonomy-missing",
            f"`taxonomy` must be a file or one of {', '.join(taxonomies.BUILT_IN)}",
            got="None",
            hint="give the label space of the files",
        )
    if model is None:
        return taxonomies.get(taxonomy)
    _, config = method_of(open_model(model))
    return config.taxonomy(taxonomy)


def _truth_format(files: Sequence, space, objects):
    return (
        TruthFormat(space, "objects", objects) if objects else TruthFormat(space, detect_kind(files, space))
    )


def _score_files(pairs, space, objects, *, out, model, mpp, progress, **scoring):
    """Score files of predictions."""
    predicted = TruthFormat(space, detect_kind([first for first, _ in pairs], space))
    truth = _truth_format([second for _, second in pairs], space, objects)
    counted, failures = compare_files(track(pairs, progress, "counting pixels"), predicted, truth, **scoring)
    return [counted], write_scores(out, [counted]), failures


def _score_net(pairs, space, objects, *, out, model, mpp, progress, **scoring):
    """Segment the images and score every stage."""
    from ..reports.report import write_report

    truth = _truth_format([second for _, second in pairs], space, objects)
    scales = ScaleCheck(open_model(model))
    result = write_report(
        model,
        make_samples(pairs, truth, mpps=[scales.of(image, mpp).mpp for image, _ in pairs]),
        out=out,
        taxonomies=[space],
        progress=progress,
        **scoring,
    )
    return list(result.evaluations.values()), result.files, list(result.failures)
