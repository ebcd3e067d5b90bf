"""Executors: run tasks in this process, or in several.

An executor has one method, ``run(tasks)``. It yields ``(key, result)`` as tasks finish, in any order; the result of a
failed task is its `InputError`. Tasks can be repeated, so that the tasks of a dead process are run again.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, NamedTuple, Protocol, Self

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment, unused-ignore]

from ..errors import ENDS_BATCH, InputError, as_input_error
from ..keras_start import count_cores, start_keras
from ..progress import Cancelled

MAX_DEATHS = 2  # processes that a task may end while it runs alone
_CHECK_PARENT_S = 1.0
_CHECK_POOL_S = 5.0  # without a result: is the pool still there?
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
)  # fmt: skip


class Task(NamedTuple):
    """A function of a module, its arguments, and a name."""

    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Executor(Protocol):
    """Runs tasks in any order; see the top of this file."""

    workers: int

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[str, Any]]:
        """Yield the key and the result, or the error, of each task."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Serial:
    """Runs tasks one after the other in this process."""

    workers = 1

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[str, Any]]:
        """Yield the key and the result, or the error, of each task."""
        for task in tasks:
            yield task.key, run_task(task.function, task.arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class Processes:
    """Runs tasks in several processes of this machine.

    Parameters
    ----------
    workers : int
        Number of processes. Each computes with its share of the cores.
    keras : bool
        Whether processes import Keras when they start, without its log lines. Default: True.

    Notes
    -----
    Processes are started afresh, not forked: Keras and Zarr have threads. Therefore, a script must guard its start with
    ``if __name__ == "__main__"``.
    """

    def __init__(self, workers: int, *, keras: bool = True) -> None:
        self.workers, self._keras = workers, keras
        self._pool: ProcessPoolExecutor | None = None
        self._started = _Started()

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[str, Any]]:
        """Yield the key and the result, or the error, of each task.

        When a process dies, all tasks that were running may be its victims or its cause. They are repeated one at a
        time; a task that ends its process again is an error.
        """
        running: dict[Future, tuple[Task, int]] = {}
        try:
            yield from self._results(iter(tasks), running)
        finally:  # the caller stopped: no task works on when the next run starts
            for future in running:
                future.cancel()
            wait(running)

    def _results(
        self, waiting: Iterator[Task], running: dict[Future, tuple[Task, int]]
    ) -> Iterator[tuple[str, Any]]:
        suspects = deque[tuple[Task, int]]()
        while True:
            if suspects and not running:
                self._submit(running, *suspects.popleft())
            while not suspects and len(running) < 2 * self.workers:
                task = next(waiting, None)
                if task is None:
                    break
                self._submit(running, task, 0)
            if not running:
                return
            done, _ = wait(running, timeout=_CHECK_POOL_S, return_when=FIRST_COMPLETED)
            if not done and self._is_broken():
                done = set(running)  # Python 3.11 forgets a task that was given while the pool broke
            for future in done:
                task, deaths = running.pop(future)
                try:
                    yield task.key, future.result(timeout=0)
                except (BrokenProcessPool, TimeoutError):
                    self._close(broken=True)
                    if deaths >= MAX_DEATHS:
                        yield task.key, task_died(task)
                    else:
                        suspects.append((task, deaths + 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _submit(self, running: dict[Future, tuple[Task, int]], task: Task, deaths: int) -> None:
        for _ in range(2):
            if self._pool is None:
                self._started = _Started()
                self._pool = _start_pool(self.workers, self._keras, self._started)
            try:
                running[self._pool.submit(run_task, task.function, task.arguments)] = (task, deaths)
                return
            # It broke since the last task; OSError: while a process started.
            except (BrokenProcessPool, OSError):
                self._close(broken=True)
        raise task_died(task)

    def _is_broken(self) -> bool:
        """Return whether the pool takes no task any more."""
        if self._pool is None:
            return True
        try:
            self._pool.submit(abs, 0)
        except (BrokenProcessPool, OSError):
            return True
        return False

    def _close(self, *, broken: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            if broken:
                # Python 3.11 does not end a process that started while the pool broke, and would wait for it.
                for process in self._started.processes:
                    if process.pid is not None:
                        process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


def executor_for(workers: int) -> Executor:
    """Return an executor for a number of processes; 1 is this process."""
    return Serial() if workers == 1 else Processes(workers)


def peak_memory_mb() -> int | None:
    """Return the largest memory of this process so far in megabytes, where the system tells it."""
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def run_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return the result of a task, or its error."""
    try:
        return function(*arguments)
    except Cancelled:
        raise
    except Exception as error:
        failure = as_input_error(error)
        if failure.code in ENDS_BATCH:
            raise failure from None
        return failure


def task_died(task: Task, got: str = f"its end, {MAX_DEATHS + 1} times") -> InputError:
    """Return the error of a task that ends its processes."""
    return InputError(
        "worker-died",
        f"the process of task {task.key} must finish it",
        got=got,
        hint="give it more memory, or fewer workers",
    )


class _Started(SpawnContext):
    """Starts processes afresh, and remembers them."""

    def __init__(self) -> None:
        self.processes: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """Return a new process."""
        process = SpawnProcess(*arguments, **options)
        self.processes.append(process)
        return process


def _start_pool(workers: int, keras: bool, context: SpawnContext) -> ProcessPoolExecutor:
    """Start processes that share the cores, and end when this process ends."""
    threads = max(1, count_cores() // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(os.getpid(), threads, keras),
    )
    return pool


def _start_worker(parent: int, threads: int, keras: bool) -> None:
    """Watch the parent, and prepare this process to compute."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if keras:
        prepare_worker(threads)


def prepare_worker(threads: int | None) -> None:
    """Import Keras in a process that computes tasks, with a number of threads; None: that of the environment."""
    if "keras" in sys.modules:
        return
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    start_keras(only_hsn=True)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: a killed parent cannot stop its processes."""
    while os.getppid() == parent:
        time.sleep(_CHECK_PARENT_S)
    os._exit(1)
