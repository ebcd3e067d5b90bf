"""The tasks of a run that labels tissue classes. Each can be repeated: it writes its data, then its marker.

1. `predict_groups`: a net of tags predicts groups of overlapping windows; other nets predict with
   `hsn.wsi.tasks.predict_windows`.
2. `label_block`: classes of a block.

The windows of a net of tags start at multiples of the stride from the first pixel of the slide. The maps of a window
are averaged with those of its neighbors, and refined by the dense CRF alone: the class of a pixel does not depend on
the block. It is that of `hsn.supervision.tags.overlapped_windows` over the whole slide, except for the rounding of
maps to bytes.
"""

import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..images.tiles import blend_neighbors, grid, read_mirrored
from ..images.tissue import mask_at
from ..objects.regions import Box
from ..store.folder import load_part
from ..supervision import method_of
from ..supervision.tags.config import CRFConfig
from ..supervision.tags.overlapped_windows import WindowPredictor, core_of
from ..supervision.tags.stage_maps import refine_maps
from .plan import GROUP, TAGS, Job, opened
from .tasks import EVIDENCE, WINDOWS, box_reader, mark_window, read_ahead, stored_array, tissue_mask

MAPS, LABELS = "window-maps", "labels"  # arrays
SQUARE_PX = 256  # the certainty of each square is measured; blocks are multiples of it
_BATCH = 8  # windows per forward pass


def predict_groups(job: Job, keys: Sequence[str]) -> dict[str, Any]:
    """Predict groups of overlapping windows with a net of tags, and write their maps side by side, as bytes.

    Returns
    -------
    dict
        `done`: number of groups.
    """
    reader, maps, tissue = job.slide.at(job.mpp), stored_array(job.folder, MAPS, job.token), tissue_mask(job)
    config, taxonomy = _config_of(job)
    predictor, side = WindowPredictor(opened(job).net, config, taxonomy), config.window_px
    windows = {key: windows_of(job, key, tissue) for key in keys if not job.run.is_done(WINDOWS, key)}

    def read(key: str) -> np.ndarray:
        pixels = [read_mirrored(reader, *box) for box in windows[key].values()]
        return np.stack(pixels) if pixels else np.zeros((0, side, side, 3), np.uint8)

    start = time.process_time()
    for key, pixels in read_ahead(list(windows), read):
        row, col = (int(k) * GROUP for k in key.split("."))
        shape = tuple(min(GROUP, n - k) for n, k in zip(_counts(job), (row, col), strict=True))
        levels = np.zeros((len(taxonomy), shape[0] * side, shape[1] * side), np.uint8)
        present, scores = np.zeros((*shape, len(taxonomy)), bool), np.zeros(len(taxonomy), np.float32)
        places = list(windows[key])
        for first in range(0, len(places), _BATCH):
            _, adjusted, batch_scores = predictor.predict(pixels[first : first + _BATCH])
            scores = np.maximum(scores, batch_scores.max(axis=0))
            for (r, c), window in zip(places[first : first + _BATCH], adjusted, strict=True):
                present[r - row, c - col] = window.any(axis=(0, 1))
                rows, columns = (slice(k * side, (k + 1) * side) for k in (r - row, c - col))
                levels[:, rows, columns] = np.moveaxis(np.rint(window * 255).astype(np.uint8), 2, 0)
        top, left = row * side, col * side
        maps[:, top : top + levels.shape[1], left : left + levels.shape[2]] = levels
        job.run.save_part(MAPS, key, {"present": present, "scores": scores})
        start = mark_window(job, key, start)
    return {"done": len(keys)}


def label_block(job: Job, key: str) -> dict[str, Any]:
    """Write the classes of a block; of a net of tags also the mean maps.

    Returns
    -------
    dict
        `pixels`: number of pixels of each class in the tissue. Off the tissue, all pixels have the first class.
        `squares`: first row, first column and mean lead of the highest over the second map, of squares of tissue.
    """
    phase = classes_phase(job)
    if job.run.is_done(phase, key):
        return dict(job.run.marker(phase, key))
    box = job.boxes(job.block_px, job.block_px)[key]
    inside = mask_at(tissue_mask(job), job.shape, *box)
    place = box.within(Box(0, 0, *job.shape))
    if job.kind == TAGS:
        labels, levels = _blend_windows(job, box, inside)
        if levels.any():
            stored_array(job.folder, EVIDENCE, job.token)[:, *place] = np.moveaxis(levels, 2, 0)
    else:
        levels = box_reader(job.folder, EVIDENCE, job.token).read(*box)
        labels = levels.argmax(axis=2)
    array = stored_array(job.folder, LABELS, job.token)
    labels = np.where(inside, labels, 0).astype(array.dtype)
    if labels.any():
        array[place] = labels
    pixels = np.bincount(labels[inside], minlength=job.plan["lattice"]["classes"]).tolist()
    job.run.mark(phase, key, pixels=pixels, squares=_leads(levels, inside, box))
    return dict(job.run.marker(phase, key))


def window_scores(job: Job) -> np.ndarray:
    """Return the highest score of each class over all windows of a net of tags, float32 (C,).

    An inferred class that is present has the score 1.
    """
    _, taxonomy = _config_of(job)
    inferred = np.array([name in taxonomy.inferred for name in taxonomy.names])
    scores = np.zeros(len(taxonomy), np.float32)
    for key in job.run.finished(WINDOWS):
        part = job.run.load_part(MAPS, key)
        scores = np.maximum(scores, np.where(inferred, part["present"].any(axis=(0, 1)), part["scores"]))
    return scores


def windows_of(job: Job, key: str, tissue: np.ndarray) -> dict[tuple[int, int], Box]:
    """Return the boxes of the windows of a group that show tissue, by their place in the grid."""
    side, starts = job.plan["lattice"]["window_px"], window_starts(job)
    places = product(*(
        range(int(k) * GROUP, min((int(k) + 1) * GROUP, n))
        for k, n in zip(key.split("."), _counts(job), strict=True)
    ))  # fmt: skip
    boxes = {(r, c): Box(starts[0][r], starts[1][c], side, side) for r, c in places}
    return {
        place: box
        for place, box in boxes.items()
        if mask_at(tissue, job.shape, *box.grown(0, job.shape)).any()
    }


def window_starts(job: Job) -> tuple[list[int], list[int]]:
    """Return the first rows and the first columns of the windows of a net of tags."""
    lattice = job.plan["lattice"]
    rows, columns = (grid(side, lattice["window_px"], lattice["stride_px"]) for side in job.shape)
    return rows, columns


def group_keys(job: Job) -> list[str]:
    """Return the keys of all groups of windows, "row.col"."""
    return [f"{r}.{c}" for r, c in product(*(range(-(-n // GROUP)) for n in _counts(job)))]


def classes_phase(job: Job) -> str:
    """Return the name of the phase that labels blocks; another size of blocks repeats it, with the same result."""
    return f"classes-{job.block_px}"


def _counts(job: Job) -> tuple[int, int]:
    """Return the number of rows and columns of windows."""
    rows, columns = window_starts(job)
    return len(rows), len(columns)


def _config_of(job: Job) -> tuple[Any, Any]:
    """Return the config of the net, and the taxonomy of the run."""
    method, config = method_of(opened(job))
    changed = method.Config.from_dict({**config.to_dict(), "taxonomies": [job.plan["space"]]})
    return config, changed.taxonomies[0]


def _blend_windows(job: Job, box: Box, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of a block, int (h, w), and its mean maps, uint8 (h, w, C); 0 off the tissue."""
    config, taxonomy = _config_of(job)
    crf = config.crf.get(taxonomy.name, CRFConfig())
    reader, side = job.slide.at(job.mpp), config.window_px
    starts, stride = window_starts(job), job.plan["lattice"]["stride_px"]
    labels = np.zeros((box.height, box.width), np.int64)
    levels = np.zeros((box.height, box.width, len(taxonomy)), np.uint8)
    near = (
        range(max(0, (first - side) // stride), min(n, (first + size) // stride + 1))
        for first, size, n in zip(box[:2], box[2:], _counts(job), strict=True)
    )
    for row, col in product(*near):
        place = row, col
        core, within = core_of(place, starts, side, stride)
        own = [
            slice(max(part.start - first, 0), min(part.stop - first, size))
            for part, first, size in zip(core, box[:2], box[2:], strict=True)
        ]
        if any(part.start >= part.stop for part in own) or not inside[tuple(own)].any():
            continue
        offsets = (
            first - part.start + window.start
            for first, part, window in zip(box[:2], core, within, strict=True)
        )
        cut = tuple(slice(part.start + k, part.stop + k) for part, k in zip(own, offsets, strict=True))
        maps, pixels = _blended(job, place), None
        if crf.iterations:
            pixels = read_mirrored(reader, starts[0][row], starts[1][col], side, side)
        labels[tuple(own)] = refine_maps(maps, pixels, config, taxonomy)[cut].argmax(axis=2)
        levels[tuple(own)] = np.rint(maps[cut] * 255) * inside[tuple(own)][..., None]
    return labels, levels


def _leads(levels: np.ndarray, inside: np.ndarray, box: Box) -> list[tuple[int, int, float]]:
    """Return first row, first column and mean lead, 0 to 1, of the squares of a block with mostly tissue."""
    squares = []
    for row, col in product(*(range(0, size, SQUARE_PX) for size in inside.shape)):
        part = np.s_[row : row + SQUARE_PX, col : col + SQUARE_PX]
        kept = levels[part][inside[part]]
        if len(kept) < SQUARE_PX**2 / 2:
            continue
        highest = np.sort(kept, axis=1)
        lead = highest[:, -1].mean() if kept.shape[1] == 1 else (highest[:, -1] - highest[:, -2]).mean()
        squares.append((box.row + row, box.col + col, round(float(lead) / 255, 4)))
    return squares


def _blended(job: Job, place: tuple[int, int]) -> np.ndarray:
    """Return the maps of a window, averaged with its neighbors, float32 (px, px, C)."""
    side, stride = (job.plan["lattice"][name] for name in ("window_px", "stride_px"))
    reader = box_reader(job.folder, MAPS, job.token)
    rows, columns = (range(max(0, k - 1), min(k + 2, n)) for k, n in zip(place, _counts(job), strict=True))
    maps = np.stack([
        np.stack([reader.read(r * side, c * side, side, side) for c in columns]) for r in rows
    ]) / np.float32(255)  # fmt: skip
    present = np.array([[_present(job, r, c) for c in columns] for r in rows])
    blended = blend_neighbors(maps, present, stride=stride)
    result: np.ndarray = blended[place[0] - rows.start, place[1] - columns.start]
    return result


def _present(job: Job, row: int, col: int) -> np.ndarray:
    """Return the classes that are present in a window, bool (C,); none in a window without tissue."""
    key = f"{row // GROUP}.{col // GROUP}"
    if not job.run.is_done(WINDOWS, key):
        return np.zeros(job.plan["lattice"]["classes"], bool)
    present: np.ndarray = _group_present(job.folder, key, job.token)[row % GROUP, col % GROUP]
    return present


@lru_cache(maxsize=64)
def _group_present(folder: str, key: str, token: str) -> np.ndarray:
    return load_part(folder, MAPS, key)["present"]
