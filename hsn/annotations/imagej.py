"""Regions of interest of ImageJ: one `.roi` file, or a zip of them, as instances.

The layout is that of ImageJ's own decoder and encoder (`ij.io.RoiDecoder`): a header of 64 bytes, then corners;
all numbers big-endian. ImageJ counts from the corner of a pixel and a pixel belongs to a region if its centre
does. A centre that lies exactly on the line belongs to the object on its left, and to the one below it.
"""

import struct
import zipfile
import zlib
from math import comb
from pathlib import Path

import numpy as np

from ..errors import refuse
from .polygons import Outline, fill

_POLYGON, _RECTANGLE, _OVAL, _FREEHAND, _TRACED = 0, 1, 2, 7, 8
_NAMES = {3: "line", 4: "free-hand line", 5: "segmented line", 6: "empty region", 9: "angle", 10: "point"}
_HEADER_BYTES = 64
_SUBPIXEL = 128  # bit of `options`: the corners are there as floats too
_SUBPIXEL_VERSION, _SUBPIXEL_BOX_VERSION = 222, 223  # of corners; of rectangles and ovals
_LOWEST = -5000  # 16-bit numbers below it stand for large positive ones
_OVAL_CORNERS = 720  # less than a thousandth of a pixel inside an oval of 100 pixels
# Steps of the path of a composite region, and how many points each has.
_MOVE, _LINE, _QUADRATIC, _CUBIC, _CLOSE = range(5)
_STEP_POINTS = {_MOVE: 1, _LINE: 1, _QUADRATIC: 2, _CUBIC: 3, _CLOSE: 0}
_CURVE_PIECES = 64  # a quarter of a circle of 100 pixels is then met to a hundredth of a pixel
# A region of a nucleus has some hundred bytes; these are far beyond any drawing by hand.
_MOST_ROI_BYTES = 2**24
_MOST_ROIS = 1_000_000
_MOST_BYTES = 2**30
# (row, col) in pixels. A centre on the line is settled as ImageJ's filler does by moving the outline a little to
# the right, and much less upwards, so that an inclined edge still moves to the right.
_TIES_PX = (-1e-10, 1e-6)


def instances(path, shape):
    """Read regions of ImageJ as instances.

    Parameters
    ----------
    path : path
        A `.roi` file, or a `.zip` of them as the ROI manager saves it.
    shape : (int, int)
        Height and width of the image; regions are cut at its edges.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in the order of the zip, without gaps. Where two regions overlap, the later one has
        the pixels, as in CryoNuSeg's "label masks modify".

    Raises
    ------
    InputError
        See `outlines`.

    Notes
    -----
    CryoNuSeg's own label images were made with MATLAB's `poly2mask`, which counts pixel centres from 1 where
    ImageJ has the corner at 0: they lie half a pixel up and to the left of what was drawn.

    References
    ----------
    .. [1] Mahbod et al., CryoNuSeg, Computers in Biology and Medicine 2021.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.roi"
    >>> box = struct.pack(">4sHBx5h", b"Iout", 227, 1, 0, 1, 2, 3, 0)  # rows 0 to 2, columns 1 to 3
    >>> _ = path.write_bytes(box.ljust(64, bytes(1)))
    >>> instances(path, (3, 4)).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    return fill((Outline(outline.points + _TIES_PX) for outline in outlines(path)), shape)


def outlines(path):
    """Read regions of ImageJ as outlines.

    Parameters
    ----------
    path : path
        A `.roi` file, or a `.zip` of them.

    Returns
    -------
    list of Outline
        In the order of the zip; (row, col) in pixels, counted from the centre of pixel (0, 0).

    Raises
    ------
    InputError
        If the file is missing, too large, no ImageJ file, cut short, or holds something that is no area: a line,
        points; the message names the entry.

    Notes
    -----
    A composite region (several parts, or holes) is one outline: its rings are joined by lines that are walked there
    and back, which enclose nothing by the even-odd rule.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.roi"
    >>> box = struct.pack(">4sHBx5h", b"Iout", 227, 1, 0, 1, 2, 3, 0)
    >>> _ = path.write_bytes(box.ljust(64, bytes(1)))
    >>> outlines(path)[0].points.tolist()
    [[-0.5, 0.5], [-0.5, 2.5], [1.5, 2.5], [1.5, 0.5]]
    """
    return [Outline(_corners(data, where) - 0.5) for where, data in _entries(Path(path))]


def _entries(path):
    """The regions of a file, each as (name for messages, bytes); nothing is unpacked to disk."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                yield str(path), file.read(_MOST_ROI_BYTES)
            return
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.lower().endswith(".roi")]
            if not infos:
                refuse(f"{path} holds no region", expected="a zip of .roi files",
                       received=f"{len(archive.infolist())} other entries",
                       remedy="save it from ImageJ's ROI manager")  # fmt: skip
            _refuse_flood(path, infos)
            for info in infos:
                with archive.open(info) as file:
                    yield f"{path}: {info.filename}", file.read(_MOST_ROI_BYTES)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        refuse(f"{path} cannot be read", expected="a .roi file or an unlocked zip of them",
               received=error, remedy="save it again from ImageJ's ROI manager")  # fmt: skip


def _refuse_flood(path, infos):
    """Refuse a zip that would unpack to more than anyone draws."""
    largest = max(info.file_size for info in infos)
    total = sum(info.file_size for info in infos)
    if len(infos) > _MOST_ROIS or largest > _MOST_ROI_BYTES or total > _MOST_BYTES:
        refuse(f"{path} is too large for regions drawn by hand",
               expected=f"at most {_MOST_ROIS} regions, {_MOST_ROI_BYTES} bytes each, {_MOST_BYTES} in all",
               received=f"{len(infos)} regions, {largest} bytes the largest, {total} in all",
               remedy="split it")  # fmt: skip


def _corners(data, where):
    """Corners of one region as float64 (n, 2), (row, col), counted from the corner of pixel (0, 0)."""
    if len(data) < _HEADER_BYTES or data[:4] != b"Iout":
        refuse(f"{where} is no region of ImageJ", expected="64 bytes or more that begin with 'Iout'",
               received=f"{len(data)} bytes, {data[:4]!r}", remedy="save it again from ImageJ")  # fmt: skip
    version, kind = struct.unpack_from(">HB", data, 4)
    top, left, bottom, right = _signed(np.frombuffer(data, ">i2", 4, 8)).tolist()
    (composite,) = struct.unpack_from(">i", data, 36)
    (options,) = struct.unpack_from(">H", data, 50)
    if kind not in (_POLYGON, _RECTANGLE, _OVAL, _FREEHAND, _TRACED):
        refuse(f"{where} is no area", expected="a polygon, free-hand, traced, rectangular, oval or composite region",
               received=_NAMES.get(kind, f"type {kind}"),
               remedy="draw it again in ImageJ, or delete it")  # fmt: skip
    if composite:
        return _joined(data, where, composite)
    subpixel = bool(options & _SUBPIXEL) and version >= _SUBPIXEL_VERSION
    if kind in (_POLYGON, _FREEHAND, _TRACED):
        return _listed(data, where, (top, left), subpixel)
    box = np.array([top, left, bottom - top, right - left], float)
    if subpixel and version >= _SUBPIXEL_BOX_VERSION:
        x, y, width, height = struct.unpack_from(">4f", data, 18)
        box = np.array([y, x, height, width], float)
    if kind == _RECTANGLE:
        unit = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    else:
        angle = np.arange(_OVAL_CORNERS) * (2 * np.pi / _OVAL_CORNERS)
        unit = 0.5 + 0.5 * np.column_stack([np.sin(angle), np.cos(angle)])
    return box[:2] + unit * box[2:]


def _signed(shorts):
    return np.where(shorts < _LOWEST, shorts + 2.0**16, shorts)


def _listed(data, where, corner, subpixel):
    """Corners that are listed one by one: all x, then all y."""
    (count,) = struct.unpack_from(">H", data, 16)
    if count == 0:  # more than the 16 bits of the header hold
        (count,) = struct.unpack_from(">i", data, 18)
    start, form = (_HEADER_BYTES + 4 * count, ">f4") if subpixel else (_HEADER_BYTES, ">i2")
    if count < 0 or len(data) < start + 2 * count * int(form[-1]):
        refuse(f"{where} is cut short", expected=f"{count} corners", received=f"{len(data)} bytes",
               remedy="save it again from ImageJ")  # fmt: skip
    x, y = np.frombuffer(data, form, 2 * count, start).reshape(2, count).astype(float)
    # Whole numbers count from the box of the region, floats from the image.
    return np.column_stack([y, x] if subpixel else [_signed(y) + corner[0], _signed(x) + corner[1]])


def _joined(data, where, count):
    """Corners of a composite: `count` floats, which are the steps of a path, each a kind and its points (x, y)."""
    if count < 0 or len(data) < _HEADER_BYTES + 4 * count:
        refuse(f"{where} is cut short", expected=f"a path of {count} numbers", received=f"{len(data)} bytes",
               remedy="save it again from ImageJ")  # fmt: skip
    numbers = np.frombuffer(data, ">f4", count, _HEADER_BYTES).astype(float)
    rings, place = [], 0
    while place < count:
        kind = numbers[place]
        end = place + 1 + 2 * _STEP_POINTS.get(kind, count)
        if end > count or (not rings and kind != _MOVE):
            refuse(f"{where} holds no path", expected="moves, lines, curves and closings",
                   received=f"{numbers[place]:g} as its number {place + 1} of {count}",
                   remedy="save it again from ImageJ")  # fmt: skip
        points, place = numbers[place + 1 : end].reshape(-1, 2), end
        if kind == _MOVE:
            rings.append([points])
        elif kind == _CLOSE:
            rings[-1].append(rings[-1][0])
        else:
            rings[-1].append(points if kind == _LINE else _curve(rings[-1][-1][-1], points))
    closed = [np.concatenate([*ring, ring[0]]) for ring in rings]
    back = [ring[:1] for ring in closed[-2::-1]]
    return np.concatenate([*closed, *back])[:, ::-1]


def _curve(start, controls):
    """Points on a Bezier curve after its start, (n, 2)."""
    points, share = np.vstack([start, controls]), np.arange(1, _CURVE_PIECES + 1)[:, None] / _CURVE_PIECES
    degree = len(controls)
    return sum(
        comb(degree, k) * share**k * (1 - share) ** (degree - k) * point for k, point in enumerate(points)
    )
