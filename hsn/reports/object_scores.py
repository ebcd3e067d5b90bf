"""Scores of objects: predicted instances against true ones, per image and pooled.

Pooled scores come from the sums of counts over images. Object Dice, the Hausdorff distance and the count deviation are
means over images. With five images or more, intervals of the pooled scores are bootstrapped over images.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..annotations.mask_files import is_raster, read
from ..errors import InputError, collect_failures, printable
from ..files import atomic_write, csv_text, write_json
from ..metrics.intervals import interval_of_enough
from ..metrics.objects import Jaccard, Matching, aji, count_deviation, match, match_glas
from ..metrics.outlines import object_dice, object_hausdorff
from ..metrics.table import overlaps
from ..progress import Progress, track
from .tables import text_table

# From counts in the order of `_score`. DQ is the detection F1 at an IoU above 0.5; Dice and IoU are of pixels.
POOLED = {
    "AJI": lambda n: Jaccard(n[0], n[1]).score,
    "DQ": lambda n: Matching(*n[2:6]).f1,
    "SQ": lambda n: Matching(*n[2:6]).mean_iou,
    "PQ": lambda n: Matching(*n[2:6]).pq,
    "GlaS F1": lambda n: Matching(*n[6:9]).f1,
    "Dice": lambda n: Matching(*n[9:12]).f1,
    "IoU": lambda n: n[9] / n[9:12].sum() if n[9:12].any() else 1.0,
}

_POOLED = "all together"


class _Scored(NamedTuple):
    """Scores of one image: counts, which are summed over images, and means, which are averaged."""

    image: str
    counts: np.ndarray
    means: dict
    true: int
    found: int

    def scores(self) -> dict[str, float]:
        """Return every score of this image by name."""
        return {name: float(score(self.counts)) for name, score in POOLED.items()} | self.means


@dataclass(frozen=True)
class ObjectScores:
    """Scores of the objects of several images.

    Attributes
    ----------
    images : list of dict
        Scores per image, with the numbers of true and of found objects.
    means : dict of str to float
        Means of the scores of the images.
    pooled : dict of str to hsn.metrics.intervals.Interval
        Scores of all images together, with 95 % intervals for five images or more.
    failures : list of (str, str)
        Files that could not be scored, and the reasons.
    """

    images: list[dict]
    means: dict[str, float]
    pooled: dict
    failures: list[tuple[str, str]]

    def __str__(self) -> str:
        heading = ("image", *self.pooled, "true", "found")
        lines = [[f"{x:.4g}" if isinstance(x, float) else x for x in row.values()] for row in self.images]
        totals = [sum(row[side] for row in self.images) for side in ("true", "found")]
        for name, scores in self._summary().items():
            last = totals if name == _POOLED else ["", ""]
            lines.append([name, *(f"{score:.4g}" for score in scores.values()), *last])
        return text_table(heading, lines)

    def _summary(self) -> dict[str, dict[str, float]]:
        """Return the rows below those of the images."""
        rows = {"mean of images": self.means}
        for name, end in ((_POOLED, "value"), ("95 % from", "low"), ("95 % to", "high")):
            rows[name] = {score: getattr(interval, end) for score, interval in self.pooled.items()}
        return {name: row for name, row in rows.items() if not np.isnan(list(row.values())).all()}

    def as_dict(self) -> dict[str, Any]:
        """Return all scores as plain data."""
        pooled = {
            name: {end: value for end, value in score._asdict().items() if not np.isnan(value)}
            for name, score in self.pooled.items()
        }
        return {"images": self.images, "means": self.means, "pooled": pooled}

    def write(self, out: str | PathLike) -> list[Path]:
        """Write `objects.csv` and `objects.json`; return their paths."""
        files = [Path(out) / "objects.csv", Path(out) / "objects.json"]
        with atomic_write(files[0]) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.images[0]), restval="")
            writer.writeheader()
            writer.writerows(row | {"image": csv_text(row["image"])} for row in self.images)
            writer.writerows({"image": name} | row for name, row in self._summary().items())
        write_json(files[1], self.as_dict())
        return files


def score_objects(
    pairs: Sequence[tuple[Path, Path]], *, hausdorff: bool = False, progress: Progress | None = None
) -> ObjectScores:
    """Score pairs of files of instances.

    Parameters
    ----------
    pairs : sequence of (path, path)
        Prediction and truth.
    hausdorff : bool
        Compute the Hausdorff distance. Default: False.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    ObjectScores

    Raises
    ------
    InputError
        "no-pairs-scored" if no pair can be scored.
    """
    rows: list[_Scored] = []
    failures: list[tuple[str, str]] = []
    for found, truth in track(pairs, progress, "matching objects"):
        with collect_failures(failures, found):
            rows.append(_score(printable(found.stem), *_read(truth, found), hausdorff=hausdorff))
    if not rows:
        raise no_pairs_scored(failures)
    images = [{"image": row.image, **row.scores(), "true": row.true, "found": row.found} for row in rows]
    means = {name: float(np.mean([row[name] for row in images])) for name in rows[0].scores()}
    return ObjectScores(images, means, _pooled(rows), failures)


def no_pairs_scored(failures: Sequence[tuple[str, str]]) -> InputError:
    """Return the error for an evaluation in which no pair of files could be scored."""
    return InputError(
        "no-pairs-scored",
        "predictions and truth must be label images of equal size",
        got=f"{len(failures)} pairs that cannot be scored",
        hint="correct these files: " + "; ".join(reason.rstrip(".") for _, reason in failures[:3]),
    )


def _read(truth: Path, found: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the instances of both files; outlines take the size of the other file."""
    if not is_raster(truth) and not is_raster(found):
        raise InputError(
            "outlines-without-size",
            f"{truth} or {found} must be a label image, because outlines have no size",
            got="outlines of both",
            hint="score the folder `instances` that hsn segment writes",
        )
    if is_raster(truth):
        numbered = read(truth, None)
        return numbered, read(found, None if is_raster(found) else numbered.shape)
    numbered = read(found, None)
    return read(truth, numbered.shape), numbered


def _score(name: str, truth: np.ndarray, found: np.ndarray, *, hausdorff: bool) -> _Scored:
    """Return counts and means of one image."""
    shared = overlaps(truth, found)
    jaccard, pairs, glands = aji(shared), match(shared), match_glas(shared)
    inside, predicted = truth > 0, found > 0
    pixels = [(inside & predicted).sum(), (~inside & predicted).sum(), (inside & ~predicted).sum()]
    matched = [m.true_positives for m in (pairs, glands)]
    counts = [
        *(jaccard.shared, jaccard.union),
        *(matched[0], pairs.false_positives, pairs.false_negatives, pairs.iou_sum),
        *(matched[1], glands.false_positives, glands.false_negatives),
        *pixels,
    ]
    numbers = len(shared.truth_areas), len(shared.prediction_areas)
    deviation = count_deviation([numbers[0]], [numbers[1]])[0]
    means = {"object Dice": float(object_dice(shared)), "count deviation": float(deviation)}
    if hausdorff:
        diagonal = float(np.hypot(*truth.shape))  # if only one of the two has objects
        means["Hausdorff"] = object_hausdorff(truth, found, table=shared, one_empty_px=diagonal)
    return _Scored(name, np.array(counts, float), means, *numbers)


def _of_sum(score: Callable[[np.ndarray], float]) -> Callable[[np.ndarray], float]:
    """Return the score of counts summed over images."""
    return lambda drawn: score(drawn.sum(axis=0))


def _pooled(rows: list[_Scored]) -> dict[str, Any]:
    """Return every score over all images, with its interval if there are enough images."""
    counts = np.stack([row.counts for row in rows])  # (n, 12)
    pooled = {name: interval_of_enough(counts, _of_sum(score)) for name, score in POOLED.items()}
    return pooled | {name: interval_of_enough([row.means[name] for row in rows]) for name in rows[0].means}
