"""Detect objects in images of any size, in overlapping tiles.

The cores of the tiles partition the image. A tile reports the objects with a box center in its core. Its margin makes
these objects completely visible. Two tiles can place the center of one object differently. Within `SLACK_PX` of the
boundary both can report it; the one with the higher score is kept (`hsn.objects.overlaps`).
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...images.tiles import starts
from ...objects.overlaps import PlacedMask, ScoredInstances, resolve_overlaps

SLACK_PX = 2


class DetectionReport(NamedTuple):
    """Detected objects of an image.

    Attributes
    ----------
    scored : ScoredInstances
        Objects and their scores.
    warnings : tuple of str
        A sentence for each limit that was reached.
    """

    scored: ScoredInstances
    warnings: tuple[str, ...]


def segment_tiled(find, image, *, tile_px, margin_px, min_area_px=1):
    """Detect the objects of an image tile by tile.

    Parameters
    ----------
    find : callable
        (tile_px, tile_px, ...) -> ``(boxes, scores, masks, warnings)`` of a tile: float (n, 4), float (n,), n
        `PlacedMask`, tuple of str.
    image : array, shape (H, W, ...)
        Smaller images are padded with zeros.
    tile_px, margin_px : int
        Side of a tile, and margin around its core: half the size of an object or more.
    min_area_px : int
        Smallest area of an object, in pixels. Default: 1.

    Returns
    -------
    Report
    """
    shape = image.shape[:2]
    padding = [(0, max(0, tile_px - side)) for side in shape]
    padded = np.pad(image, padding + [(0, 0)] * (image.ndim - 2))
    rows, columns = (_tiles(side, tile_px, margin_px) for side in padded.shape[:2])
    masks, scores, warnings = [], [], {}
    for top, first_row, last_row in rows:
        for left, first_column, last_column in columns:
            boxes, tile_scores, tile_masks, tile_warnings = find(
                padded[top : top + tile_px, left : left + tile_px]
            )
            warnings |= dict.fromkeys(tile_warnings)
            centers = (boxes[:, :2] + boxes[:, 2:]) / 2 + (top, left)  # (n, 2)
            low, high = (first_row, first_column), (last_row, last_column)
            for k in np.flatnonzero(((centers >= low) & (centers < high)).all(axis=1)):
                masks.append(_move_to_image(tile_masks[k], top, left, shape))
                scores.append(tile_scores[k])
    return DetectionReport(resolve_overlaps(masks, scores, shape, min_area_px=min_area_px), tuple(warnings))


def _move_to_image(placed, top, left, shape):
    """Move a mask from a tile to the image, and clip it to the image."""
    top, left = min(top + placed.top, shape[0]), min(left + placed.left, shape[1])
    return PlacedMask(top, left, placed.mask[: shape[0] - top, : shape[1] - left])


def _tiles(side, tile_px, margin_px):
    """Return start, and range of object centers, of the tiles along an axis."""
    count = max(1, math.ceil((side - 2 * margin_px) / (tile_px - 2 * margin_px)))
    begin = starts(side, tile_px, count=count)
    cuts = [(a + b + tile_px) / 2 for a, b in pairwise(begin)]  # middle of each overlap
    low = [-math.inf, *(c - SLACK_PX for c in cuts)]
    high = [*(c + SLACK_PX for c in cuts), math.inf]
    return list(zip(begin, low, high, strict=True))
