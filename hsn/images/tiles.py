"""Cover an image of any size with windows of one size, and merge the maps of the windows.

Two ways, both of HistoSegNet. `starts` covers an axis with the fewest windows, and `Stitcher` averages their maps.
`grid` places windows at a fixed stride, and `blend_neighbors` averages each window with its neighbors.
"""

import math

import cv2
import numpy as np

from ..errors import InputError


def starts(size, window, *, count=None):
    """Return the positions along one axis at which the fewest windows start that cover it.

    The windows overlap evenly (rounded down); the last ends at the border.

    Parameters
    ----------
    size, window : int
        Lengths in pixels, ``size >= window``.
    count : int, optional
        Number of windows, as another scale of the same image needs them. Default: the fewest.

    Returns
    -------
    list of int

    Raises
    ------
    InputError
        "window-too-large" if the window is longer than the axis.

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
        raise InputError(
            "window-too-large",
            f"the image must be at least as large as a window, {window} px",
            got=f"{size} px",
            hint="pad the image first, for instance with mirror_pad",
        )
    count = math.ceil(size / window) if count is None else count
    if count == 1:
        return [0]
    overlap = (window * count - size) // (count - 1)
    return [r * (window - overlap) for r in range(count - 1)] + [size - window]


def mirror_pad(image, margins):
    """Pad an image by mirroring; the edge pixel is repeated, and margins may be larger than the image.

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
    """Reads boxes of an image in memory.

    Any reader has a `shape`, (H, W, 3), and a method ``read(row, col, height, width)`` that returns uint8
    (height, width, 3) for a box inside the image. An image that does not fit into memory needs another reader.

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
    """Read a box that may reach beyond the image; pixels outside are mirrored, and the edge pixel is repeated.

    Examples
    --------
    >>> read_mirrored(ArrayReader(np.array([[1, 2]])), 0, -1, 1, 6).tolist()
    [[1, 1, 2, 2, 1, 1]]
    """
    rows, columns = (
        _mirror_indices(first, count, side)
        for first, count, side in zip((row, col), (height, width), reader.shape, strict=False)
    )
    top, left = rows.min(), columns.min()
    pixels = reader.read(int(top), int(left), int(rows.max() + 1 - top), int(columns.max() + 1 - left))
    if all(indices[-1] - indices[0] == len(indices) - 1 for indices in (rows, columns)):
        return pixels
    return pixels[np.ix_(rows - top, columns - left)]


def _mirror_indices(first, count, side):
    """Return indices inside an axis for `count` positions from `first` on, mirrored at both ends."""
    indices = np.arange(first, first + count) % (2 * side)
    return np.minimum(indices, 2 * side - 1 - indices)


def margin_to_length(size, length):
    """Return the margin to add on each side of an axis, so that it is at least `length`, which may be fractional.

    Examples
    --------
    >>> margin_to_length(430, 224 * 1.9585253)
    5
    """
    return math.ceil(max(length - size, 0) / 2)


def cut(image, rows, columns, window):
    """Return the windows of an image in row-major order.

    Parameters
    ----------
    image : array, shape (H, W, ...)
    rows, columns : sequence of int
        Starts of the windows.
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
    """Averages the maps of windows into one map of the image, batch by batch.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the (padded) image.
    channels : int
    rows, columns : sequence of int
        Starts of the windows, at the scale of the map.
    window : int
        Side of a window at this scale; maps of another size are resized to it (bilinear).

    Raises
    ------
    InputError
        "window-outside" if a window does not lie in the image.

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
            raise InputError(
                "window-outside",
                f"windows must end inside the image, {tuple(shape)}",
                got=ends,
                hint="recompute the starts for this size",
            )
        self._corners = [(r, c) for r in rows for c in columns]
        self._window = window
        self._next = 0
        self._sum = np.zeros((*shape, channels), np.float32)
        self._count = np.zeros((*shape, 1), np.float32)

    def add(self, maps):
        """Add the maps (n, h, w, channels) of the next n windows, in the order of `cut`."""
        for window_map in np.asarray(maps, np.float32):
            r, c = self._corners[self._next]
            box = np.s_[r : r + self._window, c : c + self._window]
            self._sum[box] += enlarge(window_map, (self._window, self._window))
            self._count[box] += 1
            self._next += 1

    def result(self):
        """Return the mean over the windows that cover each pixel, float32 (H, W, channels)."""
        return np.divide(self._sum, np.maximum(self._count, 1, out=self._count), out=self._sum)


def enlarge(maps, shape):
    """Resize maps (h, w, C) to `shape` by bilinear interpolation with half-pixel centers, edges clamped.

    Examples
    --------
    >>> enlarge(np.array([[[0.0], [1.0]]], np.float32), (1, 4))[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    maps = np.asarray(maps, np.float32)
    if maps.shape[:2] == tuple(shape):
        return maps
    # OpenCV handles at most 512 channels at once in some builds, and drops the axis of a single channel.
    parts = [
        cv2.resize(np.ascontiguousarray(maps[..., k : k + 4]), shape[::-1], interpolation=cv2.INTER_LINEAR)
        for k in range(0, maps.shape[2], 4)
    ]
    parts = [part.reshape(*shape, -1) for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def grid(size, window, stride):
    """Return the starts of windows at a fixed stride that reach to the end of an axis, or beyond it.

    Examples
    --------
    >>> grid(500, 224, 168)
    [0, 168, 336]
    """
    return [stride * k for k in range(max(0, math.ceil((size - window) / stride)) + 1)]


def blend_neighbors(maps, present, *, stride):
    """Average each window of a grid with its up to eight neighbors, where they overlap.

    A pixel gets the mean over its own window, in which an absent class counts as 0, and over the neighbors in which
    the class is present. A neighbor without the class is ignored.

    Parameters
    ----------
    maps : float array, shape (R, S, h, h, C)
        Maps of a grid of R x S windows.
    present : bool array, shape (R, S, C)
        Classes that are present in each window.
    stride : int
        Pixels between the starts of neighboring windows, at least half a window.

    Returns
    -------
    float32 array, shape (R, S, h, h, C)

    Raises
    ------
    InputError
        "stride-too-small" if windows overlap by more than half.

    References
    ----------
    .. [1] HistoSegNet (Chan et al., ICCV 2019), whole-slide mode of the release.

    Examples
    --------
    >>> maps = np.ones((1, 2, 4, 4, 1)) * np.array([1, 3]).reshape(1, 2, 1, 1, 1)
    >>> blend_neighbors(maps, np.ones((1, 2, 1), bool), stride=3)[0, 0, 0, :, 0].tolist()
    [1.0, 1.0, 1.0, 2.0]
    """
    maps = np.asarray(maps, np.float32)
    rows, columns, window = maps.shape[:3]
    if 2 * stride < window:
        raise InputError(
            "stride-too-small",
            f"`stride` must be at least half a window, {window / 2:g} px",
            got=f"{stride} px",
            hint="use a larger stride",
        )
    is_present = present[:, :, None, None, :].astype(np.float32)  # (R, S, 1, 1, C)
    total, count = maps * is_present, np.ones_like(maps)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if (down, right) == (0, 0):
                continue
            own = (
                _shifted(-down, rows),
                _shifted(-right, columns),
                _overlap(down, stride, window),
                _overlap(right, stride, window),
            )
            neighbor = (
                _shifted(down, rows),
                _shifted(right, columns),
                _overlap(-down, stride, window),
                _overlap(-right, stride, window),
            )
            total[own] += (maps * is_present)[neighbor]
            count[own] += np.broadcast_to(is_present, maps.shape)[neighbor]
    return total / count


def _shifted(step, length):
    """Return the windows of one axis that have a neighbor `-step` windows away, as a slice."""
    return slice(max(step, 0), length + min(step, 0))


def _overlap(step, stride, window):
    """Return the part of a window that its neighbor in direction `step` covers too, as a slice."""
    return slice(stride, window) if step > 0 else slice(0, window - stride) if step < 0 else slice(None)
