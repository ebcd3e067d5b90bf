"""Memory of `hsn fit` on a large study of mixed annotation, and the seconds until it trains.

    python benchmarks/mixed_scale.py --images 500 --side 2000 --json benchmarks/results/mixed_scale.json

Drawn tissue; from the eleventh image on, files are links to earlier ones. Of 500 images 6 have outlines, 40 have some
clicks, 80 have tags, and 374 have nothing. A process of its own trains until the first step is done. Seconds are those
between the first reports of the stages of the work; the passes over all images are "reading images".
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from memory import peak_mb

from hsn.annotations import qupath
from hsn.annotations.annotation import Annotation, Point
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data.synthetic import draw_tissue
from hsn.images.read import write
from hsn.projects.study import ANNOTATIONS, MASKS, TAGS, new_study

DISTINCT, MPP = 10, 0.5
SHARES = {"masks": 0.012, "points": 0.08, "tags": 0.16}  # of the images; the rest has no annotation
CHILD = """
import json, resource, sys, time
import hsn
from hsn.progress import Cancelled
study, out, mpp = json.loads(sys.argv[1])
begin, stages = time.monotonic(), []

def watch(event):
    now = time.monotonic() - begin
    if not stages or stages[-1][0] != event.stage or event.done == 0:
        stages.append([event.stage, now])
    if event.stage == "training" and event.done >= 1:
        stages.append(["first step done", now])
        raise Cancelled

try:
    hsn.fit(study, mpp=mpp, out=out, epochs=1, width=2, progress=watch)
except Cancelled:
    pass
print(json.dumps(stages))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def kinds_of_images(count):
    """Return the kind of annotation of each image."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(2, round(share * count)))]
    return kinds + ["nothing"] * (count - len(kinds))


def write_study(folder, count, side):
    """Write a study of `count` images of drawn tissue with mixed annotation."""
    drawn = draw_tissue(0, (side, side), mpp=MPP)
    images = folder / "images"
    images.mkdir(parents=True)
    for k in range(count):
        if k < DISTINCT:
            write(images / f"{k}.png", np.roll(drawn.image, 7 * k, axis=1))
        else:
            os.link(images / f"{k % DISTINCT}.png", images / f"{k}.png")
    study = new_study(folder / "study", images=[images], classes={"Nucleus": "object"}, mpp=MPP)
    tags = ["file,Nucleus"]
    for k, kind in enumerate(kinds_of_images(count)):
        instances = np.roll(drawn.instances, 7 * (k % DISTINCT), axis=1)
        if kind == "masks":
            write_labels(study.folder / MASKS / f"{k}.png", instances)
        if kind == "points":
            clicks = sample_points(points_from_instances(instances, place="inside"), 0.1, rng_or_seed=k)
            points = tuple(Point(*click, "Nucleus") for click in clicks.tolist())
            qupath.write(study.folder / ANNOTATIONS / f"{k}.geojson", Annotation(points=points))
        if kind == "tags":
            tags.append(f"{k}.png,1")
    (study.folder / TAGS).write_text("\n".join(tags) + "\n", encoding="utf-8")
    return study.folder


def measure(count, side):
    """Return the peak memory in MB and the seconds at the first report of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        study = write_study(Path(folder), count, side)
        peak, (stages,) = peak_mb(CHILD, study, Path(folder) / "mine", MPP)
        return {"stages": json.loads(stages), "peak_mb": peak}


def main():
    """Read the command line, measure, and keep the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=(50, 500))
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for count in given.images:
        rows.append({"images": count, "side_px": given.side, **measure(count, given.side)})
        print(json.dumps(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"command": f"python benchmarks/mixed_scale.py --images"
                                          f" {' '.join(map(str, given.images))} --side {given.side}",
                                          "rows": rows}, indent=1) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
