"""Run a net over a slide: plan, phases, numbers, files."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..errors import ENDS_BATCH, InputError
from ..images.slide import Slide
from ..images.tissue import mask_at, slide_tissue
from ..models import Model
from ..notes import note
from ..objects.regions import Box, Objects, join_pieces, number_objects
from ..progress import Progress, report
from ..store.arrays import create_array
from ..store.folder import ARRAYS, RunFolder
from ..supervision import open_model
from . import tasks
from .executors import Processes, Serial, Task, executor_for
from .export import write_objects
from .plan import Job, check_supported, make_plan
from .result import SlideResult

BLOCK_PX = 2048  # side of the blocks in which objects are separated: some 300 MB
CHUNK_PX = 256  # of the label image; blocks are multiples of it
_WINDOWS_PER_TASK = 4
_REGIONS_PER_TASK = 200
_MIN_BLOCK_PX, _BYTES_PER_PIXEL = 512, 100  # memory of a block, measured


@dataclass(frozen=True)
class Options:
    """Options that do not change the result.

    Attributes
    ----------
    workers : int
        Number of processes. Default: 1, this one.
    block_px : int
        Side of the blocks in which objects are separated, a multiple of 256. Default: 2048.
    overwrite : bool
        Whether to remove the results of another plan. Default: False.
    skip_errors : bool
        Whether to continue without the parts of a slide that fail. Default: False.
    """

    workers: int = 1
    block_px: int = BLOCK_PX
    overwrite: bool = False
    skip_errors: bool = False


_DEFAULT = Options()


def segment_slide(
    slide: Slide,
    model: Any,
    out: str | os.PathLike,
    *,
    taxonomy: str | None = None,
    tissue: np.ndarray | None = None,
    save: Sequence[str] = (),
    options: Options = _DEFAULT,
    executor: Serial | Processes | None = None,
    progress: Progress | None = None,
) -> SlideResult:
    """Separate the objects of a slide with a net.

    The result does not depend on `options`, on the number of processes, or on interruptions. The same call resumes.

    Parameters
    ----------
    slide : Slide
    model : str, path or hsn.models.Model
        A loaded model needs one worker.
    out : path
        Folder of this run.
    taxonomy : str, optional
        Label space of the net. Default: its first.
    tissue : bool array, shape (H, W), optional
        Mask of the pixels to segment, at any scale. Default: `hsn.images.tissue.find_tissue`.
    save : sequence of str
        Formats of the objects besides CSV and GeoJSON; see `hsn.export`. Default: none.
    options : Options
    executor : Serial or Processes, optional
        To share processes between slides. Default: that of `options.workers`.
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.

    Returns
    -------
    SlideResult

    Raises
    ------
    InputError
        "slide-net-unsupported", "run-other", "run-locked", "slide-damaged", "worker-died" or "disk-full".
    """
    start, loaded = time.monotonic(), open_model(model)
    check_supported(loaded)
    if isinstance(model, Model) and options.workers > 1:
        raise InputError(
            "model-in-memory", "`model` must be a name or a folder for several workers", got="a loaded model",
            hint="save it with hsn.models.save, or use one worker",
        )  # fmt: skip
    mask = slide_tissue(slide) if tissue is None else np.asarray(tissue) > 0
    plan = make_plan(slide, loaded, taxonomy, mask)
    job = Job(slide, model, str(Path(out)), plan, options.block_px, uuid4().hex)
    space = check_supported(loaded).taxonomy(taxonomy)
    with RunFolder.open(out, plan, overwrite=options.overwrite) as folder:
        _create_arrays(job, mask)
        own = executor is None
        executor = executor_for(options.workers) if executor is None else executor
        try:
            phases = _Phases(job, folder, executor, options.skip_errors, progress)
            phases.run_all(mask)
        finally:
            if own:
                executor.__exit__(None, None, None)
        report(progress, "writing objects", 0, 1)
        files = write_objects(job, space, save)
        report(progress, "writing objects", 1, 1)
        summary = phases.summary(mask, files, time.monotonic() - start)
        folder.record(
            state="failed parts" if phases.failures else "done",
            summary=summary,
            slide={"path": slide.path, "width": slide.dimensions[0], "height": slide.dimensions[1]},
            block_px=options.block_px,
            classes=[{"name": kind.name, "color": kind.color} for kind in space.classes],
        )
    if phases.too_large:
        note("regions are too large to separate their objects, and left out", slide.path, phases.too_large)
    if not mask.any():
        note("no tissue was found", slide.path)
    return SlideResult(Path(out), summary, space, job)


def _create_arrays(job: Job, mask: np.ndarray) -> None:
    store, classes = Path(job.folder, ARRAYS), job.plan["lattice"]["classes"]
    create_array(store, tasks.TISSUE, shape=mask.shape, chunks=mask.shape, dtype="uint8")[:] = mask
    create_array(
        store, tasks.EVIDENCE, shape=(classes, *job.shape), chunks=(classes, *job.window), dtype="uint8"
    )
    create_array(store, tasks.LABELS, shape=job.shape, chunks=(CHUNK_PX, CHUNK_PX), dtype="uint32")


class _Phases:
    """The phases of a run: each starts when all tasks of the one before are finished."""

    def __init__(
        self,
        job: Job,
        folder: RunFolder,
        executor: Serial | Processes,
        skip_errors: bool,
        progress: Progress | None,
    ) -> None:
        self.job, self.folder, self.executor, self.progress = job, folder, executor, progress
        self.skip_errors, self.failures = skip_errors, dict[str, str]()
        self.objects = self.too_large = 0

    def run_all(self, mask: np.ndarray) -> None:
        """Run all phases that are not finished."""
        job = self.job
        windows = job.boxes(*job.window)
        tissue = {key for key, box in windows.items() if mask_at(mask, job.shape, *box).any()}
        groups = _groups([key for key in windows if key in tissue - self.folder.finished(tasks.WINDOWS)])
        done = len(tissue) - sum(map(len, groups))
        self._run(
            "predicting", tasks.predict_windows, [(f"windows {g[0]}", g) for g in groups], done, len(tissue)
        )
        blocks = job.boxes(job.block_px, job.block_px)
        self._run_missing("separating objects", tasks.separate_block, tasks.blocks_phase(job), blocks)
        self._separate_crossing(blocks)
        self.objects = self._number(blocks)
        self._run_missing("writing labels", tasks.write_block, tasks.write_phase(job), blocks)

    def summary(self, mask: np.ndarray, files: dict[str, str], seconds: float) -> dict[str, Any]:
        """Return what is known of the finished run, as plain data."""
        job = self.job
        mm2 = (job.mpp / 1000) ** 2
        area_px = sum(
            job.run.marker(tasks.write_phase(job), key)["area_px"]
            for key in job.boxes(job.block_px, job.block_px)
            if job.run.is_done(tasks.write_phase(job), key)
        )
        tissue_mm2 = float(mask.mean()) * job.shape[0] * job.shape[1] * mm2
        return {
            "model": job.plan["model"]["name"],
            "objects": self.objects,
            "too_large": self.too_large,
            "tissue_mm2": round(tissue_mm2, 4),
            "objects_mm2": round(area_px * mm2, 5),
            "objects_per_mm2": round(self.objects / tissue_mm2, 2) if tissue_mm2 else None,
            "seconds": round(seconds, 2),
            "files": files,
            "failures": self.failures,
        }

    def _separate_crossing(self, blocks: dict[str, Box]) -> None:
        """Join the pieces of regions that cross edges of blocks, and separate their objects."""
        job, results = self.job, {}
        for key in blocks:
            if job.run.is_done(tasks.blocks_phase(job), key):
                part = job.run.load_part(tasks.blocks_phase(job), key)
                row, col = map(int, key.split("."))
                results[row, col] = (part["pieces"], tuple(part[f"edge{k}"] for k in range(4)))
        regions = join_pieces(results)
        self.crossing = {
            str(first): regions[first : first + _REGIONS_PER_TASK]
            for first in range(0, len(regions), _REGIONS_PER_TASK)
        }
        self._run_missing(
            "separating objects at edges", tasks.separate_crossing, tasks.crossing_phase(job), self.crossing,
            lambda key: (self.crossing[key],),
        )  # fmt: skip

    def _number(self, blocks: dict[str, Box]) -> int:
        """Number the objects by their first pixels, and store the numbers; return how many there are."""
        job = self.job
        names = [(tasks.blocks_phase(job), key) for key in blocks]
        names = [(phase, key) for phase, key in names if job.run.is_done(phase, key)]
        crossing = Objects.joined([
            tasks.objects_of(job.run.load_part(tasks.crossing_phase(job), key))
            for key in self.crossing
            if job.run.is_done(tasks.crossing_phase(job), key)
        ])  # fmt: skip
        self.too_large = sum(
            job.run.marker(tasks.crossing_phase(job), key)["too_large"]
            for key in self.crossing
            if job.run.is_done(tasks.crossing_phase(job), key)
        )
        parts = [job.run.load_part(phase, key) for phase, key in names]
        anchors = np.concatenate([crossing.anchors, *(part["anchors"] for part in parts)])
        firsts = np.concatenate([crossing.regions, *(part["regions"] for part in parts)])
        ids = number_objects(anchors, firsts, crossing.absorbed)
        ends = np.cumsum([len(crossing), *(len(part["anchors"]) for part in parts)])
        split = np.split(ids, ends[:-1])
        arrays = tasks.as_arrays(crossing) | {"ids": split[0]}
        job.run.save_part(tasks.numbers_phase(job), tasks.CROSSING_PART, arrays)
        for (_, key), own in zip(names, split[1:], strict=True):
            job.run.save_part(tasks.numbers_phase(job), key, {"ids": own})
        return int(np.count_nonzero(ids))

    def _run_missing(
        self,
        stage: str,
        function: Callable[..., Any],
        phase: str,
        keys: Iterable[str],
        more: Callable[[str], tuple] = lambda key: (),
    ) -> None:
        """Run the tasks of a phase that are not finished."""
        keys, finished = list(keys), self.folder.finished(phase)
        todo = [key for key in keys if key not in finished]
        self._run(stage, function, [(key, key, *more(key)) for key in todo], len(keys) - len(todo), len(keys))

    def _run(
        self, stage: str, function: Callable[..., Any], arguments: list[tuple], done: int, total: int
    ) -> None:
        report(self.progress, stage, done, total)
        todo = [Task(f"{stage} {name}", function, (self.job, *rest)) for name, *rest in arguments]
        for key, result in self.executor.run(todo):
            self.folder.touch()
            if isinstance(result, InputError):
                if not self.skip_errors or result.code in ENDS_BATCH:
                    raise result
                self.failures[key] = str(result)
            else:
                done += result.get("done", 1)
            report(self.progress, stage, done, total)


def _groups(keys: list[str]) -> list[list[str]]:
    """Return tasks of several windows: a process reads the next window while it computes."""
    return [keys[first : first + _WINDOWS_PER_TASK] for first in range(0, len(keys), _WINDOWS_PER_TASK)]


def block_px_for(memory_bytes: int | None) -> int:
    """Return the side of blocks for the memory of a process.

    Examples
    --------
    >>> block_px_for(None), block_px_for(500_000_000)
    (2048, 2048)
    """
    side = BLOCK_PX
    while memory_bytes is not None and side > _MIN_BLOCK_PX and side**2 * _BYTES_PER_PIXEL > memory_bytes:
        side //= 2
    return side
