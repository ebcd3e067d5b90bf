"""Images of any size: tiles that overlap, in each of which a net finds objects; each object belongs to one tile.

An object belongs to the tile in whose core its box has its centre. Cores part the image without a gap, and around a
core a tile shows a margin, so that an object with its centre in the core is seen whole. Two tiles may place the centre
of one object a little apart: within `SLACK_PX` of the line both may report it, and the surer report stays (see
`refinement.overlaps`).
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...images.tiles import starts
from ...objects.overlaps import PlacedMask, ScoredInstances, resolve_overlaps

SLACK_PX = 2


class Report(NamedTuple):
    """Objects of an image.

    Attributes
    ----------
    scored : ScoredInstances
        Objects and their scores.
    said : tuple of str
        Which limits were reached, each sentence once.
    """

    scored: ScoredInstances
    said: tuple[str, ...]


def segment(find, image, *, tile_px, margin_px, least_px=1):
    """Find the objects of an image tile by tile.

    Parameters
    ----------
    find : callable
        (tile_px, tile_px, ...) -> ``(boxes, scores, pieces, said)`` of a window: float (n, 4), float (n,), n
        `PlacedMask`, sentences.
    image : array, shape (H, W, ...)
        Where it is smaller than a tile, zeros follow it.
    tile_px, margin_px : int
        Side of a tile; how far around its core it looks, at least half the size of an object.
    least_px : int
        Fewer pixels are no object.

    Returns
    -------
    Report
    """
    shape = image.shape[:2]
    spare = [(0, max(0, tile_px - side)) for side in shape]
    padded = np.pad(image, spare + [(0, 0)] * (image.ndim - 2))
    rows, columns = (_tiles(side, tile_px, margin_px) for side in padded.shape[:2])
    pieces, scores, said = [], [], {}
    for top, first_row, last_row in rows:
        for left, first_column, last_column in columns:
            boxes, sure, found, words = find(padded[top : top + tile_px, left : left + tile_px])
            said |= dict.fromkeys(words)
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + (top, left)  # (n, 2)
            low, high = (first_row, first_column), (last_row, last_column)
            for k in np.flatnonzero(((centres >= low) & (centres < high)).all(axis=1)):
                pieces.append(_within(found[k], top, left, shape))
                scores.append(sure[k])
    return Report(resolve_overlaps(pieces, scores, shape, min_area_px=least_px), tuple(said))


def _within(piece, top, left, shape):
    """A piece of a tile as one of the image; what lies beyond the image's end goes."""
    top, left = top + piece.top, left + piece.left
    first = min(top, shape[0]), min(left, shape[1])
    return PlacedMask(*first, piece.mask[: shape[0] - first[0], : shape[1] - first[1]])


def _tiles(side, tile_px, margin_px):
    """Where tiles begin along an axis, and from where to where the centres of their objects lie."""
    count = max(1, math.ceil((side - 2 * margin_px) / (tile_px - 2 * margin_px)))
    begin = starts(side, tile_px, count=count)
    cuts = [(a + b + tile_px) / 2 for a, b in pairwise(begin)]  # half-way through each overlap
    low = [-math.inf, *(c - SLACK_PX for c in cuts)]
    high = [*(c + SLACK_PX for c in cuts), math.inf]
    return list(zip(begin, low, high, strict=True))
