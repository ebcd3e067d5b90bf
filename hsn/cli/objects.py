"""`hsn evaluate --instances`: how well numbered objects agree with numbered truth, image by image and pooled.

Counts of all images are added before a pooled score is made of them. Object Dice, the Hausdorff distance and the
deviation of counts do not add up: they are means over images. Intervals are bootstrapped over images.
"""

import csv
import json
from typing import NamedTuple

import numpy as np

from ..annotations.mask_files import is_raster, read
from ..errors import InputError, refuse
from ..files import atomic_write
from ..metrics.intervals import interval
from ..metrics.objects import Jaccard, Matching, aji, count_deviation, match, match_glas
from ..metrics.outlines import object_dice, object_hausdorff
from ..metrics.table import overlaps
from .console import plain, progress, table

# Of counts in the order of `_one`. DQ is the detection F1 at an IoU above 0.5; Dice and IoU are of pixels.
POOLED = {
    "AJI": lambda n: Jaccard(n[0], n[1]).score,
    "DQ": lambda n: Matching(*n[2:6]).f1,
    "SQ": lambda n: Matching(*n[2:6]).mean_iou,
    "PQ": lambda n: Matching(*n[2:6]).pq,
    "GlaS F1": lambda n: Matching(*n[6:9]).f1,
    "Dice": lambda n: Matching(*n[9:12]).f1,
    "IoU": lambda n: n[9] / n[9:12].sum() if n[9:12].any() else 1.0,
}


class Scored(NamedTuple):
    """One image: what adds up over images, and what does not."""

    image: str
    counts: np.ndarray
    means: dict
    true: int
    found: int

    def scores(self):
        """Every score of this image by name."""
        return {name: float(score(self.counts)) for name, score in POOLED.items()} | self.means


def evaluate(together, *, out, hausdorff):
    """Score pairs of files (prediction, truth); returns data, text and failures, and writes CSV and JSON."""
    rows, failures = [], []
    with progress() as bar:
        for found, truth in bar.track(together, description="matching objects"):
            try:
                rows.append(_one(found.stem, *_read(truth, found), hausdorff=hausdorff))
            except InputError as error:
                failures.append((str(found), str(error)))
    if not rows:
        refuse("no image could be scored", expected="label images of equal size", received=f"{len(failures)} bad",
               remedy="mend the files named: " + "; ".join(why for _, why in failures[:3]))  # fmt: skip
    pooled = _pooled(rows)
    images = [{"image": r.image, **r.scores(), "true": r.true, "found": r.found} for r in rows]
    files = [out / "objects.csv", out / "objects.json"]
    data = {"images": images, "pooled": {name: each._asdict() for name, each in pooled.items()}}
    _write(files, images, pooled, data)
    heading = ("image", *pooled, "true", "found")
    lines = [[f"{x:.4g}" if isinstance(x, float) else x for x in each.values()] for each in images]
    total = (sum(r.true for r in rows), sum(r.found for r in rows))
    lines.append(["all together", *(f"{each.value:.4g}" for each in pooled.values()), *total])
    lines += [
        [what, *(f"{getattr(each, end):.4g}" for each in pooled.values()), "", ""]
        for what, end in (("95 % from", "low"), ("95 % to", "high"))
    ]
    text = "\n".join([table(heading, lines), "", *(f"wrote {path}" for path in files)])
    return data | {"files": files}, text, failures


def _read(truth, found):
    """Objects of both files; outlines are filled at the size of the other side's label image."""
    if not is_raster(truth) and not is_raster(found):
        refuse(f"{truth} and {found} are both outlines, which have no size", expected="a label image of either",
               received="none", remedy="score what `hsn segment` wrote into `instances`")  # fmt: skip
    if is_raster(truth):
        numbered = read(truth, None)
        return numbered, read(found, None if is_raster(found) else numbered.shape)
    numbered = read(found, None)
    return read(truth, numbered.shape), numbered


def _one(name, truth, found, *, hausdorff):
    """Counts and means of one image."""
    shared = overlaps(truth, found)
    jaccard, pairs, glands = aji(shared), match(shared), match_glas(shared)
    inside, told = truth > 0, found > 0
    pixels = [(inside & told).sum(), (~inside & told).sum(), (inside & ~told).sum()]
    matched = [each.true_positives for each in (pairs, glands)]
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
        diagonal = float(np.hypot(*truth.shape))  # where just one side has objects
        means["Hausdorff"] = object_hausdorff(truth, found, table=shared, one_empty_px=diagonal)
    return Scored(name, np.array(counts, float), means, *numbers)


def _pooled(rows):
    """Every score over all images, with its interval."""
    counts = np.stack([row.counts for row in rows])  # (n, 12)
    told = {
        name: interval(counts, lambda drawn, score=score: score(drawn.sum(axis=0)))
        for name, score in POOLED.items()
    }
    return told | {name: interval([row.means[name] for row in rows]) for name in rows[0].means}


def _write(files, images, pooled, data):
    """The table as CSV, the pooled scores and their intervals last; and all of it as JSON."""
    with atomic_write(files[0]) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(images[0]))
        writer.writeheader()
        writer.writerows(images)
        for what, end in (("all together", "value"), ("95 % from", "low"), ("95 % to", "high")):
            writer.writerow({"image": what} | {name: getattr(each, end) for name, each in pooled.items()})
    with atomic_write(files[1]) as temporary:
        temporary.write_text(json.dumps(plain(data), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
