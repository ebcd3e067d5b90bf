"""Run commands of hsn one after another in this process; as a program, read them from stdin and answer on stdout.

A line in JSON holds the words of a command and its folder; the answer is its exit code, its output, whether a traceback
came, and the peak of the memory in MB.
"""

import contextlib
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

os.environ |= dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
STEPS = 2  # of an epoch, instead of up to 100
os.environ["HSN_TRACEBACK"] = "1"  # an error that no reader expects keeps its traceback


def run(words, folder):
    """Run a command in a folder; return the answer."""
    from typer.testing import CliRunner

    from hsn.cli import app

    os.chdir(folder)
    os.environ["HSN_HOME"] = str(Path(folder) / "home")
    _forget_peak()
    result = CliRunner().invoke(app, words)
    crashed = result.exception is not None and not isinstance(result.exception, SystemExit)
    trace = "".join(traceback.format_exception(result.exception)) if crashed else ""
    return {"code": result.exit_code, "output": result.output, "traceback": trace, "peak_mb": _peak_mb()}


def _forget_peak():
    """Let Linux measure the peak of this process anew."""
    with contextlib.suppress(OSError):  # then the peak is that of all commands so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb():
    """Return the peak of the memory of this process in MB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def answer_all():
    """Answer every line of stdin."""
    import tensorflow

    from hsn.training import loop

    tensorflow.config.run_functions_eagerly(True)  # building graphs takes longer than a few steps
    run_epochs = loop._run_epochs
    loop._run_epochs = lambda learner, spec, *others: run_epochs(
        learner, replace(spec, steps=min(spec.steps, STEPS)), *others
    )
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(run(given["words"], given["folder"])), file=answers, flush=True)


if __name__ == "__main__":
    answer_all()
