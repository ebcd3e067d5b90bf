"""Whole slides: seconds, memory and invariance of `hsn segment` on a slide.

    python benchmarks/slides.py run SLIDE                       # a real slide with nuclei-masks; adds to slides.json
    python benchmarks/slides.py drawn --width 6000 --height 5000    # a drawn slide with truth
    python benchmarks/slides.py run SLIDE --blocks 512 1024 2048 --workers 1 2     # compares the digests of all runs

Each run is a process of its own, in an empty folder. `digest` is that of the label image and the table; it must be the
same for all blocks and workers. CPU seconds count this process and its workers; memory is the peak of the largest one.
The drawn slide: how many nuclei that lie whole in the tissue have exactly one object that covers more than half.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from hsn.data.synthetic_slide import draw_slide
from hsn.files import write_json

RESULTS = Path(__file__).parent / "results" / "slides.json"
RUN = """
import hashlib, json, os, resource, sys
from hsn.images.slide import open_slide
from hsn.wsi.run import Options, segment_slide
if __name__ == "__main__":
    slide, model, mpp, out, workers, block_px = json.loads(sys.argv[1])
    options = Options(workers=workers, block_px=block_px)
    result = segment_slide(open_slide(slide, mpp=mpp), model, out, options=options)
    digest = hashlib.sha256(result.instances[:].tobytes())
    digest.update(open(result.summary["files"]["csv"], "rb").read())
    usage = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    windows = [result.job.run.marker("windows", key) for key in result.job.run.finished("windows")]
    print(json.dumps({
        "objects": result.summary["objects"],
        "tissue_mm2": result.summary["tissue_mm2"],
        "seconds": result.summary["seconds"],
        "cpu_s": round(sum(u.ru_utime + u.ru_stime for u in usage), 1),
        "cpu_s_windows": round(sum(marker["cpu_s"] for marker in windows), 1),
        "windows": len(windows),
        "peak_mb": max(u.ru_maxrss for u in usage) // 1000,
        "digest": digest.hexdigest()[:16],
    }))
"""


def run(slide, model, mpp, out, workers, block_px):
    """Segment a slide in a process of its own; return its numbers."""
    script = Path(out).parent / "run.py"
    script.write_text(RUN)
    arguments = json.dumps([str(slide), model, mpp, str(out), workers, block_px])
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, str(script), arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    numbers = json.loads(done.stdout.splitlines()[-1])
    per_mm2 = round(numbers["cpu_s"] / numbers["tissue_mm2"], 1) if numbers["tissue_mm2"] else None
    return {"workers": workers, "block_px": block_px, **numbers, "cpu_s_per_mm2": per_mm2}


def compare(slide, options):
    """Run a slide with all numbers of workers and sizes of blocks."""
    rows = []
    for workers in options.workers:
        for block_px in options.blocks:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "out"
                rows.append(run(slide, options.model, options.mpp, out, workers, block_px))
                print(rows[-1], flush=True)
                if getattr(options, "truth", None) is not None:
                    rows[-1] |= score(options.truth, out)
    return {
        "slide": Path(slide).name,
        "model": Path(options.model).name,
        "same_result": len({row["digest"] for row in rows}) == 1,
        "runs": rows,
    }


def score(drawn, out):
    """Count the whole nuclei of a drawn slide that have exactly one object which covers more than half of them."""
    import zarr

    height, width = drawn.shape
    found = zarr.open_array(Path(out) / "store.zarr" / "objects", mode="r")[:]
    components, _ = ndimage.label(drawn.truth(drawn.nuclei, 0, 0, height, width))
    tissue = ndimage.binary_erosion(drawn.tissue(0, 0, height, width), iterations=3)
    whole = once = 0
    for number, box in enumerate(ndimage.find_objects(components), 1):
        inside = components[box] == number
        if tissue[box][inside].all():
            hits = np.bincount(found[box][inside])
            hits[0] = 0
            whole += 1
            once += bool(np.count_nonzero(hits) == 1 and hits.max() > inside.sum() / 2)
    return {"whole_nuclei": whole, "found_once": once}


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "drawn"):
        command = commands.add_parser(name)
        command.add_argument("--model", default="nuclei-masks")
        command.add_argument("--mpp", type=float)
        command.add_argument("--workers", type=int, nargs="+", default=[1])
        command.add_argument("--blocks", type=int, nargs="+", default=[2048])
    commands.choices["run"].add_argument("slide")
    commands.choices["drawn"].add_argument("--width", type=int, default=6000)
    commands.choices["drawn"].add_argument("--height", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.command == "run":
            slide = options.slide
        else:
            slide = Path(folder) / f"drawn-{options.width}x{options.height}.svs"
            options.truth = draw_slide(slide, (options.height, options.width))
        result = compare(slide, options)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    write_json(RESULTS, known | {f"{result['slide']} {result['model']}": result})


if __name__ == "__main__":
    main()
