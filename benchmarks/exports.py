"""Measure CPU seconds and memory of the writers of objects, against `json.dump` of the same features.

    python benchmarks/exports.py [--objects 100000] [--large 1000000] [--out benchmarks/results/exports.json]

Each writer runs in a process of its own on polygons of 24 corners with four measurements. CPU seconds are user plus
system time of the process while it writes, without making the polygons and importing packages. `json.dump` gets the
features as one list, because it cannot stream. GeoJSON and GeoParquet also run on `--large` objects, for their memory.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
BATCH = 20_000
WRITERS = ("json.dump", "geojson", "geojson.gz", "geoparquet", "csv")
CORNERS = 24


def main():
    """Run the writers and write the JSON file."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--objects", type=int, default=100_000)
    options.add_argument("--large", type=int, default=1_000_000, help="0: not run")
    options.add_argument("--writer", choices=WRITERS, help="run one writer in this process")
    options.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "exports.json")
    chosen = options.parse_args()
    if chosen.writer:
        print(json.dumps(measure(chosen.writer, chosen.objects)))
        return
    rows = [run(writer, chosen.objects) for writer in WRITERS]
    rows += [run(writer, chosen.large) for writer in ("geojson", "geoparquet") if chosen.large]
    chosen.out.write_text(json.dumps(report(rows, chosen), indent=1) + "\n", encoding="utf-8")


def report(rows, chosen):
    """Return the table of the results; CPU time as a ratio to that of `json.dump` for as many objects."""
    base = rows[0]["cpu_s"] / rows[0]["objects"]
    table = {
        "title": "Writers of objects",
        "command": f"python benchmarks/exports.py --objects {chosen.objects} --large {chosen.large}",
        "columns": ["writer", "objects", "CPU s", "ratio to json.dump per object", "file MB", "peak memory MB"],
        "rows": [
            [
                row["writer"], row["objects"], row["cpu_s"], round(row["cpu_s"] / row["objects"] / base, 3),
                row["file_mb"], row["peak_memory_mb"],
            ]
            for row in rows
        ],
        "note": f"Polygons of {CORNERS} corners with 4 measurements, in batches of {BATCH:,}. `json.dump` cannot"
        " stream, so it holds all features; a million of them are not tried.",
    }  # fmt: skip
    return {
        "title": "Exports",
        "summary": "CPU seconds and memory of the writers of objects, each in a process of its own.",
        "measured": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "tables": [table],
        "findings": [],
    }


def run(writer, objects):
    """Run one writer in a process of its own; return its row."""
    command = [sys.executable, __file__, "--writer", writer, "--objects", str(objects)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    row = json.loads(done.stdout)
    print(row, flush=True)
    return row


def measure(writer, objects):
    """Write the objects; return CPU seconds, size and peak memory."""
    from hsn.exports.geojson import features, write_geojson
    from hsn.exports.tables import write_csv, write_geoparquet

    making = [0.0]
    made = tables(objects, making)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{writer}"
        write = {"geoparquet": write_geoparquet, "csv": write_csv}.get(writer, write_geojson)
        write(Path(folder) / f"first.{writer}", tables(10, [0.0]))  # imports the packages
        start = time.process_time()
        if writer == "json.dump":
            rows = chain.from_iterable(features(table, object_type="detection") for table in made)
            with path.open("w", encoding="utf-8") as file:
                json.dump({"type": "FeatureCollection", "features": list(rows)}, file)
        else:
            write(path, made)
        cpu = time.process_time() - start - making[0]
        size = path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1000)
    return {
        "writer": writer,
        "objects": objects,
        "cpu_s": round(cpu, 2),
        "file_mb": round(size / 1e6, 1),
        "peak_memory_mb": round(peak),
    }


def tables(objects, making):
    """Yield tables of polygons; `making[0]` adds up the CPU seconds that it takes to make them."""
    import numpy as np

    from hsn.objects.outlines import Outlines
    from hsn.objects.table import ObjectTable

    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    for first in range(0, objects, BATCH):
        start = time.process_time()
        count = min(BATCH, objects - first)
        center = rng.uniform(0, 60_000, (count, 1, 2))
        radius = rng.uniform(8, 15, (count, 1)) * (1 + 0.1 * rng.standard_normal((count, CORNERS)))
        points = np.round(center + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2))
        each = np.arange(count + 1)
        table = ObjectTable(
            {
                "id": np.arange(first + 1, first + count + 1),
                "class": np.full(count, "Nucleus"),
                "score": rng.uniform(0.5, 1, count),
                "area_um2": rng.uniform(20, 90, count),
                "eccentricity": rng.uniform(0, 1, count),
                "solidity": rng.uniform(0.8, 1, count),
                "anchor_x_px": np.arange(first, first + count),
                "anchor_y_px": np.zeros(count, int),
            },
            Outlines(points.reshape(-1, 2).astype(np.int32), each * CORNERS, each, each),
            {"Nucleus": (255, 0, 0)},
            0.25,
        ).named("benchmark")
        making[0] += time.process_time() - start
        yield table


if __name__ == "__main__":
    main()
