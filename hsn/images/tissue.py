"""Find tissue on a slide, at a coarse scale.

Stained tissue is colored; glass is gray. The threshold on the color range of a pixel (largest minus smallest channel)
is Otsu's, but at least a floor, so that pale tissue is kept and an empty slide gives an empty mask.
"""

import cv2
import numpy as np

from ..checks import as_image, positive
from .slide import Slide

TISSUE_MPP = 8.0  # um/px of a tissue mask
_MIN_RANGE, _MAX_RANGE = 8.0, 28.0  # bounds of the threshold, in gray levels
_OPENING_UM = 16.0
_MARGIN_UM = 24.0  # that the mask is wider than the stain: no nucleus at the border is cut
_MIN_PIECE_UM2 = 50_000.0
_MIN_HOLE_UM2 = 10_000.0  # smaller holes are filled
_BLACK = 40  # brightest channel of the dark border of a scan


def find_tissue(image: np.ndarray, mpp: float = TISSUE_MPP) -> np.ndarray:
    """Find the tissue on a thumbnail.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    mpp : float
        Micrometers per pixel. Default: 8.

    Returns
    -------
    bool array, shape (H, W)
        Pieces below 0.05 mm2 are dropped, and holes below 0.01 mm2 filled. A smaller image keeps its largest piece.

    Raises
    ------
    InputError
        "image-dtype" or "mpp-positive".

    Notes
    -----
    Pixels with the colors of pens are left out: saturated blue, green, red and black.

    Examples
    --------
    >>> image = np.full((60, 60, 3), 240, np.uint8)
    >>> image[10:50, 10:50] = 200, 120, 180
    >>> mask = find_tissue(image)
    >>> bool(mask[30, 30]), bool(mask[0, 0])
    (True, False)
    """
    image, mpp = as_image(image), positive("mpp", mpp)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    color_range = smooth.max(axis=2) - smooth.min(axis=2)
    otsu, _ = cv2.threshold(color_range, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = (color_range > np.clip(otsu, _MIN_RANGE, _MAX_RANGE)) & ~_pen(smooth)
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disk(_OPENING_UM / 2 / mpp))
    mask = cv2.dilate(mask, _disk(_MARGIN_UM / mpp))
    smallest = min(_MIN_PIECE_UM2 / mpp**2, mask.sum() / 4)
    mask = _without_small(mask, smallest)
    return ~_without_small((~mask).astype(np.uint8), _MIN_HOLE_UM2 / mpp**2)


def slide_tissue(slide: Slide) -> np.ndarray:
    """Find the tissue of a slide, bool (H, W) at 8 um/px."""
    return find_tissue(slide.thumbnail(TISSUE_MPP))


def mask_at(
    mask: np.ndarray, shape: tuple[int, int], row: int, col: int, height: int, width: int
) -> np.ndarray:
    """Return a box of a mask that is enlarged to `shape` (nearest neighbor), bool (height, width).

    Examples
    --------
    >>> mask_at(np.array([[True, False]]), (2, 4), 0, 1, 1, 3).tolist()
    [[True, False, False]]
    """
    rows, columns = (
        np.minimum(((np.arange(start, start + count) + 0.5) * (side / full)).astype(np.int64), side - 1)
        for start, count, side, full in zip((row, col), (height, width), mask.shape, shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _pen(image: np.ndarray) -> np.ndarray:
    """Return the pixels with the colors of pens, and black ones."""
    red, green, blue = (image[..., k].astype(np.int16) for k in range(3))
    is_green = (green > red + 20) & (green > blue)
    is_blue = (blue > red + 60) & (green > red - 10)
    is_red = (red > 150) & (green < 60) & (blue < 60)
    return is_green | is_blue | is_red | (image.max(axis=2) < _BLACK)


def _without_small(mask: np.ndarray, min_area_px: float) -> np.ndarray:
    """Return a mask, bool (H, W), without components below an area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_area_px
    kept[0] = False
    return kept[labels]


def _disk(radius_px: float) -> np.ndarray:
    side = 2 * max(1, round(radius_px)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
