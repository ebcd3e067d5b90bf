"""The tasks of a run. Each can be repeated: it writes its data, then its marker.

1. `predict_windows`: probabilities of the windows of the lattice, as bytes.
2. `separate_block`: objects of a block, and the pieces of regions that cross its edges.
3. `separate_crossing`: objects of the regions that cross edges of blocks.
4. `write_block`: the label image of the objects of a block.

`hsn.wsi.measuring` has a fifth one.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from ..images.tiles import read_mirrored
from ..images.tissue import mask_at
from ..limits import REGION_PIXELS
from ..objects.regions import Box, Objects, margin_px, separate_box, separate_region
from ..prediction.tiling import predict_tile
from ..store.arrays import BoxReader, open_array
from ..store.folder import ARRAYS, load_part
from ..supervision import method_of
from .executors import peak_memory_mb
from .plan import Job, opened

EVIDENCE, OBJECT_IDS, TISSUE = "evidence", "objects", "tissue"  # arrays
WINDOWS, BLOCKS, CROSSING, WRITE = "windows", "blocks", "crossing", "write"  # phases
SAMPLE_PX, SAMPLE_SQUARES = 256, 32  # on which the stains of a slide are measured
_SAMPLES: dict[tuple[str, str], np.ndarray] = {}  # of the slide that a process works on
CROSSING_PART, NUMBERS_PART = "crossing-all", "numbers"


def predict_windows(job: Job, keys: Sequence[str]) -> dict[str, Any]:
    """Predict windows and write them as bytes; the next window is read while the net runs.

    Returns
    -------
    dict
        `done`: number of windows.
    """
    boxes, lattice, net = job.boxes(*job.window), job.plan["lattice"], opened(job).net
    reader, evidence = job.slide.at(job.mpp), stored_array(job.folder, EVIDENCE, job.token)
    tissue = tissue_mask(job)
    normalization = method_of(opened(job))[1].normalization
    stain = normalization.stain
    halo, (height, width), channels = lattice["halo"], job.window, slice(*lattice["channels"])
    todo = [key for key in keys if not job.run.is_done(WINDOWS, key)]

    def read(key: str) -> np.ndarray:
        row, col, *_ = boxes[key]
        pixels = read_mirrored(reader, row - halo, col - halo, height + 2 * halo, width + 2 * halo)
        return np.asarray(pixels if stain is None else stain.normalize(pixels, like=stain_sample(job)))

    start = time.process_time()
    for key, pixels in read_ahead(todo, read):
        maps = predict_tile(net, pixels, normalization, halo=halo, tta=lattice["tta"])[..., channels]
        box = boxes[key]
        inside = mask_at(tissue, job.shape, *box)
        levels = np.rint(maps[: box.height, : box.width] * 255).astype(np.uint8) * inside[..., None]
        rows, columns = box.within(Box(0, 0, *job.shape))
        evidence[:, rows, columns] = np.moveaxis(levels, 2, 0)
        start = mark_window(job, key, start)
    return {"done": len(keys)}


def tissue_mask(job: Job) -> np.ndarray:
    """Return the mask of the tissue, bool (H, W) at its own scale."""
    return np.asarray(open_array(f"{job.folder}/{ARRAYS}", TISSUE)[:]) > 0


def stain_sample(job: Job) -> np.ndarray:
    """Return squares of tissue of a slide, below each other, on which its stains are measured: uint8 (h, w, 3).

    The squares are chosen by a digest of the slide and their places, so that every process takes the same.
    """
    if (job.folder, job.token) not in _SAMPLES:
        boxes, tissue = job.boxes(SAMPLE_PX, SAMPLE_PX), tissue_mask(job)
        shares = {key: mask_at(tissue, job.shape, *box).mean() for key, box in boxes.items()}
        full = [key for key in boxes if shares[key] > 0.9] or [max(boxes, key=lambda key: shares[key])]
        slide = job.plan["slide"]["fingerprint"]
        full.sort(key=lambda key: hashlib.sha256(f"{slide} {key}".encode()).digest())
        reader, size = job.slide.at(job.mpp), (SAMPLE_PX, SAMPLE_PX)
        _SAMPLES.clear()
        _SAMPLES[job.folder, job.token] = np.concatenate([
            read_mirrored(reader, *boxes[key][:2], *size) for key in full[:SAMPLE_SQUARES]
        ])  # fmt: skip
    return _SAMPLES[job.folder, job.token]


def read_ahead(keys: Sequence[str], read: Callable[[str], np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the pixels of each key; the next ones are read while the caller computes.

    Examples
    --------
    >>> [(key, pixels.shape) for key, pixels in read_ahead("ab", lambda key: np.zeros(2))]
    [('a', (2,)), ('b', (2,))]
    """
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, keys[0]) if keys else None
        for number, key in enumerate(keys):
            pixels = coming.result()  # type: ignore[union-attr]  # set for each key
            coming = thread.submit(read, keys[number + 1]) if number + 1 < len(keys) else None
            yield key, pixels


def mark_window(job: Job, key: str, start: float) -> float:
    """Mark a window as finished, with the seconds of the processor since `start`; return the time."""
    now = time.process_time()
    job.run.mark(WINDOWS, key, cpu_s=round(now - start, 3), pid=os.getpid(), peak_mb=peak_memory_mb())
    return now


def separate_block(job: Job, key: str) -> dict[str, Any]:
    """Separate the objects of a block and write them.

    Returns
    -------
    dict
        `objects`: number of objects that do not cross an edge of the block.
    """
    phase = blocks_phase(job)
    if job.run.is_done(phase, key):
        return dict(job.run.marker(phase, key))
    box = job.boxes(job.block_px, job.block_px)[key]
    result = separate_box(*_evidence(job, box), box, job.shape, job.postprocess, mpp=job.mpp)
    arrays = {f"edge{k}": line for k, line in enumerate(result.edges)} | {"pieces": result.pieces}
    job.run.save_part(phase, key, arrays | as_arrays(result.objects))
    job.run.mark(phase, key, objects=len(result.objects))
    return {"objects": len(result.objects)}


def separate_crossing(job: Job, key: str, regions: Sequence[tuple[Box, tuple[int, int]]]) -> dict[str, Any]:
    """Separate the objects of regions that cross edges of blocks, and write them.

    Parameters
    ----------
    job : Job
    key : str
    regions : sequence of (Box, (int, int))
        Bounding box and first pixel of each region.

    Returns
    -------
    dict
        `objects`: number of objects. `too_large`: number of regions that are left out, because their boxes have more
        than `REGION_PIXELS` pixels.
    """
    phase = crossing_phase(job)
    if job.run.is_done(phase, key):
        return dict(job.run.marker(phase, key))
    found, too_large = [], 0
    for region, first in regions:
        box = region.grown(1, job.shape)
        if box.height * box.width > REGION_PIXELS:
            too_large += 1
            continue
        found.append(
            separate_region(*_evidence(job, box), box, job.shape, first, job.postprocess, mpp=job.mpp)
        )
    objects = Objects.joined(found)
    job.run.save_part(phase, key, as_arrays(objects))
    job.run.mark(phase, key, objects=len(objects), too_large=too_large)
    return {"objects": len(objects), "too_large": too_large}


def write_block(job: Job, key: str) -> dict[str, Any]:
    """Write the label image of a block.

    Returns
    -------
    dict
        `area_px`: number of object pixels.
    """
    phase = write_phase(job)
    if job.run.is_done(phase, key):
        return dict(job.run.marker(phase, key))
    box = job.boxes(job.block_px, job.block_px)[key]
    labels = np.zeros((box.height, box.width), np.uint32)
    crossing, crossing_ids = crossing_objects(job)
    parts = [objects_of(job.run.load_part(blocks_phase(job), key)), crossing]
    numbers = [job.run.load_part(numbers_phase(job), key)["ids"], crossing_ids]
    for objects, ids in zip(parts, numbers, strict=True):
        low, high = objects.boxes[:, :2], objects.boxes[:, 2:]
        near = (low < (box.row + box.height, box.col + box.width)).all(1) & (high > (box.row, box.col)).all(1)
        chosen = np.flatnonzero(near & (ids > 0))
        paint(labels, objects.take(chosen), ids[chosen], box)
    array = stored_array(job.folder, OBJECT_IDS, job.token)
    if labels.any():
        array[box.within(Box(0, 0, *job.shape))] = labels
    area = int(np.count_nonzero(labels))
    job.run.mark(phase, key, area_px=area)
    return {"area_px": area}


def crossing_objects(job: Job) -> tuple[Objects, np.ndarray]:
    """Return the objects of regions that cross edges of blocks, and their ids; 0 for none."""
    arrays = _crossing(job.folder, job.block_px, job.token)
    return objects_of(arrays), arrays["ids"]


def paint(labels: np.ndarray, objects: Objects, ids: np.ndarray, box: Box) -> None:
    """Draw objects into the label image of a box; parts outside are cut.

    Examples
    --------
    >>> labels = np.zeros((1, 3), np.uint32)
    >>> runs = np.array([[5, 6, 9]])
    >>> objects = Objects(*(np.zeros((1, k)) for k in (2, 2, 4, 4)), np.array([1]), runs, np.zeros((0, 2)))
    >>> paint(labels, objects, np.array([7]), Box(5, 7, 1, 3))
    >>> labels.tolist()
    [[7, 7, 0]]
    """
    rows, starts, ends = objects.runs.T.astype(np.int64)
    rows, starts, ends = (
        rows - box.row,
        np.maximum(starts - box.col, 0),
        np.minimum(ends - box.col, box.width),
    )
    inside = (rows >= 0) & (rows < box.height) & (starts < ends)
    lengths = (ends - starts)[inside]
    firsts = (rows * box.width + starts)[inside] - np.append(0, np.cumsum(lengths))[:-1]
    pixels = np.repeat(firsts, lengths) + np.arange(int(lengths.sum()))
    labels.ravel()[pixels] = np.repeat(np.repeat(ids, objects.counts)[inside], lengths)


def as_arrays(objects: Objects) -> dict[str, np.ndarray]:
    """Return the fields of objects, to store them."""
    return {name: getattr(objects, name) for name in Objects.FIELDS}


def objects_of(arrays: dict[str, np.ndarray]) -> Objects:
    """Return stored objects."""
    return Objects(*(arrays[name] for name in Objects.FIELDS))


# Blocks are not in the plan: another size of blocks repeats these phases, with the same result.


def blocks_phase(job: Job) -> str:
    """Return the name of the phase that separates blocks."""
    return f"{BLOCKS}-{job.block_px}"


def crossing_phase(job: Job) -> str:
    """Return the name of the phase that separates crossing regions."""
    return f"{CROSSING}-{job.block_px}"


def numbers_phase(job: Job) -> str:
    """Return the name of the phase that numbers objects."""
    return f"numbers-{job.block_px}"


def write_phase(job: Job) -> str:
    """Return the name of the phase that writes label images."""
    return f"{WRITE}-{job.block_px}"


def _evidence(job: Job, box: Box) -> tuple[np.ndarray, Box]:
    """Return the probabilities of a box and its margin, and the box with the margin."""
    outer = box.grown(margin_px(job.plan["lattice"]["classes"], job.postprocess, job.mpp), job.shape)
    return box_reader(job.folder, EVIDENCE, job.token).read(*outer), outer


# What a process keeps for its next task; the token makes another call start anew.


@lru_cache(maxsize=2)
def box_reader(folder: str, name: str, token: str) -> BoxReader:
    """Return a reader of an array of the store with channels first."""
    return BoxReader(open_array(f"{folder}/{ARRAYS}", name))


@lru_cache(maxsize=4)
def stored_array(folder: str, name: str, token: str) -> Any:
    """Return an array of the store, to write whole chunks."""
    return open_array(f"{folder}/{ARRAYS}", name, mode="r+")


@lru_cache(maxsize=1)
def _crossing(folder: str, block_px: int, token: str) -> dict[str, np.ndarray]:
    return load_part(folder, f"numbers-{block_px}", CROSSING_PART)
