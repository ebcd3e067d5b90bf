"""Measure how long `hsn segment` takes on one small image from process start, against an older checkout.

    python benchmarks/first_segment.py OLD_CHECKOUT [--repeats 5] [--out benchmarks/results/first_segment.json]

Every command runs in a process of its own, old and new in turn, so that both meet the same load. Both run the nets of
the old checkout. The rows "shipped nets" are not a comparison of code: each checkout runs its own nets. Without JAX
means that JAX cannot be imported, as in an installation for users: TensorFlow imports it for a converter if it can.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "img" / "01_tuning_patch" / "made_1.png"
MAIN = "import sys; {hide}from hsn.cli import main; main()"
MODELS = ("glas-tags", "nuclei-masks")


def main():
    """Run all commands and write the JSON file."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("old", type=Path, help="checkout to compare with")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "first_segment.json")
    options.add_argument("--only", default="", help="part of the names of the commands to run")
    chosen = options.parse_args()
    checkouts = {"old": chosen.old.resolve(), "new": ROOT}
    rows = []
    for name, arguments, hide in commands(checkouts["old"]):
        if chosen.only not in name:
            continue
        times = {version: [] for version in checkouts}
        for repeat in range(chosen.repeats + 1):
            for version, root in checkouts.items():
                measured = run(root, arguments, hide)
                if repeat:  # the first run warms the disk and writes compiled Python files
                    times[version].append(measured)
        rows.append(row(name, times))
        print(rows[-1]["command"], "ratio of medians:", rows[-1]["ratio"], flush=True)
    report = {
        "image": f"{IMAGE.name}, 224 x 224 px",
        "repeats": chosen.repeats,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "revisions": {version: revision(root) for version, root in checkouts.items()},
        "rows": rows,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def commands(old):
    """Yield name, arguments and whether JAX is hidden, of each command; `old` is the old checkout."""
    yield "hsn --help", ["--help"], False
    for hide in (True, False):
        for model in MODELS:
            name = f"hsn segment --model {model}{', without JAX' if hide else ''}"
            place = str(old / "pretrained" / model)
            yield name, ["segment", str(IMAGE), "--model", place, "--out", "OUT"], hide
    for model in MODELS:
        name = f"shipped nets, --model {model}, without JAX"
        yield name, ["segment", str(IMAGE), "--model", model, "--out", "OUT"], True


def run(root, arguments, hide):
    """Return CPU and wall seconds of one command."""
    environment = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")}
    environment |= {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    code = MAIN.format(hide="sys.modules['jax'] = None; " if hide else "")
    with tempfile.TemporaryDirectory() as folder:
        given = [folder if argument == "OUT" else argument for argument in arguments]
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-c", code, *given]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{root}: {' '.join(arguments)}: {done.stderr}")
    return {
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
        "wall_s": wall,
    }


def row(name, times):
    """Return the medians and the shortest times of one command, all times, and old over new."""
    medians = {
        version: {kind: round(statistics.median(t[kind] for t in runs), 3) for kind in runs[0]}
        for version, runs in times.items()
    }
    shortest = {
        version: {
            "cpu_s": round(min(t["user_s"] + t["system_s"] for t in runs), 3),
            "wall_s": round(min(t["wall_s"] for t in runs), 3),
        }
        for version, runs in times.items()
    }
    for median in medians.values():
        median["cpu_s"] = round(median["user_s"] + median["system_s"], 3)
    ratio = {
        kind: round(medians["old"][kind] / medians["new"][kind], 2) for kind in ("user_s", "cpu_s", "wall_s")
    }
    exact = {
        version: [{k: round(v, 3) for k, v in t.items()} for t in runs] for version, runs in times.items()
    }
    return {"command": name, "median": medians, "shortest": shortest, "ratio": ratio, "all": exact}


def revision(root):
    """Return the commit of a checkout."""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
