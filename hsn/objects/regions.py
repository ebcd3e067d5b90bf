"""Separate the objects of an image that is processed in boxes, with results that do not depend on the boxes.

A *region* is a connected component of the foreground, enlarged by the distance over which objects affect each other.
Regions never affect each other; each is processed once and as a whole:

1. `separate_box` labels the regions of a box, and separates the objects of all regions that end inside of the box.
   Regions that touch an inner edge of the box are returned as pieces.
2. `join_pieces` joins pieces of neighboring boxes and returns the bounding boxes of the regions.
3. `separate_region` separates the objects of one such region, in its own bounding box.

A region inside a hole that another region's objects fill belongs to these objects; `Objects.absorbed` names it.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import find_objects

from ..config import PostProcess
from .cleaning import label_components
from .labeling import foreground, label_instances, object_probability

BOX_PX = 2048
_BLUR_PX = 2  # half the reach of the blur in `distance_watershed`: regions are farther apart than its kernel


class Box(NamedTuple):
    """A box of an image: first row and column, height and width."""

    row: int
    col: int
    height: int
    width: int

    def grown(self, margin: int, shape: tuple[int, ...]) -> "Box":
        """Return the box with a margin, cut at the borders of an image.

        Examples
        --------
        >>> Box(0, 5, 10, 10).grown(2, (100, 16))
        Box(row=0, col=3, height=12, width=13)
        """
        row, col = max(0, self.row - margin), max(0, self.col - margin)
        bottom = min(shape[0], self.row + self.height + margin)
        right = min(shape[1], self.col + self.width + margin)
        return Box(row, col, bottom - row, right - col)

    def within(self, outer: "Box") -> tuple[slice, slice]:
        """Return the slices of the box in an array of another box that contains it."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)


@dataclass(frozen=True)
class Objects:
    """Objects as runs of pixels along rows.

    Attributes
    ----------
    anchors : int64 array, shape (N, 2)
        First pixel (row, col) of each object in raster order.
    regions : int64 array, shape (N, 2)
        First pixel of the region of each object; (-1, -1) for pixels inside a hole only.
    boxes : int64 array, shape (N, 4)
        First row, first column, last row + 1, last column + 1.
    sums : float64 array, shape (N, 4)
        Sums over the pixels of each object: 1, row, column, probability times 255. Exact, as they are integers.
    counts : int64 array, shape (N,)
        Number of runs of each object.
    runs : int32 array, shape (R, 3)
        Row, first column and last column + 1 of the runs, object by object, in raster order.
    absorbed : int64 array, shape (A, 2)
        First pixels of the regions that lie under filled holes of these objects.
    """

    anchors: np.ndarray
    regions: np.ndarray
    boxes: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    runs: np.ndarray
    absorbed: np.ndarray

    FIELDS = ("anchors", "regions", "boxes", "sums", "counts", "runs", "absorbed")

    def __len__(self) -> int:
        return len(self.anchors)

    def take(self, chosen: np.ndarray) -> "Objects":
        """Return some of the objects, in the given order; `chosen` is int (n,)."""
        starts = np.append(0, np.cumsum(self.counts))
        counts = self.counts[chosen]
        # Positions of the chosen runs: each object's start, then one by one.
        firsts = np.repeat(starts[:-1][chosen] - np.append(0, np.cumsum(counts))[:-1], counts)
        runs = self.runs[firsts + np.arange(int(counts.sum()))]
        return Objects(
            self.anchors[chosen], self.regions[chosen], self.boxes[chosen], self.sums[chosen], counts, runs,
            self.absorbed,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: "list[Objects]") -> "Objects":
        """Return the objects of several boxes, one after the other."""
        empty = _objects_of(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32), np.zeros((1, 1)), (0, 0))
        return cls(
            *(np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in cls.FIELDS)
        )


@dataclass(frozen=True)
class BoxResult:
    """Objects of a box, and the pieces of regions that cross its edges.

    Attributes
    ----------
    objects : Objects
    pieces : int64 array, shape (P, 6)
        First row, first column, last row + 1, last column + 1, and first pixel (row, col) of each piece.
    edges : tuple of four int32 arrays
        Number of the piece, from 1, of each pixel of the first row, last row, first column, last column; 0 without.
    """

    objects: Objects
    pieces: np.ndarray
    edges: tuple[np.ndarray, ...]


def label_in_boxes(
    probabilities: np.ndarray, postprocess: PostProcess, *, mpp: float, box_px: int = BOX_PX
) -> np.ndarray:
    """Separate the objects of a large image box by box: those of `label_instances`, with less memory.

    Parameters
    ----------
    probabilities : uint8 or float32 array, shape (H, W, C)
        As uint8, times 255.
    postprocess : PostProcess
    mpp : float
        Micrometers per pixel.
    box_px : int
        Side of a box. Default: 2048.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n in the order of the first pixels.

    Examples
    --------
    >>> probabilities = np.array([[0.9, 0.9, 0.1, 0.7]], np.float32)[..., None]
    >>> label_in_boxes(probabilities, PostProcess(foreground_threshold=0.5), mpp=0.25, box_px=2).tolist()
    [[1, 1, 0, 2]]
    """
    objects = separate_in_boxes(probabilities, postprocess, mpp=mpp, box_px=box_px)
    instances = np.zeros(probabilities.shape[:2], np.int32)
    numbers = np.repeat(np.arange(1, len(objects) + 1), objects.counts)
    for number, (row, start, end) in zip(numbers.tolist(), objects.runs.tolist(), strict=True):
        instances[row, start:end] = number
    return instances


def separate_in_boxes(
    probabilities: np.ndarray, postprocess: PostProcess, *, mpp: float, box_px: int
) -> Objects:
    """Return the objects of an image in the order of their first pixels; see `label_in_boxes`."""
    shape = probabilities.shape[:2]
    whole, margin = Box(0, 0, *shape), margin_px(probabilities.shape[2], postprocess, mpp)

    def read(box: Box) -> tuple[np.ndarray, Box]:
        outer = box.grown(margin, shape)
        return probabilities[outer.within(whole)], outer

    found, results = [], {}
    for row in range(0, shape[0], box_px):
        for col in range(0, shape[1], box_px):
            box = Box(row, col, box_px, box_px).grown(0, shape)
            result = separate_box(*read(box), box, shape, postprocess, mpp=mpp)
            found.append(result.objects)
            results[row // box_px, col // box_px] = (result.pieces, result.edges)
    for region, first in join_pieces(results):
        box = region.grown(1, shape)
        found.append(separate_region(*read(box), box, shape, first, postprocess, mpp=mpp))
    objects = Objects.joined(found)
    ids = number_objects(objects.anchors, objects.regions, objects.absorbed)
    return objects.take(np.argsort(ids, kind="stable")[np.count_nonzero(ids == 0) :])


def number_objects(anchors: np.ndarray, regions: np.ndarray, absorbed: np.ndarray) -> np.ndarray:
    """Number objects in the order of their first pixels; parameters as in `Objects`.

    Returns
    -------
    int64 array, shape (N,)
        1..n; 0 for objects of absorbed regions.

    Examples
    --------
    >>> anchors = np.array([[5, 0], [2, 1], [2, 0]])
    >>> number_objects(anchors, anchors, anchors[1:2]).tolist()
    [2, 0, 1]
    """
    gone = {tuple(first) for first in absorbed.tolist()}
    kept = np.array([tuple(first) not in gone for first in regions.tolist()], bool)
    order = np.lexsort((anchors[:, 1], anchors[:, 0]))
    ids = np.zeros(len(anchors), np.int64)
    ids[order[kept[order]]] = np.arange(1, kept.sum() + 1)
    return ids


def margin_px(classes: int, postprocess: PostProcess, mpp: float) -> int:
    """Return the width in pixels by which a region is larger than its foreground.

    Examples
    --------
    >>> margin_px(3, PostProcess(separation="components", grow_um=1.0), 0.25)
    4
    """
    grow = math.ceil(round(postprocess.grow_um / mpp, 3)) if classes == 3 else 0
    return max(grow, _BLUR_PX if postprocess.h_um else 0)


def separate_box(
    probabilities: np.ndarray,
    outer: Box,
    box: Box,
    shape: tuple[int, ...],
    postprocess: PostProcess,
    *,
    mpp: float,
) -> BoxResult:
    """Separate the objects of the regions that end inside of a box.

    Parameters
    ----------
    probabilities : uint8 or float32 array, shape (h, w, C)
        Probabilities of `outer`; as uint8, times 255.
    outer : Box
        At least `margin_px` wider than `box`, except at the borders of the image.
    box : Box
    shape : (int, int)
        Height and width of the image.
    postprocess : PostProcess
    mpp : float
        Micrometers per pixel.

    Returns
    -------
    BoxResult
    """
    regions = _label_regions(probabilities, outer, box, postprocess, mpp)
    crossing = _touching(regions, box, shape)
    inner = probabilities[box.within(outer)]
    instances = _instances(inner, regions, crossing, postprocess, mpp)
    objects = _objects_of(instances, regions, _levels(inner), box[:2])
    numbers = np.zeros(len(crossing), np.int32)
    numbers[crossing] = np.arange(1, crossing.sum() + 1)
    slices = find_objects(np.where(crossing[regions], regions, 0))
    pieces = [
        [s[0].start + box.row, s[1].start + box.col, s[0].stop + box.row, s[1].stop + box.col,
         s[0].start + box.row, s[1].start + box.col + int(np.argmax(regions[s[0].start, s[1]] == k))]
        for k, s in enumerate(slices, 1) if s is not None
    ]  # fmt: skip
    edges = tuple(numbers[line] for line in (regions[0], regions[-1], regions[:, 0], regions[:, -1]))
    return BoxResult(objects, np.array(pieces, np.int64).reshape(-1, 6), edges)


def separate_region(
    probabilities: np.ndarray,
    outer: Box,
    box: Box,
    shape: tuple[int, ...],
    seed: tuple[int, int],
    postprocess: PostProcess,
    *,
    mpp: float,
) -> Objects:
    """Separate the objects of one region in its own box.

    Parameters
    ----------
    probabilities, outer, shape, postprocess, mpp
        As for `separate_box`.
    box : Box
        Bounding box of the region with a margin of one pixel, cut at the borders of the image.
    seed : (int, int)
        A pixel (row, col) of the region, in the image.

    Returns
    -------
    Objects
    """
    regions = _label_regions(probabilities, outer, box, postprocess, mpp)
    own = regions[seed[0] - box.row, seed[1] - box.col]
    inner = probabilities[box.within(outer)]
    instances = _instances(inner, regions, _touching(regions, box, shape), postprocess, mpp)
    kept = np.zeros(instances.max(initial=0) + 1, bool)
    kept[instances[regions == own]] = True
    kept[0] = False
    instances = (np.cumsum(kept) * kept).astype(np.int32)[instances]
    others = np.where(regions == own, regions, -regions)
    return _objects_of(instances, others, _levels(inner), box[:2])


def join_pieces(
    results: dict[tuple[int, int], tuple[np.ndarray, tuple[np.ndarray, ...]]],
) -> list[tuple[Box, tuple[int, int]]]:
    """Join the pieces of neighboring boxes to regions.

    Parameters
    ----------
    results : dict of (int, int) to (pieces, edges)
        `BoxResult.pieces` and `BoxResult.edges` by the row and the column of the box in the grid of boxes.

    Returns
    -------
    list of (Box, (int, int))
        Bounding box and first pixel of each region, in the order of the first pixels.

    Examples
    --------
    >>> one = np.array([1], np.int32), np.array([1], np.int32)
    >>> left = (np.array([[0, 0, 1, 1, 0, 0]]), (*one, *one))
    >>> right = (np.array([[0, 1, 1, 2, 0, 1]]), (*one, *one))
    >>> join_pieces({(0, 0): left, (0, 1): right})
    [(Box(row=0, col=0, height=1, width=2), (0, 0))]
    """
    offsets, count = {}, 0
    for place, (pieces, _) in results.items():
        offsets[place] = count
        count += len(pieces)
    sets = _Sets(count)
    for place, (_, (_, bottom, _, right)) in results.items():
        row, col = place
        for other, line, own in (((row + 1, col), 0, bottom), ((row, col + 1), 2, right)):
            if other in results:
                _join_lines(sets, own, results[other][1][line], offsets[place], offsets[other])
        for other, last, first in (((row + 1, col + 1), -1, 0), ((row + 1, col - 1), 0, -1)):
            if other in results:
                corner, other_corner = bottom[[last]], results[other][1][0][[first]]
                _join_lines(sets, corner, other_corner, offsets[place], offsets[other])
    if not count:
        return []
    pieces = np.concatenate([pieces for pieces, _ in results.values()])
    roots = np.unique([sets.find(k) for k in range(count)], return_inverse=True)[1]
    order = np.lexsort((pieces[:, 5], pieces[:, 4], roots))
    pieces, starts = pieces[order], np.flatnonzero(np.diff(roots[order], prepend=-1))
    low = np.minimum.reduceat(pieces[:, 0:2], starts)
    high = np.maximum.reduceat(pieces[:, 2:4], starts)
    firsts = pieces[starts, 4:6]
    regions = [
        (Box(*map(int, (*a, *(b - a)))), (int(first[0]), int(first[1])))
        for a, b, first in zip(low, high, firsts, strict=True)
    ]
    return sorted(regions, key=lambda region: region[1])


class _Sets:
    """Disjoint sets of numbers; the smallest number represents a set."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, k: int) -> int:
        while self._parent[k] != k:
            self._parent[k] = self._parent[self._parent[k]]
            k = self._parent[k]
        return k

    def join(self, first: int, second: int) -> None:
        a, b = self.find(first), self.find(second)
        self._parent[max(a, b)] = min(a, b)


def _join_lines(sets: _Sets, line: np.ndarray, other: np.ndarray, offset: int, other_offset: int) -> None:
    """Join the pieces of two adjacent lines of pixels that touch, also at corners."""
    for shift in (-1, 0, 1):
        a, b = (
            line[max(0, -shift) : len(line) - max(0, shift)],
            other[max(0, shift) : len(other) - max(0, -shift)],
        )
        both = (a > 0) & (b > 0)
        for first, second in np.unique(np.stack([a[both], b[both]], axis=1), axis=0):
            sets.join(offset + int(first) - 1, other_offset + int(second) - 1)


def _label_regions(
    probabilities: np.ndarray, outer: Box, box: Box, postprocess: PostProcess, mpp: float
) -> np.ndarray:
    """Return the regions of a box, int32 (height, width)."""
    margin = margin_px(probabilities.shape[2], postprocess, mpp)
    mask: np.ndarray = _foreground(probabilities, postprocess).astype(np.uint8)
    if margin:
        square = np.ones((2 * margin + 1,) * 2, np.uint8)
        mask = cv2.dilate(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return label_components(mask[box.within(outer)] > 0)


def _foreground(probabilities: np.ndarray, postprocess: PostProcess) -> np.ndarray:
    if postprocess.foreground_threshold is None:
        return foreground(probabilities, None)
    return foreground(_as_float(probabilities), postprocess.foreground_threshold)


def _as_float(probabilities: np.ndarray) -> np.ndarray:
    return probabilities / np.float32(255) if probabilities.dtype == np.uint8 else probabilities


def _levels(probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of objects times 255; exact integers for bytes."""
    own = probabilities.astype(np.int32) if probabilities.dtype == np.uint8 else probabilities * 255
    levels: np.ndarray = object_probability(own)
    return levels


def _touching(regions: np.ndarray, box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """Return whether each region touches an edge of the box that is not a border of the image, bool (n + 1,)."""
    touching = np.zeros(regions.max(initial=0) + 1, bool)
    sides = (
        (box.row > 0, regions[0]),
        (box.row + box.height < shape[0], regions[-1]),
        (box.col > 0, regions[:, 0]),
        (box.col + box.width < shape[1], regions[:, -1]),
    )
    for inner, line in sides:
        if inner:
            touching[line] = True
    touching[0] = False
    return touching


def _instances(
    probabilities: np.ndarray, regions: np.ndarray, left_out: np.ndarray, postprocess: PostProcess, mpp: float
) -> np.ndarray:
    """Return the objects of the regions that are not left out, int32 (h, w)."""
    hidden = left_out[regions]
    kept = _as_float(probabilities).copy()
    kept[hidden] = 0
    if probabilities.shape[2] > 1:
        kept[hidden, 0] = 1  # background
    return label_instances(kept, postprocess, mpp=mpp)


def _objects_of(
    instances: np.ndarray, regions: np.ndarray, probability: np.ndarray, corner: tuple[int, ...]
) -> Objects:
    """Return the objects of a label image; negative `regions` belong to other objects unless they are covered."""
    count = int(instances.max(initial=0))
    framed = np.pad(instances, ((0, 0), (1, 1)))
    rows, columns = np.nonzero(framed[:, 1:] != framed[:, :-1])  # changes along a row, before each pixel
    before, after = framed[rows, columns], framed[rows, columns + 1]
    starts, ends = after > 0, before > 0
    ids = after[starts]
    order = np.argsort(ids, kind="stable")
    runs = np.stack([rows[starts], columns[starts], columns[ends]], axis=1)[order].astype(np.int32)
    # A run ends at the next change of its row; starts and ends follow the same raster order.
    runs += np.array([corner[0], corner[1], corner[1]], np.int32)
    counts = np.bincount(ids, minlength=count + 1)[1:].astype(np.int64)
    firsts = np.append(0, np.cumsum(counts))[:-1]
    covered = (instances > 0) & (regions != 0)
    region_of = np.zeros(count + 1, np.int64)
    region_of[instances[covered & (regions > 0)]] = regions[covered & (regions > 0)]
    first_pixels = _first_pixels(np.abs(regions), corner)
    absorbed = np.unique(-regions[covered & (regions < 0)])
    if not count:
        pairs, boxes, sums = np.zeros((0, 2), np.int64), np.zeros((0, 4), np.int64), np.zeros((0, 4))
        return Objects(pairs, pairs, boxes, sums, counts, runs, first_pixels[absorbed])
    low, high = np.minimum.reduceat(runs, firsts), np.maximum.reduceat(runs, firsts)
    boxes = np.stack([low[:, 0], low[:, 1], high[:, 0] + 1, high[:, 2]], axis=1).astype(np.int64)
    lengths = (runs[:, 2] - runs[:, 1]).astype(np.float64)
    centers = (runs[:, 1] + runs[:, 2] - 1) / 2
    sums = np.stack([
        np.add.reduceat(lengths, firsts),
        np.add.reduceat(lengths * runs[:, 0], firsts),
        np.add.reduceat(lengths * centers, firsts),
        np.bincount(instances.ravel(), probability.ravel(), minlength=count + 1)[1:],
    ], axis=1)  # fmt: skip
    return Objects(runs[firsts][:, :2].astype(np.int64), first_pixels[region_of[1:]], boxes, sums, counts, runs,
                   first_pixels[absorbed])  # fmt: skip


def _first_pixels(regions: np.ndarray, corner: tuple[int, ...]) -> np.ndarray:
    """Return the first pixel (row, col) of each region, int64 (n + 1, 2); (-1, -1) for 0."""
    pixels = np.full((int(regions.max(initial=0)) + 1, 2), -1, np.int64)
    flat = regions.ravel()
    places = np.flatnonzero(flat)[::-1]
    first = np.zeros(len(pixels), np.int64)
    first[flat[places]] = places  # the last assignment, the first pixel, remains
    pixels[1:] = np.stack(np.unravel_index(first[1:], regions.shape), axis=1) + np.array(corner)
    return pixels
