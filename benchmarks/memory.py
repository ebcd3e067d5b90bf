"""Peak memory of `hsn fit` by the number of images, and of `hsn segment` by the size of one image.

    python benchmarks/memory.py fit --images 50 500 5000       # all four kinds; writes benchmarks/results/memory.json
    python benchmarks/memory.py segment --sides 4000 8000 10000
    python benchmarks/memory.py fit --kinds masks --images 50 500 --side 500

`fit`: images of drawn tissue of 1000 x 1000 px with their annotation; from the eleventh on, files are links to earlier
ones. Each run is a process of its own that trains for one epoch of two steps with a tiny net and validates on two
images, so that memory that grows comes from images. `segment`: drawn tissue, repeated, at 0.25 um/px, with all files
that the command writes. Figures are the peak resident size of the process, in MB. One image of 1000 x 1000 px is 3 MB
of pixels.
"""

import argparse
import json
import os
import platform
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
result = hsn.segment(image, model, mpp=mpp, out=out)
print(0 if result.instances is None else result.instances.max())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
DISTINCT = 10  # further images are links
VALIDATED = 2  # images; a fixed number, so that validation takes no longer with more images
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
        if k >= DISTINCT:
            link_files(folder, kind, k)
            continue
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


def link_files(folder, kind, k):
    """Link the files of image `k` to those of an earlier image."""
    first = k % DISTINCT
    for path in [path for path in folder.rglob("*") if path.stem in (str(first), f"{first}_mask")]:
        os.link(path, path.with_name(path.name.replace(str(first), str(k), 1)))


def peak_mb(script, *arguments):
    """Run a script in a process of its own; return its peak resident size in MB, and what it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    command = [sys.executable, "-c", script, json.dumps(arguments, default=str)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    *printed, peak = done.stdout.splitlines()
    return round(int(peak) / 1024), printed  # ru_maxrss is in KB on Linux


def fit_rows(kinds, counts, side):
    """Yield kind, number of images and peak memory of `hsn fit`."""
    for kind in kinds:
        options, training = OPTIONS[kind]
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "data"
                write_images(data, kind, count, side)
                training = training | {"mpp": MPP, "kind": kind, "validation": VALIDATED / count}
                yield [kind, count, peak_mb(FIT, data, Path(folder) / "mine", options, training)[0]]


def segment_rows(models, sides):
    """Yield net, side of the image, number of objects and peak memory of `hsn segment`."""
    for model in models:
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                tile = draw_tissue(0, (1024, 1024), mpp=SEGMENT_MPP).image
                repeats = -(-side // 1024)
                image = Path(folder) / "large.png"
                write(image, np.tile(tile, (repeats, repeats, 1))[:side, :side])
                peak, printed = peak_mb(SEGMENT, image, model, SEGMENT_MPP, Path(folder) / "out")
                yield [model, side, int(printed[-1]), peak]


def main():
    """Read the command line, measure and keep the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fit", "segment"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--images", nargs="+", type=int, default=(50, 500, 5000))
    parser.add_argument("--side", type=int, default=1000, help="of the images of fit, in pixels")
    parser.add_argument("--models", nargs="+", default=("nuclei-masks", "glas-masks", "glas-tags"))
    parser.add_argument("--sides", nargs="+", type=int, default=(4000, 8000, 10000))
    given = parser.parse_args()
    rows = (
        fit_rows(given.kinds, given.images, given.side)
        if given.what == "fit"
        else segment_rows(given.models, given.sides)
    )
    for row in rows:
        print(json.dumps(row), flush=True)
        page = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else make_page()
        table = page["tables"][("fit", "segment").index(given.what)]
        table["rows"] = sorted([*(r for r in table["rows"] if r[:2] != row[:2]), row], key=lambda r: r[:2])
        RESULTS.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")


def make_page():
    """Return the page of the results, with empty tables."""
    return {
        "title": "Memory",
        "summary": "Peak memory of `hsn fit` and `hsn segment`, in MB, TensorFlow included.",
        "measured": f"Python {platform.python_version()}, {platform.machine()}",
        "tables": [
            {
                "title": "Training on images of 1000 x 1000 px",
                "command": "python benchmarks/memory.py fit",
                "columns": ["annotation", "images", "peak, MB"],
                "rows": [],
                "note": FIT_NOTE,
            },
            {
                "title": "Segmentation of one image at 0.25 um/px",
                "command": "python benchmarks/memory.py segment",
                "columns": ["net", "side, px", "objects", "peak, MB"],
                "rows": [],
            },
        ],
        "findings": FINDINGS,
    }


FIT_NOTE = (
    "Rows are added one by one as they are measured. tests/supervision/test_supervision_contract.py compares the"
    " allocations for 6 and for 24 images with all methods."
)
FINDINGS = [
    "Images are decoded when they are needed and kept in a cache of fixed size. What grows are names of files and"
    " records of annotations.",
    "Images above 16 million pixels: nuclei are separated box by box, and tags are mapped at the net's scale.",
    "500 images hold more than three times what the cache holds (2 GiB), so what grows from 50 to 500 is the cache."
    " 5,000 images were not measured: the pass over the images takes about .4 s each. Clicks were not measured in this"
    " run.",
]


if __name__ == "__main__":
    main()
