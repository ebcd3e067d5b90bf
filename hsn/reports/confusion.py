"""Confusion counts over many images, in one taxonomy and for each stage of a pipeline."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations.colors import resize_labels
from ..checks import one_of
from ..errors import InputError
from ..metrics.classes import ClassScores, class_scores, mean_of_present, overlaps
from ..metrics.counts import confusion_matrix
from ..metrics.intervals import Interval, interval_of_enough
from ..taxonomies import Taxonomy
from . import figures, tables

SIZES = ("image", "full")


@dataclass
class ConfusionCounts:
    """Confusion counts of true and predicted pixels, summed over images.

    Attributes
    ----------
    taxonomy : Taxonomy
    size : {"image", "full"}
        "image" resizes the truth to the prediction, as the released code of HistoSegNet. "full" resizes the prediction
        to the truth, as its successor study. Both use the nearest neighbor. Default: "image".
    unlisted : {"ignore", "false_alarms"}
        Treatment of true pixels outside of the taxonomy; see `hsn.metrics.counts.confusion_matrix`. Default: "ignore".
    counts : dict of str to int64 (C, C) or (C + 1, C)
        Counts of each stage.
    overlaps : dict of str to list of int64 (2, C)
        `hsn.metrics.classes.overlaps` of each stage and image.
    pixels : int64 (C,)
        Number of true pixels of each class, at the size of the truth.
    images : int
    unknown_pixels : int
        Number of pixels of the truth that are not valid, at its size.

    Raises
    ------
    InputError
        "size-unknown".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> counts = ConfusionCounts(GLAS)
    >>> counts.add(np.array([[0, 1]]), {"CRF": np.array([[0, 1]])})
    >>> counts.scores()["CRF"].mean_iou
    1.0
    """

    taxonomy: Taxonomy
    size: str = "image"
    unlisted: str = "ignore"
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    overlaps: dict[str, list[np.ndarray]] = field(default_factory=dict)
    pixels: np.ndarray | None = None
    images: int = 0
    unknown_pixels: int = 0

    def __post_init__(self) -> None:
        one_of("size", self.size, SIZES)

    def add(
        self,
        truth: np.ndarray,
        predictions: Mapping[str, np.ndarray],
        *,
        valid_mask: np.ndarray | None = None,
    ) -> None:
        """Add the counts of one image.

        Parameters
        ----------
        truth : int array, shape (h, w)
        predictions : dict of str to int array, shape (H, W)
            Labels of each stage.
        valid_mask : bool array, shape (h, w), optional
            True where the truth is known. Default: everywhere.

        Raises
        ------
        InputError
            "shape-aspect" if the truth and a prediction have different aspect ratios.
        """
        valid_mask = np.ones(truth.shape, bool) if valid_mask is None else valid_mask
        for labels in predictions.values():
            _check_aspect(truth.shape, labels.shape)
        counted = {stage: self._count(truth, valid_mask, labels) for stage, labels in predictions.items()}
        for stage, counts in counted.items():
            self.counts[stage] = self.counts.get(stage, 0) + counts
            self.overlaps.setdefault(stage, []).append(overlaps(counts))
        pixels = np.bincount(truth[valid_mask], minlength=len(self.taxonomy))
        self.pixels = pixels if self.pixels is None else self.pixels + pixels
        self.images += 1
        self.unknown_pixels += int(valid_mask.size - np.count_nonzero(valid_mask))

    @property
    def unknown_fraction(self) -> float:
        """Fraction of the pixels of the truth that are not valid, 0 to 1."""
        known = 0 if self.pixels is None else int(self.pixels.sum())
        return self.unknown_pixels / max(1, self.unknown_pixels + known)

    def _count(self, truth: np.ndarray, valid_mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if self.size == "image":
            truth, valid_mask = (resize_labels(x, labels.shape) for x in (truth, valid_mask))
        else:
            labels = resize_labels(labels, truth.shape)
        return confusion_matrix(
            truth, labels, len(self.taxonomy), valid_mask=valid_mask, unlisted=self.unlisted
        )

    def scores(self) -> dict[str, ClassScores]:
        """Return the scores of each stage."""
        names = self.taxonomy.names
        return {stage: class_scores(n, names, pixels=self.pixels) for stage, n in self.counts.items()}

    def mean_iou_of_images(self, stage: str) -> float:
        """Return the mean over images of the mean IoU of one image; NaN if no image has a score."""
        scores = np.array([mean_of_present(rows) for rows in self.overlaps[stage]])
        return float(np.nanmean(scores)) if not np.isnan(scores).all() else float("nan")

    def mean_iou_interval(self, stage: str) -> Interval:
        """Return the pooled mean IoU, with a 95 % interval for five images or more."""
        rows = np.stack(self.overlaps[stage])  # (n, 2, C)
        return interval_of_enough(rows, lambda drawn: mean_of_present(drawn.sum(axis=0)))

    def __str__(self) -> str:
        """Return a table of scores per stage."""
        tables = (
            f"{self.taxonomy.name}, {stage}, {self.images} images\n{scores}\n{self._summary(stage)}"
            for stage, scores in self.scores().items()
        )
        return "\n\n".join(tables)

    def _summary(self, stage: str) -> str:
        """Return the pooled mean IoU, its interval and the mean over images in one line."""
        value, low, high = self.mean_iou_interval(stage)
        bounds = "" if np.isnan(low) else f" [{low:.4f}, {high:.4f}] (95 %)"
        return f"mIoU of all images together {value:.4f}{bounds}, mean of images {self.mean_iou_of_images(stage):.4f}"

    def as_dict(self) -> dict[str, Any]:
        """Return averages and class IoU of each stage, and the counts of the last stage, as plain data."""
        return {
            "images": self.images,
            "scored_at": self.size,
            "classes": self.taxonomy.names,
            "unknown_fraction": self.unknown_fraction,
            "stages": {
                stage: {
                    "mIoU": s.mean_iou,
                    "mIoU_interval": _bounds(self.mean_iou_interval(stage)),
                    "mIoU_mean_of_images": self.mean_iou_of_images(stage),
                    "mIoU_absent_zero": s.mean_iou_absent_zero,
                    "inverse_log_frequency_IoU": s.inverse_log_frequency_iou,
                    "frequency_weighted_IoU": s.frequency_weighted_iou,
                    "pixel_accuracy": s.pixel_accuracy,
                    "IoU": dict(zip(s.names, s.iou.tolist(), strict=True)),
                }
                for stage, s in self.scores().items()
            },
            "confusion": list(self.counts.values())[-1].tolist() if self.counts else [],
        }


def _bounds(score: Interval) -> list[float] | None:
    return None if np.isnan(score.low) else [score.low, score.high]


def _check_aspect(truth: tuple[int, ...], prediction: tuple[int, ...]) -> None:
    """Raise if one size is not the other times a factor, up to a rounded pixel."""
    factor = max(truth[0] / prediction[0], truth[1] / prediction[1])
    error = max(abs(side * factor - other) for side, other in zip(prediction, truth, strict=True))
    if error > max(1.0, factor) + 1e-9:
        raise InputError(
            "shape-aspect",
            f"the truth must have the aspect ratio of the prediction, {prediction[0]} x {prediction[1]}",
            got=f"{truth[0]} x {truth[1]}",
            hint="check that the files are paired correctly and not cropped",
        )


def write_scores(out: str | PathLike, evaluations: Iterable[ConfusionCounts]) -> list[Path]:
    """Write scores and confusion matrices, with the file names of HistoSegNet's release.

    Parameters
    ----------
    out : path
        A folder.
    evaluations : sequence of ConfusionCounts
        One for each taxonomy. Evaluations without images are left out.

    Returns
    -------
    list of pathlib.Path
        `metric_results_<stage>.csv`. For each taxonomy `<taxonomy>_IoU_metric_results.csv` (last stage) and
        `confusion_matrix[_fore]_<taxonomy>_<stage>.png`; "fore" leaves out the inferred classes.
    """
    out = Path(out)
    files: list[Path] = []
    by_stage: dict[str, dict[str, ClassScores]] = {}
    for evaluation in (e for e in evaluations if e.images):
        name = evaluation.taxonomy.name
        scores = evaluation.scores()
        for stage, stage_scores in scores.items():
            by_stage.setdefault(stage, {})[name] = stage_scores
            files += _write_matrices(out, evaluation, stage)
        files.append(out / f"{name}_IoU_metric_results.csv")
        tables.write_classes(files[-1], list(scores.values())[-1])
    return [*tables.write_ablation(out, by_stage), *files]


def _write_matrices(out: Path, evaluation: ConfusionCounts, stage: str) -> Iterator[Path]:
    taxonomy, counts = evaluation.taxonomy, evaluation.counts[stage]
    matrices = {"": (counts, list(taxonomy.names))}
    foreground = [k for k, name in enumerate(taxonomy.names) if name not in taxonomy.inferred]
    if 1 < len(foreground) < len(taxonomy):
        names = [taxonomy.names[k] for k in foreground]
        matrices["_fore"] = counts[np.ix_(foreground, foreground)], names
    for kind, (matrix, names) in matrices.items():
        path = out / f"confusion_matrix{kind}_{taxonomy.name}_{stage}.png"
        figures.write(figures.confusion_matrix(matrix, names, title=f"{taxonomy.name}, {stage}"), path)
        yield path
