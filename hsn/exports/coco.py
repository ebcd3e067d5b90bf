"""Write objects as COCO JSON with run-length encoded masks, which pycocotools, Detectron2 and CVAT read."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations.coco import encode_counts
from ..files import atomic_write
from .measure import find_runs
from .source import ExportSource, whole_objects


def write_coco(path: str | Path, source: ExportSource) -> int:
    """Write the objects of an image as COCO JSON.

    Parameters
    ----------
    path : path
    source : ExportSource

    Returns
    -------
    int
        Number of annotations.

    Raises
    ------
    InputError
        "raster-too-large" for a slide: COCO codes cover the whole image.

    Notes
    -----
    The categories are the classes of the taxonomy; their ids are the labels. `score` is the mean probability of the
    object, `uuid` is its name in the other exports.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.taxonomies import NUCLEI
    >>> from hsn.types import Segmentation
    >>> from hsn.exports.source import source_of
    >>> labels = np.array([[0, 1], [0, 1]])
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_coco(path, source_of(Segmentation(labels, labels, None, np.ones(2), NUCLEI)))
    1
    >>> json.loads(path.read_text())["annotations"][0]["segmentation"]["counts"]
    '22'
    """
    numbers = whole_objects(source, "coco")
    height, width = numbers.shape
    codes, boxes = _codes(numbers)
    annotations: list[dict[str, Any]] = []
    for table in source.tables():
        classes = [source.taxonomy.index(name) for name in table.columns["class"].tolist()]
        scores = table.columns.get("score", np.full(len(table), np.nan)).tolist()
        areas = table.checked_outlines().areas().tolist()
        for k, uuid in enumerate(table.columns["uuid"].tolist()):
            number = len(annotations)
            score = {"score": scores[k]} if np.isfinite(scores[k]) else {}
            annotations.append({
                "id": number + 1, "image_id": 1, "category_id": classes[k], "iscrowd": 0, "area": areas[k],
                "bbox": boxes[number], "segmentation": {"size": [height, width], "counts": codes[number]},
                "uuid": uuid, **score,
            })  # fmt: skip
    data = {
        "info": {"description": "objects segmented by hsn"},
        "images": [{"id": 1, "file_name": source.name, "height": height, "width": width}],
        "categories": [{"id": k, "name": tissue} for k, tissue in enumerate(source.taxonomy.names)],
        "annotations": annotations,
    }
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return len(annotations)


def _codes(numbers: np.ndarray) -> tuple[list[str], list[list[int]]]:
    """Return the compressed code and the box (x, y, width, height) of each object."""
    height, width = numbers.shape
    if not numbers.any():
        return [], []
    runs = find_runs(np.ascontiguousarray(numbers.T))  # runs along columns
    order = np.argsort(runs.label, kind="stable")
    label, col, start, stop = (column[order] for column in runs)
    count = int(label.max(initial=0))
    first, last = col * height + start, col * height + stop
    # A run to the bottom of a column and one from the top of the next are one run of the code.
    joined = np.append(False, (label[1:] == label[:-1]) & (first[1:] == last[:-1]))
    first, owner = first[~joined], label[~joined]
    last = last[np.append(~joined[1:], True)]
    new = np.append(True, owner[1:] != owner[:-1])
    gap = first - np.where(new, 0, np.append(0, last[:-1]))
    ends = np.append(new[1:], True)
    # Each object: gaps and lengths in turn, then the rest of the image.
    pairs = np.column_stack([gap, last - first, height * width - last])
    used = np.column_stack([np.ones((len(gap), 2), bool), ends & (last < height * width)])
    offsets = np.append(0, np.cumsum(np.bincount(np.repeat(owner, used.sum(axis=1)) - 1, minlength=count)))
    groups = np.searchsorted(label, np.arange(1, count + 1))
    top, low = np.minimum.reduceat(start, groups), np.maximum.reduceat(stop, groups)
    left, right = np.minimum.reduceat(col, groups), np.maximum.reduceat(col, groups) + 1
    boxes = np.column_stack([left, top, right - left, low - top]).tolist()
    return encode_counts(pairs[used], offsets), boxes
