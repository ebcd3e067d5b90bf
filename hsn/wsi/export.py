"""Tables and files of a run: objects in the order of their ids, one row of blocks at a time; parts of classes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..exports.formats import write_export
from ..exports.measure import class_parts, find_pieces, measure_objects, nearest_distances
from ..exports.pyramid import level_shape, read_block
from ..exports.source import ExportSource
from ..images.tissue import mask_at
from ..objects.labeling import object_probability
from ..objects.table import ObjectTable, concatenate
from ..store.arrays import open_array
from ..store.folder import ARRAYS
from ..taxonomies import Taxonomy
from .classes import LABELS
from .measuring import read_table
from .plan import OBJECTS, Job
from .tasks import EVIDENCE, OBJECT_IDS, TISSUE

FORMATS = ("csv", "geojson")  # that are always written
PARTS_PX = 4096  # largest side of the label image that parts of classes are traced in


class _Mask:
    """The classes of a slide, read from its label image: 1 where there is an object."""

    def __init__(self, instances: Any) -> None:
        self._instances, self.shape, self.ndim, self.dtype = instances, instances.shape, 2, np.dtype(np.uint8)

    def __getitem__(self, box: Any) -> np.ndarray:
        return (self._instances[box] > 0).astype(np.uint8)


class _ChannelsLast:
    """Probabilities (H, W, C) of an array (C, H, W)."""

    def __init__(self, array: Any) -> None:
        self._array, self.ndim, self.dtype = array, 3, np.dtype(np.uint8)
        self.shape = (*array.shape[1:], array.shape[0])

    def __getitem__(self, box: Any) -> np.ndarray:
        rows, columns, *channels = box if isinstance(box, tuple) else (box, slice(None))
        levels = self._channels(np.moveaxis(self._array[:, rows, columns], 0, 2))
        return levels[..., channels[0]] if channels else levels

    def _channels(self, levels: np.ndarray) -> np.ndarray:
        return levels


class _BackgroundAndObject(_ChannelsLast):
    """Probabilities (H, W, 2): inside and contour are joined as `Segmentation` has them."""

    def __init__(self, array: Any) -> None:
        super().__init__(array)
        self.shape = (*array.shape[1:], 2)

    def _channels(self, levels: np.ndarray) -> np.ndarray:
        inside = np.clip(object_probability(levels.astype(np.int32)), 0, 255)
        return np.stack([255 - inside, inside], axis=2).astype(np.uint8)


def write_files(job: Job, taxonomy: Taxonomy, save: Sequence[str] = ()) -> dict[str, str]:
    """Write the objects, or the parts of the classes, in the default formats and others.

    Parameters
    ----------
    job : Job
    taxonomy : Taxonomy
    save : sequence of str
        Further formats; see `hsn.export`. Default: none.

    Returns
    -------
    dict of str to str
        Path of each format's file.
    """
    source, folder = source_of(job, taxonomy), Path(job.folder)
    kinds = dict.fromkeys((*FORMATS, *save))
    return {kind: str(write_export(source, folder / "exports", kind)) for kind in kinds}


def source_of(job: Job, taxonomy: Taxonomy) -> ExportSource:
    """Return a run as the source of exports; its arrays stay on the disk."""
    store, name = Path(job.folder) / ARRAYS, job.slide.path.stem
    evidence = open_array(store, EVIDENCE)
    if job.kind != OBJECTS:
        labels, maps = open_array(store, LABELS), _ChannelsLast(evidence)
        return ExportSource(
            name, taxonomy, lambda: [class_table(job, taxonomy)], labels, probabilities=maps, mpp=job.mpp
        )
    instances, probabilities = open_array(store, OBJECT_IDS), _BackgroundAndObject(evidence)
    return ExportSource(
        name, taxonomy, lambda: tables(job, taxonomy), _Mask(instances), instances, probabilities, mpp=job.mpp
    )


def tables(job: Job, taxonomy: Taxonomy) -> Iterator[ObjectTable]:
    """Yield the tables of one row of blocks after the other; positions are of level 0."""
    across, down = (a / b for a, b in zip(job.slide.dimensions, job.shape[::-1], strict=True))
    colors = {kind.name: kind.color for kind in taxonomy.classes}
    nearest, tissue = _nearest(job), np.asarray(open_array(Path(job.folder) / ARRAYS, TISSUE)[:]) > 0
    for keys in _rows(job):
        parts, part_sums = zip(*(read_table(job, key) for key in keys), strict=True)
        table, sums = concatenate(parts), np.concatenate(part_sums)
        order = np.argsort(table["id"])
        table, sums = table[order], sums[order]
        ids = table["id"]
        x, y = table["centroid_x_px"] * across, table["centroid_y_px"] * down
        first = {
            "id": ids,
            "class": np.full(len(ids), taxonomy.names[1]),
            "score": np.round(sums[:, 3] / sums[:, 0] / 255, 6),
        }
        table = replace(table, columns=first | dict(table.columns), colors=colors).with_columns(
            centroid_x_px=x,
            centroid_y_px=y,
            centroid_x_um=x * job.slide.mpp,
            centroid_y_um=y * job.slide.mpp,
            nearest_neighbor_um=nearest[ids - 1] * job.mpp,
            tissue_id=find_pieces(x, y, tissue, job.slide.dimensions),
        )
        outlines = table.checked_outlines()
        if (across, down) != (1, 1):
            outlines = outlines._replace(points=np.round(outlines.points * (across, down), 3))
        yield replace(table, outlines=outlines).named(job.slide.path.stem)


def class_table(job: Job, taxonomy: Taxonomy) -> ObjectTable:
    """Return the 4-connected parts of the classes in the tissue; positions are of level 0.

    A large slide is reduced first to at most 4096 px a side: every n-th pixel stands for its neighbors.
    """
    store = Path(job.folder) / ARRAYS
    level = max(0, math.ceil(math.log2(max(job.shape) / PARTS_PX)))
    rows, columns = (slice(0, side) for side in level_shape(job.shape, level))
    labels = read_block(open_array(store, LABELS), rows, columns, level, mean=False).astype(np.int32)
    inside = mask_at(open_array(store, TISSUE)[:] > 0, labels.shape, 0, 0, *labels.shape)
    parts = class_parts(np.where(inside, labels, -1), taxonomy)
    table = measure_objects(parts, labels=labels, taxonomy=taxonomy, mpp=job.mpp * 2**level)
    size = np.array(job.slide.dimensions)
    across, down = size / job.shape[::-1] * 2**level
    x, y = table["centroid_x_px"] * across, table["centroid_y_px"] * down
    table = table.with_columns(
        centroid_x_px=x, centroid_y_px=y, centroid_x_um=x * job.slide.mpp, centroid_y_um=y * job.slide.mpp
    )
    outlines = table.checked_outlines()
    points = np.minimum(np.round(outlines.points * (across, down), 3), size)
    return replace(table, outlines=outlines._replace(points=points)).named(job.slide.path.stem)


def _rows(job: Job) -> list[list[str]]:
    """Return the keys of the blocks, row by row: ids grow from row to row."""
    grid: dict[int, list[str]] = {}
    for key in job.boxes(job.block_px, job.block_px):
        grid.setdefault(int(key.split(".")[0]), []).append(key)
    return list(grid.values())


def _nearest(job: Job) -> np.ndarray:
    """Return the distance of each object to the nearest other one, in pixels of the net, by id."""
    ids, sums = [np.zeros(0, np.int64)], [np.zeros((0, 4))]
    for key in (key for row in _rows(job) for key in row):
        table, own = read_table(job, key)
        ids.append(table["id"])
        sums.append(own)
    ordered = np.concatenate(sums)[np.argsort(np.concatenate(ids))]
    return nearest_distances(ordered[:, 1:3] / ordered[:, :1])
