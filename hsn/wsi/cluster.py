"""Run tasks on a cluster with Dask: workers may join, end or die at any time.

The scheduler sees names of tasks and results of some bytes, never arrays: tasks read and write files, which all workers
must reach. Workers are started by a batch system, as a file describes it, or run already at the address of a scheduler.
A task that a dead worker had finished returns at once when it is repeated, because its marker is on the disk.

A file for SLURM; `options` are those of `dask_jobqueue.SLURMCluster`::

    kind: slurm              # or local, lsf, pbs, sge, htcondor, oar
    adapt: [0, 20]           # number of jobs, by the work that waits; or `workers: 4`
    options:
      queue: main
      cores: 8
      processes: 1
      memory: 32GB
      walltime: "01:00:00"
      worker_extra_args: ["--lifetime", "55m", "--lifetime-stagger", "4m"]
"""

from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import CancelledError
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from ..checks import require
from ..errors import ENDS_BATCH, InputError, as_input_error
from ..files import read_text
from ..keras_start import count_cores
from ..notes import note
from .executors import Task, prepare_worker, run_task, task_died

KINDS = {
    "local": "distributed:LocalCluster",
    "slurm": "dask_jobqueue:SLURMCluster",
    "lsf": "dask_jobqueue:LSFCluster",
    "pbs": "dask_jobqueue:PBSCluster",
    "sge": "dask_jobqueue:SGECluster",
    "htcondor": "dask_jobqueue:HTCondorCluster",
    "oar": "dask_jobqueue:OARCluster",
}
_FIELDS = {"kind", "options", "adapt", "workers"}
ALLOWED_FAILURES = 10  # deaths of a worker for which a task may be blamed: all tasks of a dead worker are
_LOST = object()  # a result that is gone
_WAIT_S = 30.0  # for a result of some bytes
CLOSE_S = 20.0  # wait for workers to end
_SETTINGS = {
    "distributed.worker.memory.spill": False,  # tasks keep no results
    "distributed.scheduler.worker-ttl": "30 minutes",  # a worker is silent while a net is compiled
    "distributed.comm.timeouts.connect": "120s",
    "distributed.comm.timeouts.tcp": "120s",
}
_NO_SPILL = "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False"


class DaskExecutor:
    """Runs tasks on the workers of a Dask cluster; an `Executor`.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler, "tcp://host:8786".
    cluster : dict, optional
        Content of a cluster file; see `read_cluster`. Either `scheduler` or `cluster` is needed.
    allowed_failures : int
        Number of workers that may die with a task before it is an error. Default: 10.

    Raises
    ------
    InputError
        "distributed-missing", "dask_jobqueue-missing", "cluster-not-started" or "scheduler-not-reached".
    """

    workers = 2  # or more: tasks run in other processes

    def __init__(
        self,
        *,
        scheduler: str | None = None,
        cluster: Mapping[str, Any] | None = None,
        allowed_failures: int = ALLOWED_FAILURES,
    ) -> None:
        self._dask = require("distributed", extra="cluster")
        self._cluster: Any = None
        self._threads: int | None = None
        self._allowed_failures = allowed_failures
        self._least = 1  # workers that there will be
        settings = {**_SETTINGS, "distributed.scheduler.allowed-failures": allowed_failures}
        with require("dask").config.set(settings):
            if cluster is not None:
                self._cluster = self._start(cluster)
            try:
                self._client = self._dask.Client(scheduler if self._cluster is None else self._cluster)
            except (OSError, ValueError) as error:
                raise InputError(
                    "scheduler-not-reached", "`scheduler` must be the address of a Dask scheduler, such as tcp://host:8786",
                    got=f"{scheduler}: {error}", hint="start `dask scheduler`, and give the address that it prints",
                ) from None  # fmt: skip

    @property
    def dashboard(self) -> str | None:
        """Address of the page that shows the workers; None if bokeh, which draws it, is not installed."""
        return None if find_spec("bokeh") is None else str(self._client.dashboard_link)

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[str, Any]]:
        """Yield the key and the result, or the error, of each task; few more than can run wait at the scheduler.

        A result that is lost with its worker is asked for again, under another name: its task returns at once.
        """
        waiting, running = iter(tasks), dict[Any, tuple[Task, int]]()
        try:
            while True:
                while len(running) < self._in_flight() and (task := next(waiting, None)) is not None:
                    running[self._submit(task)] = task, 0
                if not running:
                    return
                for future in self._finished(list(running)):
                    task, tries = running.pop(future)
                    outcome = self._outcome(task, future)
                    future.release()
                    if outcome is not _LOST:
                        yield task.key, outcome
                    elif tries < self._allowed_failures:
                        running[self._submit(task)] = task, tries + 1
                    else:
                        yield task.key, task_died(task, "the loss of its results, several times")
        finally:
            if running:  # the caller stopped
                self._client.cancel(list(running), force=True)

    def _in_flight(self) -> int:
        """Return how many tasks the scheduler may hold."""
        return 2 * max(self._least, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def _submit(self, task: Task) -> Any:
        return self._client.submit(
            run_on_worker, self._threads, task.function, task.arguments,
            key=f"hsn-{uuid4().hex[:8]}-{task.key}", pure=False, retries=2,
        )  # fmt: skip

    def _finished(self, futures: list[Any]) -> set[Any]:
        """Wait, and return the futures that are finished; none after a while."""
        try:
            done: set[Any] = self._dask.wait(futures, timeout=_WAIT_S, return_when="FIRST_COMPLETED").done
            return done
        except TimeoutError:
            return set()

    def _outcome(self, task: Task, future: Any) -> Any:
        """Return the result or the error of a task, or _LOST; raise an error that ends the batch."""
        if future.status == "error":
            return self._failure(task, future.exception(timeout=_WAIT_S))
        try:
            return future.result(timeout=_WAIT_S)
        except (TimeoutError, CancelledError):
            return _LOST
        except Exception as error:
            return self._failure(task, error)

    def _failure(self, task: Task, error: Exception) -> InputError:
        """Return the error of a task; raise it if no further task can succeed."""
        if type(error).__name__ == "KilledWorker":
            return task_died(task, "the end of its worker, several times")
        failure = as_input_error(error)
        if failure.code in ENDS_BATCH:
            raise failure
        return failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers; late ones are left to the batch system, because all results are on the disk."""
        try:
            self._client.close(CLOSE_S)
            if self._cluster is not None:
                self._cluster.close(CLOSE_S)
        except Exception as error:  # a busy machine; the results stand
            note("workers did not end in time", f"{type(error).__name__}")

    def _start(self, described: Mapping[str, Any]) -> Any:
        """Start a cluster, and remember how many workers there will be and how many threads each has."""
        kind, options = described["kind"], dict(described.get("options", {}))
        low, high = described.get("adapt", [described.get("workers", 1)] * 2)
        self._least = max(1, high)
        room, name = KINDS[kind].split(":")
        require(room, extra="cluster")
        options.setdefault("dashboard_address", ":0")
        if kind == "local":
            self._threads = max(1, count_cores() // self._least)
            options |= {"n_workers": 0, "threads_per_worker": 1}
        else:
            options["scheduler_options"] = {
                "dashboard_address": options.pop("dashboard_address"), **options.get("scheduler_options", {})
            }  # fmt: skip
            cores, processes = options.get("cores"), options.get("processes") or 1
            if isinstance(cores, int) and isinstance(processes, int):
                self._threads = max(1, cores // processes)
            options["processes"] = processes
            # One task at a time in each process; the net computes with all its cores.
            options["worker_extra_args"] = [*options.get("worker_extra_args", []), "--nthreads", "1"]
            options["job_script_prologue"] = [*options.get("job_script_prologue", []), _NO_SPILL]
        try:
            cluster = getattr(require(room), name)(**options)
            # Workers that end are replaced, also if their number is fixed.
            limits = ("minimum", "maximum") if kind == "local" else ("minimum_jobs", "maximum_jobs")
            cluster.adapt(**dict(zip(limits, (low, high), strict=True)))
        except Exception as error:  # Dask and batch systems raise many kinds of errors
            raise InputError(
                "cluster-not-started", f"a cluster of the kind {kind} must start with these options",
                got=f"{type(error).__name__}: {error}",
                hint="correct the options; see the documentation of dask-jobqueue",
            ) from None  # fmt: skip
        return cluster


def run_on_worker(threads: int | None, function: Any, arguments: tuple[Any, ...]) -> Any:
    """Run a task on a worker; before the first one, prepare the worker to compute with a number of threads."""
    prepare_worker(threads)
    return run_task(function, arguments)


def read_cluster(path: str | Path) -> dict[str, Any]:
    """Read a cluster file; see the top of this file.

    Raises
    ------
    InputError
        "cluster-file-invalid", or "yaml-missing".

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "local.yaml"
    >>> _ = path.write_text("kind: local\\nworkers: 2\\n")
    >>> read_cluster(path)
    {'kind': 'local', 'workers': 2}
    """
    yaml, text = require("yaml", extra="cluster"), read_text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        content = f"text that is not YAML: {str(error).splitlines()[0]}"
    if not isinstance(content, dict) or content.get("kind") not in KINDS or not set(content) <= _FIELDS:
        raise _invalid(path, content if not isinstance(content, dict) else ", ".join(map(str, content)))
    if not isinstance(content.get("options", {}), dict):
        raise _invalid(path, f"options {content['options']!r}")
    counts = content.get("adapt", [content.get("workers", 1)] * 2)
    whole = isinstance(counts, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in counts)
    if not whole or len(counts) != 2 or not 0 <= counts[0] <= counts[1] or counts[1] < 1:
        raise _invalid(path, f"adapt or workers {counts!r}")
    return content


def _invalid(path: str | Path, got: object) -> InputError:
    return InputError(
        "cluster-file-invalid",
        f"{path} must be YAML with kind ({', '.join(KINDS)}), options, and adapt: [0, 20] or workers: 4",
        got=got,
        hint="see the page about slides of the documentation",
    )
