"""Tiles: cover an image of any size with windows of one size, and put maps of the windows together again.

Two ways, both of HistoSegNet: `cover` takes as few windows as reach everywhere, overlapping as little as they must,
and `stitch` averages; `grid` takes windows at a fixed stride, and `blend_neighbours` averages each with its neighbours.
"""

import math

import cv2
import numpy as np

from ..errors import refuse


def starts(size, window, *, count=None):
    """Where windows begin along one axis so that they cover it.

    The fewest windows that reach everywhere overlap evenly (rounded down); the last ends at the border.

    Parameters
    ----------
    size, window : int
        Lengths in pixels, ``size >= window``.
    count : int, optional
        How many windows, where another scale of the same image has already decided it.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        If the window is longer than the axis.

    References
    ----------
    .. [1] HistoSegNet (Chan et al., ICCV 2019), the release's stitching of GlaS.

    Examples
    --------
    >>> starts(396, 224)
    [0, 172]
    >>> starts(775, 439)
    [0, 336]
    """
    if size < window or window < 1:
        refuse("a window must fit into the image", expected=f"at least {window} px", received=f"{size} px",
               remedy="pad the image first, for instance with mirror_pad")  # fmt: skip
    count = math.ceil(size / window) if count is None else count
    if count == 1:
        return [0]
    overlap = (window * count - size) // (count - 1)
    return [r * (window - overlap) for r in range(count - 1)] + [size - window]


def mirror_pad(image, margins):
    """Pad by mirroring, the edge pixel repeated; margins may exceed the image.

    Parameters
    ----------
    image : array, shape (H, W, ...)
    margins : ((int, int), (int, int))
        Rows before and after, columns before and after.

    Examples
    --------
    >>> mirror_pad(np.array([[1, 2]]), ((0, 0), (1, 3))).tolist()
    [[1, 1, 2, 2, 1, 1]]
    """
    rest = ((0, 0),) * (np.ndim(image) - 2)
    return np.pad(image, (*margins, *rest), mode="symmetric")


class ArrayReader:
    """Reads boxes of an image in memory: the simplest reader.

    A reader has a `shape`, (H, W, 3), and a method ``read(row, col, height, width)`` that returns uint8
    (height, width, 3) for a box inside the image. What is larger than the memory gets a reader of its own.

    Parameters
    ----------
    image : array, shape (H, W, ...)

    Examples
    --------
    >>> ArrayReader(np.arange(6).reshape(2, 3)).read(0, 1, 2, 1).tolist()
    [[1], [4]]
    """

    def __init__(self, image):
        self.image, self.shape = image, np.shape(image)

    def read(self, row, col, height, width):
        """Return a box of the image."""
        return self.image[row : row + height, col : col + width]


def read_mirrored(reader, row, col, height, width):
    """Read a box that may reach beyond the image; what lies there is mirrored, the edge pixel repeated.

    Examples
    --------
    >>> read_mirrored(ArrayReader(np.array([[1, 2]])), 0, -1, 1, 6).tolist()
    [[1, 1, 2, 2, 1, 1]]
    """
    places = [_mirrored(first, count, side) for first, count, side in
              zip((row, col), (height, width), reader.shape, strict=False)]  # fmt: skip
    (top, bottom), (left, right) = ((p.min(), p.max() + 1) for p in places)
    inside = reader.read(int(top), int(left), int(bottom - top), int(right - left))
    if all(p[-1] - p[0] == len(p) - 1 for p in places):
        return inside
    return inside[np.ix_(places[0] - top, places[1] - left)]


def _mirrored(first, count, side):
    """Places inside an axis that `count` places from `first` on are mirrored to."""
    places = np.arange(first, first + count) % (2 * side)
    return np.minimum(places, 2 * side - 1 - places)


def margin_to_reach(size, wanted):
    """How much to add on each side of an axis so that it reaches a length that need not be whole.

    Examples
    --------
    >>> margin_to_reach(430, 224 * 1.9585253)
    5
    """
    return math.ceil(max(wanted - size, 0) / 2)


def cut(image, rows, columns, window):
    """Windows of an image in row-major order.

    Parameters
    ----------
    image : array, shape (H, W, ...)
    rows, columns : sequence of int
        Where windows begin.
    window : int
        Side in pixels.

    Returns
    -------
    array, shape (len(rows) * len(columns), window, window, ...)

    Examples
    --------
    >>> cut(np.arange(6).reshape(2, 3), [0], [0, 1], 2).tolist()
    [[[0, 1], [3, 4]], [[1, 2], [4, 5]]]
    """
    return np.stack([image[r : r + window, c : c + window] for r in rows for c in columns])


class Stitcher:
    """Averages maps of windows into one map of the image, one batch of windows after another.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the (padded) image.
    channels : int
    rows, columns : sequence of int
        Where windows begin, at this scale.
    window : int
        Side of a window at this scale; maps of another size are resized to it (bilinear).

    Examples
    --------
    >>> stitcher = Stitcher((2, 3), 1, [0], [0, 1], 2)
    >>> stitcher.add(np.ones((1, 2, 2, 1)))
    >>> stitcher.add(np.zeros((1, 2, 2, 1)))
    >>> stitcher.result()[0, :, 0].tolist()
    [1.0, 0.5, 0.0]
    """

    def __init__(self, shape, channels, rows, columns, window):
        ends = (max(rows) + window, max(columns) + window)
        if ends[0] > shape[0] or ends[1] > shape[1]:
            refuse("windows must lie inside the image", expected=f"ends within {tuple(shape)}",
                   received=ends, remedy="recompute the starts for this size")  # fmt: skip
        self._places = [(r, c) for r in rows for c in columns]
        self._window = window
        self._next = 0
        self._sum = np.zeros((*shape, channels), np.float32)
        self._count = np.zeros((*shape, 1), np.float32)

    def add(self, maps):
        """Add maps (n, h, w, channels) of the next n windows, in the order of `cut`."""
        for one in np.asarray(maps, np.float32):
            r, c = self._places[self._next]
            there = np.s_[r : r + self._window, c : c + self._window]
            self._sum[there] += enlarge(one, (self._window, self._window))
            self._count[there] += 1
            self._next += 1

    def result(self):
        """The mean over the windows that cover each pixel: float32 (H, W, channels)."""
        return self._sum / np.maximum(self._count, 1)


def enlarge(maps, shape):
    """Resize maps (h, w, C) to `shape` by bilinear interpolation with half-pixel centres, edges clamped.

    Examples
    --------
    >>> enlarge(np.array([[[0.0], [1.0]]], np.float32), (1, 4))[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    maps = np.asarray(maps, np.float32)
    if maps.shape[:2] == tuple(shape):
        return maps
    # OpenCV handles at most 512 channels at once in some builds and drops a single one.
    parts = [
        cv2.resize(np.ascontiguousarray(maps[..., k : k + 4]), shape[::-1], interpolation=cv2.INTER_LINEAR)
        for k in range(0, maps.shape[2], 4)
    ]
    return np.concatenate([part.reshape(*shape, -1) for part in parts], axis=2)


def grid(size, window, stride):
    """Where windows at a fixed stride begin so that they reach at least to the end; the image is padded to fit.

    Examples
    --------
    >>> grid(500, 224, 168)
    [0, 168, 336]
    """
    return [stride * k for k in range(max(0, math.ceil((size - window) / stride)) + 1)]


def blend_neighbours(maps, present, *, stride):
    """Average each window of a grid with those of its up to eight neighbours that overlap it.

    Where two windows overlap, both saw the same tissue. A pixel of a window gets the mean over the window itself
    (whose class counts as 0 where it is absent) and the neighbours in which the class is present; a neighbour that
    lacks the class has no say.

    Parameters
    ----------
    maps : float array, shape (R, S, h, h, C)
        Maps of a grid of R x S windows.
    present : bool array, shape (R, S, C)
        Which classes each window holds.
    stride : int
        Pixels between neighbouring windows, at least half a window.

    Returns
    -------
    float32 array, shape (R, S, h, h, C)

    References
    ----------
    .. [1] HistoSegNet (Chan et al., ICCV 2019), whole-slide mode of the release.

    Examples
    --------
    >>> maps = np.ones((1, 2, 4, 4, 1)) * np.array([1, 3]).reshape(1, 2, 1, 1, 1)
    >>> blend_neighbours(maps, np.ones((1, 2, 1), bool), stride=3)[0, 0, 0, :, 0].tolist()
    [1.0, 1.0, 1.0, 2.0]
    """
    maps = np.asarray(maps, np.float32)
    rows, columns, window = maps.shape[:3]
    if 2 * stride < window:
        refuse("windows may overlap by half at most", expected=f"a stride of {window / 2:g} px or more",
               received=f"{stride} px", remedy="use a larger stride")  # fmt: skip
    has = present[:, :, None, None, :].astype(np.float32)  # (R, S, 1, 1, C)
    total, count = maps * has, np.ones_like(maps)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if (down, right) == (0, 0):
                continue
            mine = (_windows(-down, rows), _windows(-right, columns), _strip(down, stride, window),
                    _strip(right, stride, window))  # fmt: skip
            other = (_windows(down, rows), _windows(right, columns), _strip(-down, stride, window),
                     _strip(-right, stride, window))  # fmt: skip
            total[mine] += (maps * has)[other]
            count[mine] += np.broadcast_to(has, maps.shape)[other]
    return total / count


def _windows(step, length):
    """Windows of one axis that have a neighbour `-step` away: what lies in a direction, and what looks there."""
    return slice(max(step, 0), length + min(step, 0))


def _strip(step, stride, window):
    """The part of a window that its neighbour in direction `step` covers too."""
    return slice(stride, window) if step > 0 else slice(0, window - stride) if step < 0 else slice(None)
