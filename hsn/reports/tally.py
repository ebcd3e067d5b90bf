"""Tallies: pixels counted over many images, in one taxonomy and for each stage, then scored and written once."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..annotations.colors import resize_labels
from ..errors import refuse
from ..metrics.classes import class_scores
from ..metrics.counts import confusion
from ..taxonomies import Taxonomy
from . import figures, tables

SIZES = ("image", "full")


@dataclass
class Tally:
    """Counts of true and predicted pixels.

    Attributes
    ----------
    taxonomy : Taxonomy
    size : {"image", "full"}
        Truth is shrunk to the size of the prediction, as HistoSegNet's release scores; or the prediction is
        enlarged to that of the truth, as its successor study does. Both by nearest neighbour.
    unlisted : {"ignore", "false_alarms"}
        What becomes of pixels whose truth is no class of the taxonomy; see `hsn.metrics.counts.confusion`.
    counts : dict of str to int64 (C, C) or (C + 1, C)
        By stage.
    pixels : int64 (C,)
        True pixels at the truth's own size.
    images : int

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> tally = Tally(GLAS)
    >>> tally.add(np.array([[0, 1]]), {"CRF": np.array([[0, 1]])})
    >>> tally.scores()["CRF"].mean_iou
    1.0
    """

    taxonomy: Taxonomy
    size: str = "image"
    unlisted: str = "ignore"
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    pixels: np.ndarray | None = None
    images: int = 0

    def __post_init__(self):
        if self.size not in SIZES:
            refuse("there is no such size to score at", expected=f"one of {', '.join(SIZES)}",
                   received=repr(self.size), remedy="choose one of the two")  # fmt: skip

    def add(self, truth, predictions, *, known=None):
        """Count one image.

        Parameters
        ----------
        truth : int array, shape (h, w)
        predictions : dict of str to int array, shape (H, W)
            Labels by stage.
        known : bool array, shape (h, w), optional
        """
        known = np.ones(truth.shape, bool) if known is None else known
        each = {stage: self._count(truth, known, labels) for stage, labels in predictions.items()}
        for stage, counts in each.items():
            self.counts[stage] = self.counts.get(stage, 0) + counts
        pixels = np.bincount(truth[known], minlength=len(self.taxonomy))
        self.pixels = pixels if self.pixels is None else self.pixels + pixels
        self.images += 1

    def _count(self, truth, known, labels):
        if self.size == "image":
            truth, known = (resize_labels(x, labels.shape) for x in (truth, known))
        else:
            labels = resize_labels(labels, truth.shape)
        return confusion(truth, labels, len(self.taxonomy), known=known, unlisted=self.unlisted)

    def scores(self):
        """Scores by stage: dict of str to `hsn.metrics.classes.ClassScores`."""
        names = self.taxonomy.names
        return {stage: class_scores(n, names, pixels=self.pixels) for stage, n in self.counts.items()}

    def as_dict(self):
        """Everything as plain data: by stage, averages and the IoU of each class; counts of the last stage."""
        scores = self.scores()
        return {
            "images": self.images,
            "scored_at": self.size,
            "classes": self.taxonomy.names,
            "stages": {
                stage: {
                    "mIoU": s.mean_iou,
                    "mIoU_absent_zero": s.mean_iou_absent_zero,
                    "inverse_log_frequency_IoU": s.inverse_log_frequency_iou,
                    "frequency_weighted_IoU": s.frequency_weighted_iou,
                    "pixel_accuracy": s.pixel_accuracy,
                    "IoU": dict(zip(s.names, s.iou.tolist(), strict=True)),
                }
                for stage, s in scores.items()
            },
            "confusion": list(self.counts.values())[-1].tolist() if self.counts else [],
        }


def write(out, tallies):
    """Write scores and confusion under the names of HistoSegNet's release.

    Parameters
    ----------
    out : path
        A folder.
    tallies : sequence of Tally
        One per taxonomy; those without any image are left out.

    Returns
    -------
    list of pathlib.Path
        `metric_results_<stage>.csv`; per taxonomy `<taxonomy>_IoU_metric_results.csv` (last stage) and
        `confusion_matrix[_fore]_<taxonomy>_<stage>.png`, where "fore" leaves out the inferred classes.
    """
    out, files, by_stage = Path(out), [], {}
    for tally in (t for t in tallies if t.images):
        name = tally.taxonomy.name
        scores = tally.scores()
        for stage, each in scores.items():
            by_stage.setdefault(stage, {})[name] = each
            files += _pictures(out, tally, stage)
        files.append(out / f"{name}_IoU_metric_results.csv")
        tables.write_classes(files[-1], list(scores.values())[-1])
    return [*tables.write_ablation(out, by_stage), *files]


def _pictures(out, tally, stage):
    taxonomy, counts = tally.taxonomy, tally.counts[stage]
    views = {"": (counts, taxonomy.names)}
    seen = [k for k, name in enumerate(taxonomy.names) if name not in taxonomy.inferred]
    if 1 < len(seen) < len(taxonomy):
        views["_fore"] = counts[np.ix_(seen, seen)], [taxonomy.names[k] for k in seen]
    for kind, (shown, names) in views.items():
        path = out / f"confusion_matrix{kind}_{taxonomy.name}_{stage}.png"
        figures.write(figures.confusion_picture(shown, names, title=f"{taxonomy.name}, {stage}"), path)
        yield path
