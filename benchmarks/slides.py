"""Whole slides: seconds, memory and invariance of `hsn segment` on a slide.

    python benchmarks/slides.py run SLIDE                       # a real slide with nuclei-masks
    python benchmarks/slides.py run SLIDE --blocks 512 1024 2048 --workers 1 2     # compares the digests of all runs
    python benchmarks/slides.py scaling --side 8000             # a drawn slide: one worker with one core, two with two
    python benchmarks/slides.py truth --width 6000 --height 5000    # a drawn slide: every nucleus and gland found once
    python benchmarks/slides.py memory --sides 5000 10000 20000     # drawn slides: memory of the largest process
    python benchmarks/slides.py patch --side 1500               # a drawn slide as a slide, and as one image
    python benchmarks/slides.py patch --before CHECKOUT         # also by an earlier version of hsn
    python benchmarks/slides.py scheduler                       # overhead of Dask; 64 workers that only wait

Each run is a process of its own, in an empty folder. `digest` is that of the label image and the table; it must be the
same for all blocks and workers. CPU seconds count the process and its workers; memory is the peak of the largest one.
The color net, a blur and a threshold on red, costs next to nothing: memory and post-processing remain. Each command
replaces its table in `benchmarks/results/slides.json`, which `results_pages.py` shows.
"""

import argparse
import json
import operator
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from hsn.data.synthetic_slide import draw_slide
from hsn.files import write_json
from hsn.images.slide import open_slide

RESULTS = Path(__file__).parent / "results" / "slides.json"
HEAD = {
    "title": "Whole slides",
    "summary": "Seconds, memory and correctness of `hsn segment` on slides.",
    "measured": "Python 3.11, TensorFlow 2.21 on two processor cores that other programs used, too: compare CPU"
    " seconds; wall times depend on the load, the mean number of programs that wanted a core",
}
RUN = """
import hashlib, json, os, resource, sys
from hsn.images.slide import open_slide
from hsn.wsi.run import Options, segment_slide
if __name__ == "__main__":
    slide, model, mpp, out, workers, block_px, warm, cores = json.loads(sys.argv[1])
    if cores:
        os.sched_setaffinity(0, range(cores))
    before = 0.0
    if warm:
        import numpy as np
        import hsn
        hsn.segment(np.full((64, 64, 3), 200, np.uint8), model)  # loads the net
        usage = resource.getrusage(resource.RUSAGE_SELF)
        before = usage.ru_utime + usage.ru_stime
    options = Options(workers=workers, block_px=block_px)
    result = segment_slide(open_slide(slide, mpp=mpp), model, out, options=options)
    digest = hashlib.sha256(result.instances[:].tobytes() if result.job.shape[0] < 9000 else b"")
    digest.update(open(result.summary["files"]["csv"], "rb").read())
    usage = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({
        "objects": result.summary["objects"],
        "tissue_mm2": result.summary["tissue_mm2"],
        "seconds": result.summary["seconds"],
        "cpu_s": round(sum(u.ru_utime + u.ru_stime for u in usage) - before, 1),
        "cpu_s_windows": result.summary["predict_cpu_s"],
        "peak_mb": result.summary["peak_memory_mb"],
        "load": round(os.getloadavg()[1], 1),
        "digest": digest.hexdigest()[:8],
    }))
"""
IMAGE = """
import json, os, resource, sys, time
import numpy as np
import hsn
if __name__ == "__main__":
    pixels, mpp, model = np.load(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    hsn.segment(pixels[:64, :64], model, mpp=mpp)  # loads the net
    usage, start = resource.getrusage(resource.RUSAGE_SELF), time.time()
    result = hsn.segment(pixels, model, mpp=mpp)
    end = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "objects": int(result.instances.max()),
        "seconds": round(time.time() - start, 1),
        "cpu_s": round(end.ru_utime + end.ru_stime - usage.ru_utime - usage.ru_stime, 1),
        "peak_mb": round(end.ru_maxrss / 1024),
    }))
"""


def run_script(script, *arguments, root=Path(__file__).parents[1]):
    """Run a script in a process of its own with the package of a checkout; return what it prints, as data."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.py"
        path.write_text(script)
        environment = os.environ | {"PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, str(path), *map(str, arguments)], capture_output=True, text=True, check=False,
            env=environment,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    numbers = json.loads(done.stdout.splitlines()[-1])
    print(arguments, numbers, flush=True)
    return numbers


def segment(slide, model, mpp, out, workers, block_px, *, warm=False, cores=None):
    """Segment a slide; return its numbers.

    `warm`: without the CPU seconds of the start of Python and of the net. `cores`: how many the run may use; None: all.
    """
    arguments = json.dumps([str(slide), str(model), mpp, str(out), workers, block_px, warm, cores])
    return {"workers": workers, "block_px": block_px} | run_script(RUN, arguments)


def color_net(folder, *, limit=155.0, channel=0, mpp=0.25, glands=False):
    """Write a net that takes dark pixels, after a blur, for objects; return its folder."""
    import keras
    from keras import layers

    from hsn import models
    from hsn.config import Normalization, PostProcess, Tiling
    from hsn.supervision import masks

    image = keras.Input((None, None, 3))
    level = layers.Conv2D(1, 3, padding="same", use_bias=False)(image)
    net = keras.Model(image, layers.Conv2D(3, 1, activation="softmax")(level))
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[:, :, channel, 0] = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    weights = np.array([[[[0.3, -0.3, 0.0]]]], np.float32)
    net.set_weights([kernel, weights, np.array([-0.3 * limit, 0.3 * limit, 0.5], np.float32)])
    numbers = {"min_area_um2": 1000.0} if glands else {"min_area_um2": 2.0, "h_um": 0.5, "grow_um": mpp}
    kind = "components" if glands else "marker_watershed"
    config = masks.Config(
        mpp=mpp,
        image_mpp=mpp,
        normalization=Normalization(mean=(0, 0, 0), std=(1, 1, 1)),
        tiling=Tiling(tile_px=1024, halo_px=None),
        postprocess=PostProcess(foreground_threshold=0.5, separation=kind, fill_holes=True, **numbers),
    )
    card = models.Card(
        name=Path(folder).name, method="masks", classes=config.classes, thresholds=(0.5,) * 3, mpp=mpp,
        taxonomies=tuple(taxonomy.name for taxonomy in config.taxonomies), source="a benchmark",
        normalization=models.Normalization(mean=config.normalization.mean, std=config.normalization.std),
    )  # fmt: skip
    models.save(folder, net, card, config.to_dict())
    return folder


def measure_run(options, folder):
    """Run a slide with all numbers of workers and sizes of blocks."""
    rows = []
    for workers in options.workers:
        for block_px in options.blocks:
            out = folder / f"{workers} {block_px}"
            numbers = segment(options.slide, options.model, options.mpp, out, workers, block_px)
            rows.append([numbers[name] for name in _RUN_COLUMNS])
    name, model = Path(options.slide).name, Path(options.model).name
    return {
        "title": f"{name} with {model}",
        "command": f"python benchmarks/slides.py run {name} --model {model}",
        "columns": [*_RUN_COLUMNS],
        "rows": rows,
        "note": "`digest` is that of the label image and the table of objects.",
    }


def measure_scaling(options, folder):
    """Run a slide with one worker that has one core, and with two workers that have one core each."""
    path = folder / "drawn.svs"
    draw_slide(path, (options.side, options.side), side=1024)
    runs = [
        segment(path, options.model, None, folder / str(workers), workers, options.blocks[0], cores=workers)
        for workers in options.workers
    ]
    columns = ("workers", "objects", "tissue_mm2", "seconds", "cpu_s", "load", "digest")
    return {
        "title": "Workers with one core each",
        "command": f"python benchmarks/slides.py scaling --side {options.side}",
        "columns": [*columns, "throughput"],
        "rows": [[*(run[name] for name in columns), round(runs[0]["seconds"] / run["seconds"], 2)] for run in runs],
        "note": f"A drawn slide of {options.side:,} x {options.side:,} px at 0.25 um/px with {options.model}, blocks of"
        f" {options.blocks[0]} px. `throughput` is that of one worker with one core times the number. The seconds"
        " include the start of Python and of the net.",
    }  # fmt: skip


_RUN_COLUMNS = (
    "workers", "block_px", "objects", "tissue_mm2", "seconds", "cpu_s", "cpu_s_windows", "peak_mb", "load", "digest"
)  # fmt: skip


def measure_truth(options, folder):
    """Count the whole nuclei and glands of a drawn slide that have exactly one object."""
    drawn = draw_slide(folder / "drawn.svs", (options.height, options.width), side=2048)
    nets = {"nuclei": {}, "glands": {"limit": 168.0, "channel": 1, "glands": True}}
    rows = []
    for kind, changes in nets.items():
        model = color_net(folder / kind, **changes)
        for block_px in options.blocks:
            out = folder / f"{kind} {block_px}"
            numbers = segment(drawn.path, model, None, out, 1, block_px)
            whole, once, largest = score(drawn, getattr(drawn, kind), out)
            columns = ("objects", "tissue_mm2", "cpu_s", "peak_mb", "digest")
            rows.append([kind, block_px, whole, once, largest, *(numbers[name] for name in columns)])
    return {
        "title": "A drawn slide: every object once",
        "command": f"python benchmarks/slides.py truth --width {options.width} --height {options.height}",
        "columns": ["kind", "block_px", "drawn", "found once", "largest px", "objects", "tissue_mm2", "cpu_s",
                    "peak_mb", "digest"],
        "rows": rows,
        "note": f"{options.width} x {options.height} px at 0.25 um/px with the color net. `drawn`: whole objects inside"
        " of the tissue. `found once`: exactly one object covers more than half of it, and no other more than 5 %."
        " `largest px`: longer side of the largest drawn object. In glands the objects may hold nuclei of the stroma.",
    }  # fmt: skip


def score(drawn, torus, out):
    """Return the number of whole objects of a drawn slide, how many were found once, and the largest side in pixels."""
    import zarr

    height, width = drawn.shape
    found = zarr.open_array(Path(out) / "store.zarr" / "objects", mode="r")[:]
    # Numbers of the torus repeat: objects of the truth are components of one number.
    truth = drawn.truth(torus, 0, 0, height, width)
    components, _ = ndimage.label(truth)
    tissue = ndimage.binary_erosion(drawn.tissue(0, 0, height, width), iterations=3)
    whole = once = largest = 0
    for number, box in enumerate(ndimage.find_objects(components), 1):
        inside = components[box] == number
        at_border = any(
            part.start == 0 or part.stop == side for part, side in zip(box, drawn.shape, strict=True)
        )
        if at_border or not tissue[box][inside].all():
            continue
        hits = np.bincount(found[box][inside])
        hits[0] = 0
        highest = np.sort(hits)[::-1]
        second = highest[1] if len(highest) > 1 else 0
        whole += 1
        once += bool(highest[0] > inside.sum() / 2 and second <= 0.05 * inside.sum())
        largest = max(largest, *inside.shape)
    return whole, once, largest


def measure_memory(options, folder):
    """Run drawn slides of several sizes with a net at 0.5 um/px."""
    model, rows = color_net(folder / "color", mpp=0.5), []
    for side in options.sides:
        path = folder / f"{side}.svs"
        draw_slide(path, (side, side), side=1024)
        numbers = segment(path, model, None, folder / f"{side}", 1, options.blocks[0])
        columns = ("objects", "tissue_mm2", "seconds", "cpu_s", "peak_mb", "load")
        rows.append([f"{side:,} x {side:,}", *(numbers[name] for name in columns)])
        path.unlink()
    return {
        "title": "Memory by size of the slide",
        "command": f"python benchmarks/slides.py memory --sides {' '.join(map(str, options.sides))}",
        "columns": ["pixels", "objects", "tissue_mm2", "seconds", "cpu_s", "peak_mb", "load"],
        "rows": rows,
        "note": "Drawn slides at 0.25 um/px, the color net at 0.5 um/px, one process, blocks of"
        f" {options.blocks[0]} px.",
    }


def measure_patch(options, folder):
    """Segment the same pixels as a slide and as one image, also by an earlier version of hsn with its own net."""
    path, pixels = options.slide or folder / "drawn.svs", folder / "drawn.npy"
    if not options.slide:
        draw_slide(path, (options.side, options.side), side=1024)
    opened = open_slide(path)
    np.save(pixels, opened.read_level(0, 0, *opened.dimensions[::-1]))
    nets = [options.model]
    if options.before:
        nets.append((options.before / "pretrained" / options.model).absolute())
    rows = []
    for net in nets:
        name = "the shipped net" if net == options.model else "the net of the earlier version"
        slide = segment(path, net, None, folder / f"slide {len(rows)}", 1, 2048, warm=True)
        rows.append([name, "slide", slide])
        rows.append([name, "one image", run_script(IMAGE, pixels, opened.mpp, net)])
        if net != options.model:
            earlier = run_script(IMAGE, pixels, opened.mpp, net, root=options.before)
            rows.append([name, "one image, by the earlier version", earlier])
    area = np.prod(opened.dimensions) * (opened.mpp / 1000) ** 2
    what = f"--slide {options.slide.name}" if options.slide else f"--side {options.side}"
    before = " --before CHECKOUT" if options.before else ""
    columns = ("objects", "seconds", "cpu_s", "cpu_s_windows", "peak_mb")
    return {
        "title": "A slide against one image of the same pixels",
        "command": f"python benchmarks/slides.py patch {what}{before}",
        "columns": ["net", "as", *columns, "cpu_s per mm2"],
        "rows": [
            [*row[:2], *(row[2].get(name, "") for name in columns), round(row[2]["cpu_s"] / area, 1)]
            for row in rows
        ],
        "note": "One process, without the start of Python and of the net. The slide's CPU seconds include the tissue"
        " mask, measurements and files; its glass is left out. The image is only segmented. The earlier version is a"
        " checkout of the first edition, commit 24b16dc.",
    }  # fmt: skip


def measure_scheduler(options, folder):
    """Measure the overhead of a task, and 64 workers that only wait."""
    import dask

    from hsn.wsi.cluster import DaskExecutor
    from hsn.wsi.executors import Serial, Task

    rows = []
    dask.config.set({"distributed.admin.tick.limit": "60s"})
    cases = [("this process", None, 1, 2000, 0.0), ("Dask", 2, 2, 2000, 0.0), ("Dask", 64, 64, 640, 1.0)]
    for name, workers, parallel, count, seconds in cases:
        tasks = [
            Task(str(k), *((time.sleep, (seconds,)) if seconds else (operator.mul, (k, k))))
            for k in range(count)
        ]
        described = {"kind": "local", "workers": workers, "options": {"processes": False}}
        with Serial() if workers is None else DaskExecutor(cluster=described) as executor:
            list(executor.run(tasks[: 2 * parallel]))  # all workers have joined
            start, cpu = time.perf_counter(), time.process_time()
            done = len(list(executor.run(tasks)))
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        ideal = done * seconds / parallel
        rows.append(
            [name, parallel, done, seconds, round(wall, 2), round(ideal, 2), round(1000 * cpu / done, 2)]
        )
        print(rows[-1], flush=True)
    return {
        "title": "Overhead of the scheduler",
        "command": "python benchmarks/slides.py scheduler",
        "columns": ["executor", "workers", "tasks", "seconds each", "seconds", "ideal", "CPU ms per task"],
        "rows": rows,
        "note": "Workers of Dask are threads of one process here, and the CPU time is that of the scheduler, the client"
        " and all workers. A window of `nuclei-masks` takes some 3 CPU seconds.",
    }


COMMANDS = {
    "run": measure_run,
    "scaling": measure_scaling,
    "truth": measure_truth,
    "memory": measure_memory,
    "patch": measure_patch,
    "scheduler": measure_scheduler,
}


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        command.add_argument("--model", default="nuclei-masks")
        command.add_argument("--mpp", type=float)
        command.add_argument("--workers", type=int, nargs="+", default=[1, 2] if name == "scaling" else [1])
        command.add_argument(
            "--blocks", type=int, nargs="+", default=[1024] if name in ("memory", "scaling") else [2048]
        )
    commands.choices["run"].add_argument("slide")
    commands.choices["truth"].add_argument("--width", type=int, default=6000)
    commands.choices["truth"].add_argument("--height", type=int, default=5000)
    commands.choices["memory"].add_argument("--sides", type=int, nargs="+", default=[5000, 10000])
    commands.choices["patch"].add_argument("--side", type=int, default=1500)
    commands.choices["scaling"].add_argument("--side", type=int, default=8000)
    commands.choices["patch"].add_argument(
        "--slide", type=Path, help="a slide of at most 16 Mpx, not a drawn one"
    )
    commands.choices["patch"].add_argument("--before", type=Path, help="checkout of an earlier version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = COMMANDS[options.command](options, Path(folder))
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    tables = {table["title"]: table for table in known.get("tables", [])} | {table["title"]: table}
    write_json(RESULTS, HEAD | {"tables": list(tables.values()), "findings": known.get("findings", [])})


if __name__ == "__main__":
    main()
