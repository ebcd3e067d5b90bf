"""Measure CPU seconds and memory of the table of objects on an image with 100,000 nuclei.

    python benchmarks/objects_table.py [--objects 100000] [--out benchmarks/results/objects_table.json]

The image is made of ellipses with radii of 5 to 8 px on a grid of 20 px, with random colors (seed 0), at 0.25 um/px.
The columns are all of `hsn.exports.measure.measure_objects`, with class, score, optical densities and outlines.
"""

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
STEP, HALF = 20, 8


def main():
    """Measure once and write the JSON file."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--objects", type=int, default=100_000)
    options.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "objects_table.json")
    chosen = options.parse_args()

    from hsn.exports.measure import measure_objects
    from hsn.taxonomies import NUCLEI

    instances, image, probabilities = make_image(chosen.objects)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    table = measure_objects(
        instances,
        labels=(instances > 0).astype(np.int32),
        probabilities=probabilities,
        image=image,
        taxonomy=NUCLEI,
        mpp=0.25,
    ).named("benchmark")
    cpu = time.process_time() - start
    report = {
        "objects": len(table),
        "image_px": list(instances.shape),
        "columns": len(table.names),
        "cpu_s": round(cpu, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "memory_of_input_mb": round(before / 1000),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(report)
    chosen.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def make_image(objects):
    """Return label image, RGB image and probabilities."""
    side = int(np.ceil(np.sqrt(objects)))
    rng = np.random.default_rng(0)
    instances = np.zeros((side * STEP, side * STEP), np.int32)
    rows, cols = np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1]
    for number in range(objects):
        row, col = (place * STEP + STEP // 2 for place in divmod(number, side))
        radius, stretch = rng.uniform(5, HALF), rng.uniform(0.7, 1.3)
        inside = (rows * stretch) ** 2 + (cols / stretch) ** 2 < radius**2
        instances[row - HALF : row + HALF + 1, col - HALF : col + HALF + 1][inside] = number + 1
    image = rng.integers(0, 256, (*instances.shape, 3), dtype=np.uint8)
    probability = np.where(instances > 0, np.float32(0.75), np.float32(0.25))
    return instances, image, np.stack([1 - probability, probability], axis=2)


if __name__ == "__main__":
    main()
