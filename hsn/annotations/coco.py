"""Read COCO JSON: polygons and run-length encoded masks, as instances.

A run-length code lists the lengths of background and object in turn, column by column. The compressed form writes each
length as the difference to the one before last, in groups of five bits (pycocotools, `maskApi.c`).
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import read_bytes
from ..instances import renumber
from ..limits import COCO_BYTES, ROI_CORNERS
from .label_files import check_size
from .polygons import check_covered
from .scanline import fill_rings

_GROUP_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, 48
_MOST_GROUPS = 7  # 35 bits


def encode_counts(counts: np.ndarray, offsets: np.ndarray) -> list[str]:
    """Compress run lengths as pycocotools does.

    Parameters
    ----------
    counts : int array (N,)
        Run lengths of all masks, one mask after the other.
    offsets : int array (n + 1,)
        Mask k has ``counts[offsets[k] : offsets[k + 1]]``.

    Examples
    --------
    >>> encode_counts(np.array([5, 2, 93, 4, 96]), np.array([0, 5]))
    ['52m223']
    >>> decode_counts('52m223', 'a')
    [5, 2, 93, 4, 96]
    """
    place = np.arange(len(counts)) - np.repeat(offsets[:-1], np.diff(offsets))
    rest = counts.astype(np.int64)
    rest[place > 2] -= counts[np.flatnonzero(place > 2) - 2]
    groups = np.zeros((len(counts), _MOST_GROUPS), np.uint8)
    active = np.ones(len(counts), bool)
    for k in range(_MOST_GROUPS):
        bits = rest & 31
        rest >>= _GROUP_BITS
        more = np.where(bits & _SIGN, rest != -1, rest != 0)
        groups[active, k] = (bits + _MORE * more + _FIRST)[active]
        active &= more
    text = groups[groups > 0].tobytes().decode("ascii")
    sizes = np.append(0, np.cumsum((groups > 0).sum(axis=1)))[offsets].tolist()
    return [text[start:end] for start, end in pairwise(sizes)]


def decode_counts(text: str, where: Path | str) -> list[int]:
    """Return the run lengths of a compressed code.

    Raises
    ------
    InputError
        "coco-mask".
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code < 64 or shift > _GROUP_BITS * _MOST_GROUPS:
            raise _bad_mask(where, repr(text[:40]))
        value |= (code & 31) << shift
        shift += _GROUP_BITS
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift or min(counts, default=0) < 0:
        raise _bad_mask(where, repr(text[:40]))
    return counts


def read_instances(path: Path | str, shape: tuple[int, int], *, image: str | None = None) -> np.ndarray:
    """Read the objects of one image from COCO JSON.

    Parameters
    ----------
    path : path
    shape : (int, int)
        Height and width of the image.
    image : str, optional
        Name of the image in the file, with or without suffix. Default: the only image, or else the one of the stem of
        `path`.

    Returns
    -------
    int32 array (H, W)
        0 background, 1..n in file order, without gaps. Later objects cover earlier ones.

    Raises
    ------
    InputError
        "coco-malformed", "coco-image", "coco-mask", "shape-mismatch" or "outline-coordinates".

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> entry = {"image_id": 1, "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]]}
    >>> _ = path.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [entry]}))
    >>> read_instances(path, (2, 3)).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    data = _load(path)
    entry = _image_entry(data, path, image)
    height, width = entry.get("height"), entry.get("width")
    if height is not None and width is not None:
        check_size(path, (height, width), shape)
    instances, number, covered = np.zeros(shape, np.int64), 0, 0
    for annotation in data["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("image_id") != entry.get("id"):
            continue
        number += 1
        for rows, cols in _pixels(annotation.get("segmentation"), shape, path):
            instances[rows, cols] = number
            covered += len(rows)
            check_covered(covered, shape, path)
    return renumber(instances)[0]


def _load(path: Path | str) -> dict[str, Any]:
    try:
        data = json.loads(read_bytes(path, max_bytes=COCO_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise _malformed(path, error) from None
    lists = isinstance(data, dict) and all(
        isinstance(data.get(key), list) for key in ("images", "annotations")
    )
    if not lists or not all(isinstance(entry, dict) for entry in data["images"]):
        raise _malformed(path, "JSON without the lists images and annotations")
    return data


def is_coco(path: Path | str) -> bool:
    """Return whether the start of a JSON file has the words of COCO."""
    with open(path, "rb") as file:
        start = file.read(2**20)
    return (
        start.lstrip()[:1] == b"{"
        and b'"FeatureCollection"' not in start[:200]
        and (b'"annotations"' in start or b'"images"' in start)
    )


def _image_entry(data: dict[str, Any], path: Path | str, image: str | None) -> dict[str, Any]:
    """Return the entry of the image."""
    entries = data["images"]
    if len(entries) == 1:
        return entries[0]
    stem = Path(path).stem if image is None else Path(image).stem
    found = [entry for entry in entries if Path(str(entry.get("file_name"))).stem == stem]
    if len(found) != 1:
        raise InputError(
            "coco-image",
            f"{path} must have one image named {stem!r}",
            got=f"{len(found)} of {len(entries)} images",
            hint="give the name of the image as in its file_name",
        )
    return found[0]


def _pixels(
    segmentation: Any, shape: tuple[int, int], where: Path | str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows and columns of the parts of one annotation."""
    if isinstance(segmentation, list):
        for part in segmentation:
            yield fill_rings([_corners(part, where)], shape, where=where)
        return
    if not isinstance(segmentation, dict) or segmentation.get("size") != list(shape):
        got = segmentation.get("size") if isinstance(segmentation, dict) else type(segmentation).__name__
        raise _bad_mask(where, f"a mask of {got}")
    counts = segmentation.get("counts")
    lengths = decode_counts(counts, where) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise _bad_mask(where, "run lengths that are not whole numbers")
    if sum(lengths) != shape[0] * shape[1]:
        raise _bad_mask(where, "run lengths that do not add up to the image")
    runs = np.array(lengths, np.int64)
    ends = np.cumsum(runs)[1::2]
    inside = runs[1::2]
    flat = np.arange(inside.sum()) + np.repeat(ends - np.cumsum(inside), inside)
    cols, rows = np.divmod(flat, shape[0])
    yield rows, cols


def _corners(part: Any, where: Path | str) -> np.ndarray:
    """Return the corners of a polygon as (row, col), relative to the center of the first pixel."""
    valid = isinstance(part, list) and 6 <= len(part) <= 2 * ROI_CORNERS and len(part) % 2 == 0
    if not valid or not all(type(number) in (int, float) for number in part):
        raise _bad_mask(where, "a polygon that is not a list of x and y")
    return np.array(part, float).reshape(-1, 2)[:, ::-1] - 0.5


def _malformed(path: Path | str, got: object) -> InputError:
    return InputError(
        "coco-malformed", f"{path} must be COCO JSON", got=got, hint="export the annotation again"
    )


def _bad_mask(where: Path | str, got: object) -> InputError:
    return InputError(
        "coco-mask",
        f"masks in {where} must be polygons or run-length codes of the size of the image",
        got=got,
        hint="export the annotation again",
    )
