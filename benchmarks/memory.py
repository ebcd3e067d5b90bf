"""Peak memory of `hsn fit` by the number of images, and of `hsn segment` by the size of one image.

    python benchmarks/memory.py fit --images 50 500            # all four kinds; writes benchmarks/results/memory.json
    python benchmarks/memory.py segment --sides 4096 8192 10000
    python benchmarks/memory.py fit --kinds masks --images 50 500 --side 500

Images are drawn tissue of 1000 x 1000 px, written with their annotation; each run is a process of its own that trains
for one epoch of two steps with a tiny net, so memory that grows comes from images. Figures are the peak resident size
of that process, in MB. One image of 1000 x 1000 px is 3 MB of pixels.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hsn.annotations import points as point_files
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.data.synthetic import draw_tissue
from hsn.images.read import write

RESULTS = Path(__file__).parent / "results" / "memory.json"
KINDS = ("masks", "points", "tags", "selected")
MPP, SEGMENT_MPP = 0.5, 0.25
# Each measured process; the epoch is cut to two steps, so that it takes no longer with more images.
FIT = """
import json, resource, sys
from dataclasses import replace
from hsn.workflows.fitting import prepare
data, out, options, training = json.loads(sys.argv[1])
ready = prepare(data, {}, options, out=out, epochs=1, batch_size=2, **training)
config = ready.setup.config
if config.METHOD != "tags":  # an epoch of tags has all patches
    ready = replace(ready, setup=replace(ready.setup, config=config.replace(**{"train.steps": 2})))
ready.run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SEGMENT = """
import json, resource, sys
import hsn
image, model, mpp, out = json.loads(sys.argv[1])
hsn.segment(image, model, mpp=mpp, out=out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
OPTIONS = {  # by kind: options of the method, and of every training
    "masks": ({}, {"net": "unet", "width": 2}),
    "points": ({"complete": True}, {"width": 2}),
    "tags": ({}, {"net": "m4", "width": 0.05}),
    "selected": ({"synthetic": 0, "rounds": 0}, {"net": "unet", "width": 2}),
}


def write_images(folder, kind, count, side):
    """Write `count` images of drawn tissue with their annotation, as `hsn fit` finds them."""
    drawn = draw_tissue(0, (side, side), mpp=MPP)
    for k in range(count):
        image = np.roll(drawn.image, 7 * k, axis=1)
        instances = np.roll(drawn.instances, 7 * k, axis=1)
        if kind == "tags":
            write(folder / "ab"[k % 2] / f"{k}.png", image)
        elif kind == "selected":
            write(folder / "patches" / f"{k}.png", image)
            write_labels(folder / "labels" / f"{k}.png", instances)
        else:
            write(folder / f"{k}.png", image)
        if kind == "masks":
            write_labels(folder / f"{k}_mask.png", instances)
        if kind == "points":
            point_files.write(folder / f"{k}.geojson", points_from_instances(instances, place="inside"))


def peak_mb(script, *arguments):
    """Run a script in a process of its own and return its peak resident size in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    command = [sys.executable, "-c", script, json.dumps(arguments, default=str)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return round(int(done.stdout.split()[-1]) / 1024)  # ru_maxrss is in KB on Linux


def fit_rows(kinds, counts, side):
    """Yield kind, number of images and peak memory of `hsn fit`."""
    for kind in kinds:
        options, training = OPTIONS[kind]
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "data"
                write_images(data, kind, count, side)
                training = training | {"mpp": MPP, "kind": kind}
                yield [kind, count, peak_mb(FIT, data, Path(folder) / "mine", options, training)]


def segment_rows(models, sides):
    """Yield net, side of the image and peak memory of `hsn segment`."""
    for model in models:
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                tile = draw_tissue(0, (1024, 1024), mpp=SEGMENT_MPP).image
                repeats = -(-side // 1024)
                image = Path(folder) / "large.png"
                write(image, np.tile(tile, (repeats, repeats, 1))[:side, :side])
                yield [model, side, peak_mb(SEGMENT, image, model, SEGMENT_MPP, Path(folder) / "out")]


def main():
    """Read the command line, measure and keep the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "segment"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--images", nargs="+", type=int, default=(50, 500))
    parser.add_argument("--side", type=int, default=1000, help="of the images of fit, in pixels")
    parser.add_argument("--models", nargs="+", default=("nuclei-masks", "glas-tags"))
    parser.add_argument("--sides", nargs="+", type=int, default=(4096, 8192, 10000))
    given = parser.parse_args()
    rows = (
        fit_rows(given.kinds, given.images, given.side)
        if given.what == "fit"
        else segment_rows(given.models, given.sides)
    )
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for row in rows:
        print(json.dumps(row), flush=True)
        kept = [r for r in known.get(given.what, []) if r[:2] != row[:2]]
        known[given.what] = [*kept, row]
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
