"""Run a net over a slide: plan, phases, numbers, files."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..errors import InputError
from ..images.slide import Slide
from ..images.tissue import slide_tissue
from ..models import Model
from ..models.folders import find
from ..notes import note
from ..progress import Progress, report
from ..store.folder import RunFolder
from ..supervision import open_model
from .executors import Executor, executor_for
from .export import write_files
from .phases import phases_of
from .plan import Job, check_supported, make_plan
from .result import SlideResult

BLOCK_PX = 2048  # side of the blocks in which objects are separated: some 300 MB
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
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> SlideResult:
    """Separate the objects of a slide, or label its tissue classes, with a net.

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
    executor : Executor, optional
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
    own = executor is None
    executor = executor_for(options.workers) if executor is None else executor
    if isinstance(model, Model) and executor.workers > 1:
        raise InputError(
            "model-in-memory", "`model` must be a name or a folder for several workers", got="a loaded model",
            hint="save it with hsn.models.save, or use one worker",
        )  # fmt: skip
    mask = slide_tissue(slide) if tissue is None else np.asarray(tissue) > 0
    plan = make_plan(slide, loaded, taxonomy, mask)
    job = Job(slide, _for_workers(model), str(Path(out).absolute()), plan, options.block_px, uuid4().hex)
    space = check_supported(loaded).taxonomy(taxonomy)
    with RunFolder.open(out, plan, overwrite=options.overwrite) as folder:
        phases = phases_of(job, folder, executor, options.skip_errors, progress)
        try:
            phases.create_arrays(mask)
            phases.run_all(mask)
        finally:
            if own:
                executor.__exit__(None, None, None)
        report(progress, "writing files", 0, 1)
        files = write_files(job, space, save)
        report(progress, "writing files", 1, 1)
        summary = phases.summary(mask) | {"seconds": round(time.monotonic() - start, 2), "files": files}
        folder.record(
            state="failed parts" if phases.failures else "done",
            summary=summary,
            slide={"path": slide.path, "width": slide.dimensions[0], "height": slide.dimensions[1]},
            block_px=options.block_px,
            classes=[{"name": kind.name, "color": kind.color} for kind in space.classes],
        )
    if summary.get("too_large"):
        note(
            "regions are too large to separate their objects, and left out", slide.path, summary["too_large"]
        )
    if not mask.any():
        note("no tissue was found", slide.path)
    return SlideResult(Path(out), summary, space, job)


def _for_workers(model: Any) -> Any:
    """Return the absolute folder of a net that is not installed: workers may have another current folder."""
    if isinstance(model, Model):
        return model
    folder = find(model)
    return model if folder.is_absolute() and folder.name == str(model) else folder.absolute()


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
