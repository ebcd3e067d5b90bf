"""Segment the images of a data set, score every stage, and write tables and pictures.

Nets trained on tags have the stages of HistoSegNet's ablation (Chan et al., ICCV 2019): Grad-CAM, inter-class
adjustment, and dense CRF. Other nets have one stage, "prediction".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..annotations.colors import to_colors
from ..annotations.instances import label_components
from ..annotations.label_files import MAX_PNG_LABEL, write_labels
from ..data.sample import Sample
from ..errors import collect_failures
from ..images.read import write as write_image
from ..images.tiles import enlarge
from ..progress import Progress, track
from ..supervision import method_of, open_model
from ..taxonomies import Taxonomy
from . import figures
from .confusion import ConfusionCounts, write_scores
from .overlay import overlay_picture
from .page import draw_summary

# Stages by their name in the release.
_WORD_CHARS = 60  # of a class in the name of a folder
STAGES = {"GradCAM": "cam", "Adjust": "adjusted", "CRF": "refined"}


@dataclass(frozen=True)
class Report:
    """Result of `write_report`.

    Attributes
    ----------
    evaluations : dict of str to ConfusionCounts
        By name of taxonomy; empty for taxonomies without truth.
    files : tuple of pathlib.Path
        All written files.
    pages : tuple of pathlib.Path
        The summary pages among them.
    failures : tuple of (str, str)
        Images that could not be used, and the reasons.
    """

    evaluations: dict[str, ConfusionCounts]
    files: tuple[Path, ...]
    pages: tuple[Path, ...]
    failures: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n\n".join(str(counts) for counts in self.evaluations.values() if counts.images)


def write_report(
    model: Any,
    samples: Sequence[Sample],
    *,
    out: str | PathLike,
    taxonomies: Sequence[str | Taxonomy] | None = None,
    size: str = "image",
    unlisted: str = "ignore",
    progress: Progress | None = None,
) -> Report:
    """Segment images, score every stage, and write tables and pictures.

    Parameters
    ----------
    model : str, path or hsn.models.Model
        As for `hsn.segment`.
    samples : sequence of hsn.data.sample.Sample
        Images with or without truth.
    out : path
        A folder; see Notes.
    taxonomies : sequence of str or Taxonomy, optional
        Taxonomies of the net. Default: the taxonomies of the truth, or the first one of the net.
    size : {"image", "full"}
    unlisted : {"ignore", "false_alarms"}
        See `ConfusionCounts`.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If the net or taxonomy does not exist. Images that cannot be used are listed in `failures`.

    Notes
    -----
    `out` holds the files of `hsn.reports.confusion.write_scores`. `out/<taxonomy>` holds a file for each image in these
    folders: `stages/<stage>` (color masks, if there are several stages), `colors` (color mask of the last stage),
    `overlay`, `summary` (one page) and, for classes with numbered objects, `mask_<class>` and `instances_<class>`
    (label images).
    """
    model = open_model(model)
    method, config = method_of(model)
    names: Sequence[str | Taxonomy | None] = taxonomies or _taxonomies_with_truth(samples, config) or [None]
    chosen = [config.taxonomy(name) for name in names]
    evaluations = {taxonomy.name: ConfusionCounts(taxonomy, size, unlisted) for taxonomy in chosen}
    out = Path(out)
    pages: list[Path] = []
    files: list[Path] = []
    failures: list[tuple[str, str]] = []
    for sample in track(samples, progress, "segmenting"):
        with collect_failures(failures, sample.name):
            image = sample.image()
            truths = {t.name: sample.truth(t) for t in chosen if sample.has_truth(t)}
            for result in _segment(method, model.net, image, config, chosen, sample.mpp):
                taxonomy = result.taxonomy
                truth, valid_mask = truths.get(taxonomy.name, (None, None))
                if truth is not None:
                    evaluations[taxonomy.name].add(truth, result.labels, valid_mask=valid_mask)
                writer = _SampleWriter(sample, image, result, truth, valid_mask)
                files += writer.masks(out / taxonomy.name)
                files += writer.objects(out / taxonomy.name, object_class(samples, taxonomy))
                pages.append(writer.summary(out / taxonomy.name, config.image_mpp))
    tables = write_scores(out, evaluations.values())
    return Report(evaluations, (*tables, *pages, *files), tuple(pages), tuple(failures))


@dataclass(frozen=True)
class _StageResults:
    """Labels of each stage in one taxonomy, probabilities, and instances or None."""

    taxonomy: Taxonomy
    labels: dict[str, np.ndarray]
    probabilities: np.ndarray
    instances: np.ndarray | None = None


def _segment(
    method: ModuleType,
    net: Any,
    image: np.ndarray,
    config: Any,
    chosen: Sequence[Taxonomy],
    mpp: float | None,
) -> Iterator[_StageResults]:
    """Segment an image in each of the taxonomies."""
    if hasattr(method, "all_stages"):
        for stages in method.all_stages(net, image, config, taxonomies=chosen, mpp=mpp):
            labels = {stage: labels_at(stages, inner, image.shape[:2]) for stage, inner in STAGES.items()}
            yield _StageResults(stages.taxonomy, labels, enlarge(stages.adjusted, image.shape[:2]))
        return
    for taxonomy in chosen:
        result = method.segment(net, image, config, taxonomy=taxonomy.name, mpp=mpp)
        yield _StageResults(
            result.taxonomy, {"prediction": result.labels}, result.probabilities, result.instances
        )


def _taxonomies_with_truth(samples: Sequence[Sample], config: Any) -> list[str]:
    """Return the names of the net's taxonomies for which a sample has truth."""
    return [t.name for t in config.taxonomies if any(sample.has_truth(t) for sample in samples)]


def labels_at(stages: Any, stage: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the labels of a stage at the size of the image; maps are resized before the argmax."""
    return replace(stages, **{stage: enlarge(getattr(stages, stage), shape)}).labels(stage)


def object_class(samples: Sequence[Sample], taxonomy: Taxonomy) -> str | None:
    """Return the class of the samples' numbered objects, or None."""
    return next((s.instances_of for s in samples if s.instances_of in taxonomy.names), None)


@dataclass(frozen=True)
class _SampleWriter:
    """Writes the pictures of one image."""

    sample: Sample
    image: np.ndarray
    result: _StageResults
    truth: np.ndarray | None = None
    valid_mask: np.ndarray | None = None

    @property
    def _name(self) -> str:
        return self.sample.image_path.stem

    def masks(self, folder: Path) -> Iterator[Path]:
        """Write color masks of each stage and of the last one, and an overlay."""
        taxonomy, stages = self.result.taxonomy, self.result.labels
        final = list(stages.values())[-1]
        several = stages if len(stages) > 1 else {}
        pictures = {
            f"stages/{stage.lower()}": to_colors(labels, taxonomy) for stage, labels in several.items()
        }
        pictures["colors"] = to_colors(final, taxonomy)
        pictures["overlay"] = overlay_picture(
            self.image, final, taxonomy, self.result.instances, mpp=self.sample.mpp
        )
        for kind, picture in pictures.items():
            path = folder / kind / f"{self._name}.png"
            write_image(path, picture)
            yield path

    def objects(self, folder: Path, name: str | None) -> Iterator[Path]:
        """Write label images of one class, as a mask and as numbered objects, if objects are numbered."""
        taxonomy, final = self.result.taxonomy, list(self.result.labels.values())[-1]
        instances = self.result.instances
        if name is None and instances is None:
            return
        name = taxonomy.names[1] if name is None else name
        tissue = taxonomy.classes[taxonomy.index(name)]
        word = re.sub(r"[^\w+-]", "_", tissue.meaning or tissue.name)[:_WORD_CHARS]  # part of a file name
        mask = final == taxonomy.index(name)
        numbered = label_components(mask) if instances is None else instances
        for kind, labels in (("mask", mask), ("instances", numbered)):
            # The release writes 8-bit BMP, which cannot hold numbers above 255.
            suffix = ".bmp" if labels.max() <= 255 else ".png" if labels.max() <= MAX_PNG_LABEL else ".tif"
            path = folder / f"{kind}_{word}" / f"{self._name}{suffix}"
            write_labels(path, labels)
            yield path

    def _true_objects(self) -> np.ndarray | None:
        """Return the true objects, if the net also predicts objects."""
        if self.result.instances is None or self.truth is None or self.sample.instances_path is None:
            return None
        return self.sample.instances()

    def summary(self, folder: Path, mpp: float | None) -> Path:
        """Write the summary page."""
        path = folder / "summary" / f"{self._name}.png"
        figure = draw_summary(
            self.image,
            self.result.labels,
            self.result.taxonomy,
            truth=self.truth,
            valid_mask=self.valid_mask,
            probabilities=self.result.probabilities,
            instances=self.result.instances,
            true_instances=self._true_objects(),
            mpp=self.sample.mpp or mpp,
            title=self.sample.name,
        )
        figures.write(figure, path)
        return path
