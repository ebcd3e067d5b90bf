"""Write the objects of a run: a table and outlines, in the order of the ids, one row of blocks at a time."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid5

import cv2
import numpy as np

from ..files import atomic_write
from ..objects.regions import Objects
from ..taxonomies import Taxonomy
from .plan import Job
from .tasks import CROSSING_PART, blocks_phase, numbers_phase, objects_of

TABLE, OUTLINES = "objects.csv", "objects.geojson"
COLUMNS = ("id", "uuid", "class", "probability", "x_px", "y_px", "x_um", "y_um", "area_um2")
_TEXT = ("uuid", "class")


def rows_of_objects(job: Job) -> Iterator[tuple[np.ndarray, Objects]]:
    """Yield the ids of the objects and the objects of one row of blocks after the other, in the order of the ids."""
    grid: dict[int, list[str]] = {}
    for key in job.boxes(job.block_px, job.block_px):
        grid.setdefault(int(key.split(".")[0]), []).append(key)
    crossing_arrays = job.run.load_part(numbers_phase(job), CROSSING_PART)
    crossing, crossing_ids = objects_of(crossing_arrays), crossing_arrays["ids"]
    for row, keys in grid.items():
        here = (crossing_ids > 0) & (crossing.anchors[:, 0] // job.block_px == row)
        parts, ids = [crossing.take(np.flatnonzero(here))], [crossing_ids[here]]
        for key in keys:
            numbers = job.run.load_part(numbers_phase(job), key)["ids"]
            parts.append(objects_of(job.run.load_part(blocks_phase(job), key)).take(np.flatnonzero(numbers)))
            ids.append(numbers[numbers > 0])
        together = np.concatenate(ids)
        order = np.argsort(together)
        yield together[order], Objects.joined(parts).take(order)


def write_objects(job: Job, taxonomy: Taxonomy) -> list[Path]:
    """Write the table and the outlines of all objects; return the files.

    Parameters
    ----------
    job : Job
    taxonomy : Taxonomy
        Background and one kind of object.
    """
    folder, kind = Path(job.folder), taxonomy.classes[1]
    scale = job.slide.dimensions[0] / job.shape[1], job.slide.dimensions[1] / job.shape[0]  # x, y
    style = {"name": kind.name, "color": list(kind.color)}
    with (
        atomic_write(folder / TABLE) as table_path,
        atomic_write(folder / OUTLINES) as outlines_path,
        open(table_path, "w", newline="", encoding="utf-8") as table,
        open(outlines_path, "w", encoding="utf-8") as outlines,
    ):
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        outlines.write('{"type": "FeatureCollection", "features": [')
        first = True
        for ids, objects in rows_of_objects(job):
            columns = _columns(job, ids, objects, kind.name, scale)
            writer.writerows(zip(*columns.values(), strict=True))
            for k, polygon in enumerate(_polygons(objects)):
                outlines.write("\n" if first else ",\n")
                outlines.write(json.dumps(_feature(columns, k, polygon * scale, style), ensure_ascii=False))
                first = False
        outlines.write("\n]}\n")
    return [folder / TABLE, folder / OUTLINES]


def read_table(folder: Path) -> dict[str, np.ndarray]:
    """Read the columns of `objects.csv`."""
    with open(folder / TABLE, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return {
        name: np.array(values)
        if name in _TEXT
        else np.array(values, float).astype(int if name == "id" else float)
        for name, values in zip(header, cells, strict=True)
    }


def _columns(
    job: Job, ids: np.ndarray, objects: Objects, name: str, scale: tuple[float, float]
) -> dict[str, list]:
    """Return the columns of the table; positions are of level 0, where the first pixel covers 0 to 1."""
    space = UUID(job.run.digest[:32])
    area, row, col, probability = objects.sums.T
    x, y = (col / area + 0.5) * scale[0], (row / area + 0.5) * scale[1]
    mpp = job.slide.mpp
    numbers = (probability / area / 255, x, y, x * mpp, y * mpp, area * scale[0] * scale[1] * mpp**2)
    rounded = [
        np.round(values, digits).tolist() for values, digits in zip(numbers, (4, 2, 2, 2, 2, 3), strict=True)
    ]
    uuids = [str(uuid5(space, f"{r},{c}")) for r, c in objects.anchors.tolist()]
    return dict(zip(COLUMNS, (ids.tolist(), uuids, [name] * len(ids), *rounded), strict=True))


def _polygons(objects: Objects) -> Iterator[np.ndarray]:
    """Yield the outline of each object, float64 (n, 2): x, y of pixel corners at the net's scale."""
    starts = np.append(0, np.cumsum(objects.counts))
    for k, (top, left, bottom, right) in enumerate(objects.boxes.tolist()):
        mask = np.zeros((bottom - top, right - left), np.uint8)
        for row, start, end in objects.runs[starts[k] : starts[k + 1]].tolist():
            mask[row - top, start - left : end - left] = 1
        # Twice as many pixels: the pixel at a corner has the coordinates of that corner.
        contours, _ = cv2.findContours(
            mask.repeat(2, 0).repeat(2, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        longest = max(contours, key=cv2.contourArea)[:, 0]
        yield (longest + 1) // 2 + np.array([left, top], float)


def _feature(columns: dict[str, list], k: int, polygon: np.ndarray, style: dict) -> dict:
    """Return an object as a GeoJSON Feature for QuPath."""
    ring = np.round(polygon, 2).tolist()
    measurements = {"Area µm^2": columns["area_um2"][k], "Probability": columns["probability"][k]}
    return {
        "type": "Feature",
        "id": columns["uuid"][k],
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"objectType": "detection", "classification": style, "measurements": measurements},
    }
