"""The Dask executor: every task gives one result, whatever happens to workers."""

import math
import operator
import os
import signal
import time

import pytest

pytest.importorskip("distributed", reason='needs pip install "hsn[cluster]"')

from hsn.errors import InputError
from hsn.wsi import cluster
from hsn.wsi.cluster import DaskExecutor, read_cluster
from hsn.wsi.executors import Task

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of workers that are killed


@pytest.fixture
def executor(monkeypatch):
    """Two local workers, which need no Keras."""
    monkeypatch.setattr(cluster, "run_on_worker", _run)
    with DaskExecutor(cluster={"kind": "local", "workers": 2}, allowed_failures=2) as executor:
        yield executor


def _run(threads, function, arguments):
    from hsn.wsi.executors import run_task

    os.environ.pop("HSN_TRACEBACK", None)
    return run_task(function, arguments)


def _end_after_sleep():
    time.sleep(0.2)
    os._exit(1)


def squares(count):
    return [Task(f"square {k}", operator.mul, (k, k)) for k in range(count)]


def test_every_task_has_a_result_whatever_happens_to_the_workers(executor):
    """One cluster for all: it takes seconds to start."""
    tasks = [*squares(9), Task("bad", math.sqrt, (-1,))]
    results = dict(executor.run(tasks))
    assert isinstance(results.pop("bad"), InputError)
    assert results == {f"square {k}": k * k for k in range(9)}

    # A worker is killed while tasks run: nothing is lost.
    results, pids = (
        {},
        [Task("pid", os.getpid, ()), *[Task(f"nap {k}", time.sleep, (0.05,)) for k in range(12)]],
    )
    for key, result in executor.run(pids):
        results[key] = result
        if key == "pid":
            os.kill(result, signal.SIGKILL)
    assert len(results) == 13
    assert not any(isinstance(result, InputError) for result in results.values())

    # A task ends every worker that runs it: it is an error after the allowed failures. Tasks that ran beside it may be
    # blamed, too; the workers are replaced, and all others finish.
    results = dict(executor.run([Task("poison", _end_after_sleep, ()), *squares(12)]))
    assert results.pop("poison").code == "worker-died"
    assert len(results) == 12
    assert sum(not isinstance(result, InputError) for result in results.values()) >= 8

    # The caller stops early: the next run is not disturbed.
    for _ in executor.run(squares(20)):
        break
    assert dict(executor.run(squares(3))) == {"square 0": 0, "square 1": 1, "square 2": 4}


def test_workers_that_do_not_end_in_time_are_noted(monkeypatch):
    from hsn.notes import collect_notes

    class Stuck:
        def close(self, timeout):
            raise TimeoutError("nanny")

    executor = object.__new__(DaskExecutor)
    executor._client, executor._cluster = Stuck(), Stuck()
    with collect_notes() as notes:
        executor.__exit__(None, None, None)
    assert notes.sentences() == ["workers did not end in time: TimeoutError"]


@pytest.mark.parametrize(
    "text",
    [
        "kind: cloud",
        "kind: slurm\nqueue: main",
        "kind: slurm\nadapt: [3, 1]",
        "kind: local\nworkers: many",
        "- a",
        "a: [",
        "kind: slurm\noptions: 5",
    ],
)
def test_an_invalid_cluster_file_is_an_error(tmp_path, text, raises_code):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with raises_code("cluster-file-invalid"):
        read_cluster(path)


def test_options_that_a_batch_system_refuses_are_an_error(raises_code):
    with raises_code("cluster-not-started"):
        DaskExecutor(cluster={"kind": "slurm", "options": {"cores": "many"}})


def test_a_scheduler_that_does_not_answer_is_an_error(raises_code):
    with raises_code("scheduler-not-reached"):
        DaskExecutor(scheduler="nonsense")
