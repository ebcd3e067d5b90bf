"""Executors: every task gives one result; a dead process costs only its own task."""

import math
import operator
import os
import signal
import time

import pytest

from hsn.errors import InputError
from hsn.keras_start import count_cores
from hsn.wsi.executors import Processes, Serial, Task


def squares(count):
    return [Task(str(k), operator.mul, (k, k)) for k in range(count)]


@pytest.mark.parametrize("executor", [Serial(), Processes(2, keras=False)], ids=["serial", "processes"])
def test_every_task_gives_its_result_and_an_error_is_that_of_its_task(executor, monkeypatch):
    monkeypatch.delenv("HSN_TRACEBACK")
    tasks = [*squares(9), Task("bad", math.sqrt, (-1,))]
    with executor:
        results = dict(executor.run(tasks))
        assert dict(executor.run(squares(3))) == {"0": 0, "1": 1, "2": 4}
    assert isinstance(results.pop("bad"), InputError)
    assert results == {str(k): k * k for k in range(9)}


def test_a_task_that_ends_its_process_is_an_error_and_the_others_finish():
    tasks = [*squares(4), Task("poison", os._exit, (1,)), *[Task(f"after {k}", abs, (-k,)) for k in range(6)]]
    with Processes(2, keras=False) as executor:
        results = dict(executor.run(tasks))
    failure = results.pop("poison")
    assert failure.code == "worker-died"
    assert results == {str(k): k * k for k in range(4)} | {f"after {k}": k for k in range(6)}


def test_a_process_that_is_killed_costs_nothing():
    tasks = [Task("pid", os.getpid, ()), *[Task(f"sleep {k}", time.sleep, (0.05,)) for k in range(10)]]
    results, killed = {}, False
    with Processes(1, keras=False) as executor:
        for key, result in executor.run(tasks):
            results[key] = result
            if not killed:
                os.kill(results["pid"], signal.SIGKILL)
                killed = True
    assert len(results) == len(tasks)
    assert not any(isinstance(result, InputError) for result in results.values())


def test_a_full_disk_ends_the_run(raises_code):
    with raises_code("disk-full"):
        list(Serial().run([Task("a", _full, ())]))


def _full():
    raise OSError(28, "No space left on device", "store")


def test_cores_are_those_of_this_process_not_those_of_the_machine(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7, 9}, raising=False)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert count_cores() == 64
