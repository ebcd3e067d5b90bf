"""Boxes around objects: seeds in their middle, completed by the dense CRF, and background outside of all boxes."""

import numpy as np

from ...crf.dense_crf import refine
from .config import BACKGROUND, CONTOUR, INSIDE
from .sources import BOX

_SEED, _INSIDE, _OUTSIDE = 0.9, 0.5, 0.05  # probabilities of an object before the CRF
_SURE = 0.8  # probability after the CRF
_MARGIN = 0.5  # of the sides of a box, around it


def add_boxes(maps, pixels, boxes, complete, factor, config):
    """Add boxes to the maps of the head of objects.

    The ellipse in the middle of a box, with half its sides, is an object, and so are the pixels of the box that the
    dense CRF [1]_ gives to it. The rest of a box is unknown. Outside of all boxes, `complete` is background.

    Parameters
    ----------
    maps : HeadMaps
        Changed in place.
    pixels : uint8 array, shape (H, W, 3)
    boxes : tuple of Shape
        Rectangles in pixels of the image.
    complete : bool array, shape (H, W)
        Where every object has a box.
    factor : (float, float)
        Height and width of the maps, divided by those of the image.
    config : Config

    References
    ----------
    .. [1] Krähenbühl, Koltun, "Efficient inference in fully connected CRFs", NeurIPS 2011.

    Examples
    --------
    >>> from hsn.annotations.annotation import Shape
    >>> from .config import preset
    >>> from .sources import blank
    >>> image = np.full((40, 40, 3), 230, np.uint8)
    >>> image[12:28, 12:28] = 90
    >>> box = Shape((np.array([[10, 10], [10, 29], [29, 29], [29, 10]]),))
    >>> maps = blank((40, 40))
    >>> add_boxes(maps, image, (box,), np.ones((40, 40), bool), (1, 1), preset("cpu"))
    >>> maps.possible[20, [20, 13, 10, 5]].tolist()
    [6, 6, 0, 1]
    """
    if not boxes:
        return
    shape, inside = pixels.shape[:2], np.zeros(pixels.shape[:2], bool)
    found = np.zeros(shape, bool)
    for box in boxes:
        corners = (box.rings[0] + 0.5) * factor - 0.5
        start = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, shape)
        end = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, start, shape)
        window = tuple(slice(a, b) for a, b in zip(start, end, strict=True))
        inside[window] = True
        if (end - start).min() > 0:
            found[window] |= _complete(pixels, start, end)
    maps.write(complete & ~inside, [BACKGROUND], BOX)
    maps.write(found, [INSIDE, CONTOUR], BOX)


def _complete(pixels, start, end):
    """Return the pixels of a box that belong to its object."""
    sides = end - start
    low = np.maximum(start - np.ceil(_MARGIN * sides).astype(int), 0)
    high = np.minimum(end + np.ceil(_MARGIN * sides).astype(int), pixels.shape[:2])
    around = pixels[low[0] : high[0], low[1] : high[1]]
    window = tuple(slice(a, b) for a, b in zip(start - low, end - low, strict=True))
    rows, cols = np.indices(sides)
    middle = (sides - 1) / 2
    seed = ((rows - middle[0]) / (sides[0] / 4)) ** 2 + ((cols - middle[1]) / (sides[1] / 4)) ** 2 <= 1
    probability = np.full(around.shape[:2], _OUTSIDE)
    probability[window] = np.where(seed, _SEED, _INSIDE)
    refined = refine(np.stack([1 - probability, probability], axis=2), around)[window][..., 1]
    return seed | (refined > _SURE)
