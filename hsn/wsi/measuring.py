"""Measurements of the objects of a run: `measure_block` stores those of a block, `read_table` returns them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..exports.measure import measure_objects
from ..objects.outlines import Outlines
from ..objects.regions import Box, Objects
from ..objects.table import ObjectTable, concatenate
from .plan import Job
from .tasks import blocks_phase, crossing_objects, numbers_phase, objects_of, paint

CELL_PX = 256  # objects are measured per cell; blocks are multiples of it
_MARGIN_PX = 256  # that an object may extend beyond its cell; a larger one is measured alone
_SUMS, _OUTLINES = "sums", "outlines."  # names of stored arrays that are not columns


def measured_phase(job: Job) -> str:
    """Return the name of the phase that measures the objects of blocks."""
    return f"measured-{job.block_px}"


def measure_block(job: Job, key: str) -> dict[str, Any]:
    """Measure the objects whose first pixels are in a block, and write the measurements.

    Returns
    -------
    dict
        `objects`: their number.
    """
    phase = measured_phase(job)
    if job.run.is_done(phase, key):
        return dict(job.run.marker(phase, key))
    table, sums = _measure_block(job, key)
    outlines = {f"{_OUTLINES}{name}": array for name, array in table.checked_outlines()._asdict().items()}
    job.run.save_part(phase, key, {**table.columns, **outlines, _SUMS: sums})
    job.run.mark(phase, key, objects=len(table))
    return {"objects": len(table)}


def read_table(job: Job, key: str) -> tuple[ObjectTable, np.ndarray]:
    """Return the objects whose first pixels are in a block, in pixels of the net, and their sums.

    A run of an earlier version has no stored measurements: then they are made.

    Returns
    -------
    ObjectTable
        In the order of the ids.
    float64 array, shape (n, 4)
        See `hsn.objects.regions.Objects`.
    """
    if not job.run.is_done(measured_phase(job), key):
        return _measure_block(job, key)
    arrays = job.run.load_part(measured_phase(job), key)
    sums = arrays.pop(_SUMS)
    outlines = Outlines(*(arrays.pop(f"{_OUTLINES}{name}") for name in Outlines._fields))
    return ObjectTable(arrays, outlines, mpp=job.mpp), sums


def _measure_block(job: Job, key: str) -> tuple[ObjectTable, np.ndarray]:
    """Return what `read_table` returns, from the objects."""
    ids, objects = _objects_of_block(job, key)
    table = concatenate([_measure(job, *group) for group in _cells(ids, objects)])
    return table[np.argsort(table["id"])], objects.sums


def _objects_of_block(job: Job, key: str) -> tuple[np.ndarray, Objects]:
    """Return the ids and the objects whose first pixels are in a block, in the order of the ids."""
    crossing, crossing_ids = crossing_objects(job)
    here = (crossing.anchors // job.block_px == tuple(map(int, key.split(".")))).all(axis=1)
    here &= crossing_ids > 0
    parts, ids = [crossing.take(np.flatnonzero(here))], [crossing_ids[here]]
    if job.run.is_done(blocks_phase(job), key):
        numbers = job.run.load_part(numbers_phase(job), key)["ids"]
        parts.append(objects_of(job.run.load_part(blocks_phase(job), key)).take(np.flatnonzero(numbers)))
        ids.append(numbers[numbers > 0])
    together = np.concatenate(ids)
    order = np.argsort(together)
    return together[order], Objects.joined(parts).take(order)


def _cells(ids: np.ndarray, objects: Objects) -> Iterator[tuple[np.ndarray, Objects, Box]]:
    """Yield groups of objects that are measured together, and a box around each; the last one is empty.

    The origin of a box depends on its objects only, because the rounding of measurements depends on the origin.
    """
    cells = objects.anchors // CELL_PX
    low, high = cells * CELL_PX - _MARGIN_PX, (cells + 1) * CELL_PX + _MARGIN_PX
    outside = (objects.boxes[:, :2] < low) | (objects.boxes[:, 2:] > high)
    large = outside[:, 0] | outside[:, 1]
    order = np.lexsort((cells[:, 1], cells[:, 0]))
    order = order[~large[order]]
    starts = np.flatnonzero(np.diff(cells[order], axis=0, prepend=-1).any(axis=1))
    for group in (*np.split(order, starts[1:]), *np.flatnonzero(large)[:, None]):
        if len(group):
            corner = objects.boxes[group[0], :2] if large[group[0]] else low[group[0]]
            size = objects.boxes[group, 2:].max(axis=0) - corner
            yield ids[group], objects.take(group), Box(*corner.tolist(), *size.tolist())
    yield ids[:0], objects.take(order[:0]), Box(0, 0, 1, 1)


def _measure(job: Job, ids: np.ndarray, objects: Objects, box: Box) -> ObjectTable:
    """Measure the objects in a box."""
    canvas = np.zeros((box.height, box.width), np.uint32)
    paint(canvas, objects, ids, box)
    return measure_objects(
        canvas.astype(np.int32), mpp=job.mpp, origin=(box.row, box.col), image_shape=job.shape
    )
