"""Kill a program at random moments, start it again each time, and compare its files with those of an unkilled run.

As a program, ``kills.py WORK FOLDER KILLS SEED`` prints a report in JSON. It imports hsn once; every attempt is a fork.
Half of the kills hit a random moment, the other half a random operation on a file, where the time is short.
"""

import csv
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

os.environ |= dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")

import numpy as np
from test_supervision_contract import CASES, MPP

from hsn.data import synthetic
from hsn.data.setup import FitSetup
from hsn.images.read import write
from hsn.nets import encoder_unet, unet
from hsn.workflows import fitting, segmentation

OUT = "net"  # relative: results name their files, so that all runs need the same path
_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_MEASURED = ("seconds", "peak_memory_mb")  # differ between two runs
_MAX_ATTEMPTS = 10  # per kill; a run that ends before its kill does not count
_IMAGES = 6
_MAPS = {"masks": 3, "selected": 3, "mixed": 3, "shares": 2}  # outputs of the smallest U-Net of a case


def fit(name):
    """Return a program that trains the smallest net of a case, as `hsn.fit` does."""

    def run():
        import tensorflow

        tensorflow.config.run_functions_eagerly(True)  # building graphs takes longer than a few steps
        case = CASES[name]()
        maps = _MAPS.get(name)
        net = unet.build(maps, depth=1, width=2, seed=1) if maps else case.build()
        config = case.config
        if name == "shares":
            config = config.replace(**{"train.epochs": 1, "shares.second": {"steps": 1}})
        if name == "points":  # four nets: one step for each, and the first layers of the encoder only
            config = config.replace(rounds=1, **{"train.epochs": 1, "train.steps": 1})
            net = encoder_unet.build(3, encoder_stride=2, decoder=(4,), dropout=0.0, seed=1)
        kind = case.method.__name__.rpartition(".")[2]
        fitting.Fit(kind, FitSetup(net, case.images, case.annotations, config), Path(OUT), "").run()

    return run


def segment(folder):
    """Draw images and train a net; return a program that segments them."""
    for seed in range(_IMAGES):
        write(folder / "images" / f"{seed}.png", synthetic.draw_tissue(seed, (48, 56), mpp=MPP).image)
    model = folder / OUT
    if wait(start(fit("masks"), folder)) != 0:
        raise SystemExit("the net for `segment` could not be trained")

    def run():
        import tensorflow

        tensorflow.config.run_functions_eagerly(True)
        batch = segmentation.segment_all(folder / "images", model, OUT, mpp=MPP)
        assert len(batch.rows) == _IMAGES
        assert not batch.failures

    return run


def start(program, folder, *, kill_at=None, count_in=None):
    """Run a program in a fork with `folder` as its working folder; return the process id.

    `kill_at` is the number of the file operation at which the process kills itself; `count_in` is a file for the number
    of all operations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.chdir(folder)
        operations = 0

        def watch(event, arguments):
            nonlocal operations
            if event in _EVENTS and arguments and OUT in Path(str(arguments[0])).parts:
                operations += 1
                if operations == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        program()
        if count_in:
            count_in.write_text(str(operations))
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(code)


def wait(process, *, kill_after_s=None):
    """Wait for a process, kill it after some seconds; return its exit code, negative for a signal."""
    began = time.monotonic()
    while kill_after_s is not None and time.monotonic() - began < kill_after_s:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if kill_after_s is not None:
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def content(path):
    """Return the bytes of a file, without the seconds and the memory that were measured while it was made."""
    if path.parent.name == "areas":
        data = json.loads(path.read_text())
        return json.dumps({key: value for key, value in data.items() if key not in _MEASURED}).encode()
    if path.name == "summary.csv":
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return json.dumps([{k: v for k, v in row.items() if k not in _MEASURED} for row in rows]).encode()
    return path.read_bytes()


def contents(folder):
    """Return the checksum of every file of a run, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(content(path)).hexdigest()
        for path in sorted((folder / OUT).rglob("*"))
        if path.is_file()
    }


def kill(program, folder, kills, seed):
    """Kill a program `kills` times; return the number of attempts and of complete runs, and the differences found."""
    rng = np.random.default_rng(seed)
    began = time.monotonic()
    if wait(start(program, folder / "whole", count_in=folder / "operations")) != 0:
        return {"error": "the run without kills failed"}
    seconds, operations = time.monotonic() - began, int((folder / "operations").read_text())
    whole = contents(folder / "whole")
    done, attempts, runs, differences, codes = 0, 0, 0, [], []
    while done < kills or codes[-1] != 0:
        last = done == kills
        moment = None if last or attempts % 2 else rng.uniform(0, seconds)
        operation = None if last or moment is not None else int(rng.integers(1, operations + 1))
        code = wait(start(program, folder / f"{runs}", kill_at=operation), kill_after_s=moment)
        codes.append(code)
        attempts += 1
        if code == -signal.SIGKILL:
            done += 1
        elif code == 0:
            found = contents(folder / f"{runs}")
            names = sorted(name for name in {*whole, *found} if whole.get(name) != found.get(name))
            differences += [f"run {runs}: {name}" for name in names]
            shutil.rmtree(folder / f"{runs}")
            runs += 1
        if code not in (0, -signal.SIGKILL) or attempts > _MAX_ATTEMPTS * kills:
            return {"error": f"attempt {attempts} of run {runs} ended with code {code}"}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "kills": done, "attempts": attempts, "runs": runs, "differences": differences, "files": len(whole),
        "operations": operations, "seconds": round(time.monotonic() - began), "seconds_of_a_run": round(seconds, 1),
        "peak_mb": peak // 1024,
    }  # fmt: skip


if __name__ == "__main__":
    work, place, number, chance = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    chosen = segment(place / "segment") if work == "segment" else fit(work)
    print(json.dumps(kill(chosen, place, number, chance)))
