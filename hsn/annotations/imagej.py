"""Read ImageJ regions of interest, a `.roi` file or a zip of them, as outlines or instances.

The file layout is from ImageJ's `ij.io.RoiDecoder`: a header of 64 bytes, then the corners, all big-endian. ImageJ's
origin is the corner of the first pixel. A pixel belongs to a region if its center does. A center exactly on an edge
belongs to the object on its left, or below it.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from math import comb
from pathlib import Path

import numpy as np

from ..errors import InputError
from .polygons import Outline, fill_outlines

_POLYGON, _RECTANGLE, _OVAL, _FREEHAND, _TRACED = 0, 1, 2, 7, 8
_NAMES = {3: "line", 4: "free-hand line", 5: "segmented line", 6: "empty region", 9: "angle", 10: "point"}
_LABELS = {1: "text", 4: "overlay image"}  # subtypes of rectangles that outline nothing
_HEADER_BYTES = 64
_SUBPIXEL = 128  # bit of `options`: corners are also stored as floats
_SUBPIXEL_VERSION, _SUBPIXEL_BOX_VERSION = 222, 223  # first versions with float corners; with float boxes
_MIN_SIGNED = -5000  # lower 16-bit values are unsigned
_OVAL_CORNERS = 720  # error below 0.001 pixel for an oval of 100 pixels
# Path segments of a composite region, and their number of points.
_MOVE, _LINE, _QUADRATIC, _CUBIC, _CLOSE = range(5)
_STEP_POINTS = {_MOVE: 1, _LINE: 1, _QUADRATIC: 2, _CUBIC: 3, _CLOSE: 0}
_CURVE_PIECES = 64  # error below 0.01 pixel for a quarter circle of 100 pixels
# Limits against malicious files. A nucleus has a few hundred bytes.
_MAX_ROI_BYTES = 2**24
_MAX_ROIS = 1_000_000
_MAX_BYTES = 2**30
# (row, col) in pixels. ImageJ's filler shifts outlines slightly right, and much less upwards, so that centers on an
# edge are assigned to one side.
_TIE_SHIFT_PX = (-1e-10, 1e-6)


def read_instances(path: Path | str, shape: tuple[int, int]) -> np.ndarray:
    """Read ImageJ regions as instances.

    Parameters
    ----------
    path : path
        A `.roi` file, or a `.zip` of `.roi` files from the ROI manager.
    shape : (int, int)
        Height and width of the image; regions are clipped to it.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in zip order, without gaps. Later regions overwrite earlier ones, as in CryoNuSeg's
        "label masks modify".

    Raises
    ------
    InputError
        See `read_outlines`.

    Notes
    -----
    CryoNuSeg's label images were made with MATLAB's `poly2mask`, whose first pixel center is 1. They are shifted half a
    pixel up and left relative to the drawn regions.

    References
    ----------
    .. [1] Mahbod et al., CryoNuSeg, Computers in Biology and Medicine 2021.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.roi"
    >>> box = struct.pack(">4sHBx5h", b"Iout", 227, 1, 0, 1, 2, 3, 0)  # rows 0 to 2, columns 1 to 3
    >>> _ = path.write_bytes(box.ljust(64, bytes(1)))
    >>> read_instances(path, (3, 4)).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    shifted = (Outline(outline.points + _TIE_SHIFT_PX) for outline in read_outlines(path))
    return fill_outlines(shifted, shape, where=path)


def read_outlines(path: Path | str) -> list[Outline]:
    """Read ImageJ regions as outlines.

    Parameters
    ----------
    path : path
        A `.roi` file, or a `.zip` of them.

    Returns
    -------
    list of Outline
        In zip order; (row, col) in pixels, relative to the center of the first pixel.

    Raises
    ------
    InputError
        "file-unreadable", "file-too-large", "roi-missing", "roi-format", "roi-type", "roi-truncated" or "roi-path".
        The message names the zip entry.

    Notes
    -----
    A composite region (several parts, or holes) is one outline. Its rings are connected by lines in both directions,
    which enclose no area by the even-odd rule.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.roi"
    >>> box = struct.pack(">4sHBx5h", b"Iout", 227, 1, 0, 1, 2, 3, 0)
    >>> _ = path.write_bytes(box.ljust(64, bytes(1)))
    >>> read_outlines(path)[0].points.tolist()
    [[-0.5, 0.5], [-0.5, 2.5], [1.5, 2.5], [1.5, 0.5]]
    """
    return [Outline(_corners(data, where) - 0.5) for data, where in _entries(Path(path))]


def _entries(path: Path) -> Iterator[tuple[bytes, str]]:
    """Yield the regions of a file, each as (bytes, name for messages); nothing is unpacked to disk."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                yield file.read(_MAX_ROI_BYTES), str(path)
            return
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if _is_region(info.filename)]
            if not infos:
                raise InputError(
                    "roi-missing",
                    f"{path} must be a zip of .roi files",
                    got=f"{len(archive.infolist())} other entries",
                    hint="save it from ImageJ's ROI manager",
                )
            _check_size(path, infos)
            for info in infos:
                with archive.open(info) as file:
                    yield file.read(_MAX_ROI_BYTES), f"{path}: {info.filename}"
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise InputError(
            "file-unreadable",
            f"{path} must be a .roi file or a zip of .roi files without password",
            got=error,
            hint="save it again from ImageJ's ROI manager",
        ) from None


def _is_region(name: str) -> bool:
    """Return whether a zip entry is a region; a Mac adds files of its own that start with "._"."""
    return name.lower().endswith(".roi") and not name.rsplit("/", 1)[-1].startswith("._")


def _check_size(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Raise if a zip would unpack to more than hand-drawn regions need."""
    largest = max(info.file_size for info in infos)
    total = sum(info.file_size for info in infos)
    if len(infos) > _MAX_ROIS or largest > _MAX_ROI_BYTES or total > _MAX_BYTES:
        raise InputError(
            "file-too-large",
            f"{path} must have at most {_MAX_ROIS} regions, {_MAX_ROI_BYTES} bytes each, {_MAX_BYTES} in total",
            got=f"{len(infos)} regions, largest {largest} bytes, {total} in total",
            hint="split it",
        )


def _corners(data: bytes, where: str) -> np.ndarray:
    """Return the corners of a region, float64 (n, 2), (row, col), relative to the corner of the first pixel."""
    if len(data) < _HEADER_BYTES or data[:4] != b"Iout":
        raise InputError(
            "roi-format",
            f"{where} must start with 'Iout' and have at least 64 bytes",
            got=f"{len(data)} bytes, {data[:4]!r}",
            hint="save it again from ImageJ",
        )
    version, kind = struct.unpack_from(">HB", data, 4)
    top, left, bottom, right = _signed(np.frombuffer(data, ">i2", 4, 8)).tolist()
    (composite,) = struct.unpack_from(">i", data, 36)
    (options,) = struct.unpack_from(">H", data, 50)
    subtype, arc = struct.unpack_from(">H", data, 48)[0], struct.unpack_from(">H", data, 54)[0]
    is_label = kind == _RECTANGLE and subtype in _LABELS
    if kind not in (_POLYGON, _RECTANGLE, _OVAL, _FREEHAND, _TRACED) or is_label:
        raise InputError(
            "roi-type",
            f"{where} must be a polygon, free-hand, traced, rectangular, oval or composite region",
            got=_LABELS[subtype] if is_label else _NAMES.get(kind, f"type {kind}"),
            hint="draw it again in ImageJ, or delete it",
        )
    if composite:
        return _composite_corners(data, where, composite)
    subpixel = bool(options & _SUBPIXEL) and version >= _SUBPIXEL_VERSION
    if kind in (_POLYGON, _FREEHAND, _TRACED):
        return _listed_corners(data, where, (top, left), subpixel)
    box = np.array([top, left, bottom - top, right - left], float)
    if subpixel and version >= _SUBPIXEL_BOX_VERSION:
        x, y, width, height = struct.unpack_from(">4f", data, 18)
        box = np.array([y, x, height, width], float)
    return _box_corners(box, arc if kind == _RECTANGLE else None)


def _box_corners(box: np.ndarray, arc: int | None) -> np.ndarray:
    """Return the corners of a rectangle, of one with round corners of diameter `arc`, or of an oval (None)."""
    if arc == 0:
        return box[:2] + np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * box[2:]
    angle = np.arange(_OVAL_CORNERS) * (2 * np.pi / _OVAL_CORNERS)
    circle = np.column_stack([np.sin(angle), np.cos(angle)])
    diameter = box[2:] if arc is None else np.minimum(arc, box[2:])
    # The straight sides move each quarter of the ellipse towards its corner of the box.
    return (
        box[:2]
        + box[2:] / 2
        + circle * diameter / 2
        + np.sign(np.round(circle, 9)) * (box[2:] - diameter) / 2
    )


def _signed(shorts: np.ndarray) -> np.ndarray:
    return np.where(shorts < _MIN_SIGNED, shorts + 2.0**16, shorts)


def _listed_corners(data: bytes, where: str, origin: tuple[float, float], subpixel: bool) -> np.ndarray:
    """Return corners that are stored as a list: all x, then all y."""
    (count,) = struct.unpack_from(">H", data, 16)
    if count == 0:  # more than 16 bits can count
        (count,) = struct.unpack_from(">i", data, 18)
    start, form = (_HEADER_BYTES + 4 * count, ">f4") if subpixel else (_HEADER_BYTES, ">i2")
    if count < 0 or len(data) < start + 2 * count * int(form[-1]):
        raise _truncated(data, where, f"{count} corners")
    x, y = np.frombuffer(data, form, 2 * count, start).reshape(2, count).astype(float)
    # Integers are relative to the bounding box, floats to the image.
    return np.column_stack([y, x] if subpixel else [_signed(y) + origin[0], _signed(x) + origin[1]])


def _composite_corners(data: bytes, where: str, count: int) -> np.ndarray:
    """Return the corners of a composite: `count` floats, a path of segments, each a kind and its points (x, y)."""
    if count < 0 or len(data) < _HEADER_BYTES + 4 * count:
        raise _truncated(data, where, f"a path of {count} numbers")
    numbers = np.frombuffer(data, ">f4", count, _HEADER_BYTES).astype(float)
    rings: list[list[np.ndarray]] = []
    at = 0
    while at < count:
        kind = numbers[at]
        end = at + 1 + 2 * _STEP_POINTS.get(kind, count)
        if end > count or (not rings and kind != _MOVE):
            raise InputError(
                "roi-path",
                f"{where} must be a path of moves, lines, curves and closings",
                got=f"{numbers[at]:g} as number {at + 1} of {count}",
                hint="save it again from ImageJ",
            )
        points, at = numbers[at + 1 : end].reshape(-1, 2), end
        if kind == _MOVE:
            rings.append([points])
        elif kind == _CLOSE:
            rings[-1].append(rings[-1][0])
        else:
            rings[-1].append(points if kind == _LINE else _bezier_points(rings[-1][-1][-1], points))
    closed = [np.concatenate([*ring, ring[0]]) for ring in rings]
    back = [ring[:1] for ring in closed[-2::-1]]
    return np.concatenate([*closed, *back])[:, ::-1]


def _truncated(data: bytes, where: str, content: str) -> InputError:
    return InputError(
        "roi-truncated",
        f"{where} must hold {content}",
        got=f"{len(data)} bytes",
        hint="save it again from ImageJ",
    )


def _bezier_points(start: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Sample points of a Bezier curve after its start, (n, 2)."""
    points, t = np.vstack([start, controls]), np.arange(1, _CURVE_PIECES + 1)[:, None] / _CURVE_PIECES
    degree = len(controls)
    return sum(comb(degree, k) * t**k * (1 - t) ** (degree - k) * point for k, point in enumerate(points))
