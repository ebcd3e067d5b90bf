"""The phases of a run over a slide: each starts when all tasks of the one before are finished."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ENDS_BATCH, InputError
from ..images.tissue import mask_at
from ..objects.regions import Box, Objects, join_pieces, number_objects
from ..progress import Progress, report
from ..store.arrays import create_array
from ..store.folder import ARRAYS, RunFolder
from . import classes, measuring, tasks
from .executors import Executor, Task, peak_memory_mb
from .plan import GROUP, OBJECTS, TAGS, Job

CHUNK_PX = 256  # of label images; blocks are multiples of it
LEAST_SURE = 12  # squares that are named
_WINDOWS_PER_TASK = 4
_REGIONS_PER_TASK = 200


class Phases:
    """Runs the tasks of a run that are not finished.

    Parameters
    ----------
    job : Job
    folder : RunFolder
    executor : Executor
    skip_errors : bool
        Whether to continue without the tasks that fail.
    progress : callable or None

    Attributes
    ----------
    failures : dict of str to str
        Tasks that failed, and the reasons.
    """

    def __init__(
        self, job: Job, folder: RunFolder, executor: Executor, skip_errors: bool, progress: Progress | None
    ) -> None:
        self.job, self.folder, self.executor, self.progress = job, folder, executor, progress
        self.skip_errors, self.failures = skip_errors, dict[str, str]()

    def create_arrays(self, mask: np.ndarray) -> None:
        """Create the arrays of the store."""
        self.create(tasks.TISSUE, mask.shape, mask.shape, "uint8")[:] = mask

    def create(self, name: str, shape: Sequence[int], chunks: Sequence[int], dtype: str) -> Any:
        """Create an array of the store."""
        return create_array(Path(self.job.folder, ARRAYS), name, shape=shape, chunks=chunks, dtype=dtype)

    def run_all(self, mask: np.ndarray) -> None:
        """Run all phases."""
        raise NotImplementedError

    def summary(self, mask: np.ndarray) -> dict[str, Any]:
        """Return what is known of the finished run, as plain data."""
        job, mm2 = self.job, (self.job.mpp / 1000) ** 2
        markers = [job.run.marker(tasks.WINDOWS, key) for key in job.run.finished(tasks.WINDOWS)]
        peaks = [marker["peak_mb"] for marker in markers if marker["peak_mb"]]
        return {
            "model": job.plan["model"]["name"],
            "tissue_mm2": round(float(mask.mean()) * job.shape[0] * job.shape[1] * mm2, 4),
            "predict_cpu_s": round(sum(marker["cpu_s"] for marker in markers), 1),
            "peak_memory_mb": max([*peaks, peak_memory_mb() or 0]) or None,
            "failures": self.failures,
        }

    def predict(self, function: Callable[..., Any], areas_px: dict[str, int]) -> None:
        """Predict windows, or groups of windows; events have the area of tissue that is done.

        Parameters
        ----------
        function : callable
            Takes a job and a list of keys.
        areas_px : dict of str to int
            Number of tissue pixels of each window.
        """
        finished = self.folder.finished(tasks.WINDOWS)
        todo = [key for key in areas_px if key not in finished]
        groups = [todo[k : k + _WINDOWS_PER_TASK] for k in range(0, len(todo), _WINDOWS_PER_TASK)]
        arguments = {f"windows {group[0]}": (group,) for group in groups}
        mm2 = (self.job.mpp / 1000) ** 2
        areas = {f"windows {group[0]}": mm2 * sum(areas_px[key] for key in group) for group in groups}
        total_mm2 = mm2 * sum(areas_px.values())
        done = _Done(len(areas_px), len(areas_px) - len(todo), total_mm2, total_mm2 - sum(areas.values()))
        for name in self._run("predicting", function, arguments, done):
            done.count += len(arguments[name][0])
            done.mm2 += areas[name]

    def run_missing(
        self,
        stage: str,
        function: Callable[..., Any],
        phase: str,
        keys: Iterable[str],
        more: Callable[[str], tuple] = lambda key: (),
    ) -> None:
        """Run the tasks of a phase that are not finished."""
        keys, finished = list(keys), self.folder.finished(phase)
        arguments = {key: (key, *more(key)) for key in keys if key not in finished}
        done = _Done(len(keys), len(keys) - len(arguments))
        for _ in self._run(stage, function, arguments, done):
            done.count += 1

    def _run(
        self, stage: str, function: Callable[..., Any], arguments: dict[str, tuple], done: "_Done"
    ) -> Iterator[str]:
        """Run tasks; yield the name of each that succeeds, and report what the caller then counted."""
        done.report(self.progress, stage)
        todo = [Task(name, function, (self.job, *rest)) for name, rest in arguments.items()]
        with closing(self.executor.run(todo)) as results:
            for name, result in results:
                self.folder.touch()
                if not isinstance(result, InputError):
                    yield name
                elif not self.skip_errors or result.code in ENDS_BATCH:
                    raise result
                else:
                    self.failures[f"{stage} {name}"] = str(result)
                done.report(self.progress, stage)


@dataclass
class _Done:
    """Progress of a phase: finished tasks, and square millimeters of tissue."""

    total: int
    count: int
    total_mm2: float | None = None
    mm2: float = 0.0

    def report(self, progress: Progress | None, stage: str) -> None:
        """Send an event."""
        areas = (
            {} if self.total_mm2 is None else {"mm2": round(self.mm2, 4), "of_mm2": round(self.total_mm2, 4)}
        )
        report(progress, stage, self.count, self.total, **areas)


class ObjectPhases(Phases):
    """Separates the objects of a slide.

    Attributes
    ----------
    objects, too_large : int
        Number of objects, and of regions that were left out because they are too large.
    """

    objects = too_large = 0

    def create_arrays(self, mask: np.ndarray) -> None:
        """Create the arrays of tissue, probabilities and objects."""
        super().create_arrays(mask)
        job, channels = self.job, self.job.plan["lattice"]["classes"]
        self.create(tasks.EVIDENCE, (channels, *job.shape), (channels, *job.window), "uint8")
        self.create(tasks.OBJECT_IDS, job.shape, (CHUNK_PX, CHUNK_PX), "uint32")

    def run_all(self, mask: np.ndarray) -> None:
        """Predict windows, separate objects, number them, write their label image, measure them."""
        job = self.job
        self.predict(tasks.predict_windows, _tissue_areas(job, mask))
        blocks = job.boxes(job.block_px, job.block_px)
        self.run_missing("separating objects", tasks.separate_block, tasks.blocks_phase(job), blocks)
        self._separate_crossing(blocks)
        self.objects = self._number(blocks)
        self.run_missing("writing labels", tasks.write_block, tasks.write_phase(job), blocks)
        self.run_missing("measuring objects", measuring.measure_block, measuring.measured_phase(job), blocks)

    def summary(self, mask: np.ndarray) -> dict[str, Any]:
        """Return counts, density and areas."""
        job, known = self.job, super().summary(mask)
        area_px = sum(marker["area_px"] for marker in _markers(job, tasks.write_phase(job)))
        area, tissue = area_px * (job.mpp / 1000) ** 2, known["tissue_mm2"]
        return known | {
            "objects": self.objects,
            "too_large": self.too_large,
            "objects_mm2": round(area, 5),
            "objects_per_mm2": round(self.objects / tissue, 2) if tissue else None,
            "classes_mm2": [max(0.0, round(tissue - area, 5)), round(area, 5)],
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
        self.run_missing(
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


class ClassPhases(Phases):
    """Labels the tissue classes of a slide."""

    def create_arrays(self, mask: np.ndarray) -> None:
        """Create the arrays of tissue, maps, probabilities and classes."""
        super().create_arrays(mask)
        job, lattice = self.job, self.job.plan["lattice"]
        count, chunk = lattice["classes"], (CHUNK_PX, CHUNK_PX)
        if job.kind == TAGS:
            rows, columns = (len(starts) * lattice["window_px"] for starts in classes.window_starts(job))
            side = GROUP * lattice["window_px"]
            self.create(classes.MAPS, (count, rows, columns), (count, side, side), "uint8")
        self.create(
            tasks.EVIDENCE,
            (count, *job.shape),
            (count, *(chunk if job.kind == TAGS else job.window)),
            "uint8",
        )
        self.create(classes.LABELS, job.shape, chunk, "uint8" if count <= 256 else "uint16")

    def run_all(self, mask: np.ndarray) -> None:
        """Predict windows, label blocks."""
        job = self.job
        if job.kind == TAGS:
            keys = [key for key in classes.group_keys(job) if classes.windows_of(job, key, mask)]
            areas = _tissue_areas(job, mask)
            # Windows reach beyond the boxes of their group: a group may have no tissue of its own.
            self.predict(classes.predict_groups, {key: areas.get(key, 0) for key in keys})
        else:
            self.predict(tasks.predict_windows, _tissue_areas(job, mask))
        blocks = job.boxes(job.block_px, job.block_px)
        self.run_missing("labeling classes", classes.label_block, classes.classes_phase(job), blocks)

    def summary(self, mask: np.ndarray) -> dict[str, Any]:
        """Return the areas and the scores of the classes."""
        job, markers = self.job, _markers(self.job, classes.classes_phase(self.job))
        pixels = [marker["pixels"] for marker in markers]
        squares = sorted(
            (square for marker in markers for square in marker["squares"]), key=lambda s: (s[2], *s)
        )
        scale = job.slide.dimensions[0] / job.shape[1]
        side = round(classes.SQUARE_PX * scale)
        least_sure = [
            [round(col * scale), round(row * scale), side, lead] for row, col, lead in squares[:LEAST_SURE]
        ]
        areas = (
            np.sum(pixels, axis=0) * (job.mpp / 1000) ** 2
            if pixels
            else np.zeros(job.plan["lattice"]["classes"])
        )
        scores = {"scores": classes.window_scores(job).tolist()} if job.kind == TAGS else {}
        return (
            super().summary(mask)
            | {"classes_mm2": areas.round(5).tolist(), "least_sure": least_sure}
            | scores
        )


def phases_of(
    job: Job, folder: RunFolder, executor: Executor, skip_errors: bool, progress: Progress | None
) -> Phases:
    """Return the phases of a job."""
    kind = ObjectPhases if job.kind == OBJECTS else ClassPhases
    return kind(job, folder, executor, skip_errors, progress)


def _tissue_areas(job: Job, mask: np.ndarray) -> dict[str, int]:
    """Return the number of tissue pixels of each window with some."""
    areas = {key: int(mask_at(mask, job.shape, *box).sum()) for key, box in job.boxes(*job.window).items()}
    return {key: area for key, area in areas.items() if area}


def _markers(job: Job, phase: str) -> list[dict[str, Any]]:
    """Return the markers of the finished blocks of a phase."""
    keys = job.boxes(job.block_px, job.block_px)
    return [job.run.marker(phase, key) for key in keys if job.run.is_done(phase, key)]
