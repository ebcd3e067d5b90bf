"""Texture features of H&E patches, which need no trained net.

The features are the amount and variation of stain, its variation in bands of size, the coherence of edge directions,
local binary patterns, and the density of dark spots of nuclear size. All are means over the patch: the features of a
patch and of its quarters are comparable. Rotating or mirroring a patch does not change them.

Stains are separated with the fixed vectors of Ruifrok and Johnston (2001). The patterns are those of Ojala et al. (PAMI
2002), counted by the number of brighter neighbors.
"""

from itertools import pairwise

import cv2
import numpy as np
from skimage.color import hed_from_rgb

from ..errors import InputError

_DARKEST = 1 / 255  # lower bound of the intensity
_SIZES_PX = (1, 2, 4, 8, 16)  # standard deviations of blurs; the difference of two is a band
_PATTERNS = ((1, 1), (4, 2))  # distance of the eight neighbors and blur, in pixels
_DIRECTIONS_PX = (2, 8)  # scales of the edge direction
_SPOT_PX = 4  # blur that turns a nucleus at 0.25 um/px into one spot
_SPOT_RADIUS_PX = 9  # smallest distance between spots
_SPOT_DEPTH = 0.02  # hematoxylin density above the surroundings; excludes noise
_AREA_PX = 10_000  # spots are counted per this area
_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_SHADES = (0.1, 0.5, 0.9)  # quantiles

NAMES = (
    *(f"{what} density of {light}" for light in ("red", "green", "blue") for what in ("mean", "spread of")),
    *(f"{stain} at {q:.0%}" for stain in ("hematoxylin", "eosin") for q in _SHADES),
    *(f"{stain}, band {px} px" for stain in ("hematoxylin", "eosin") for px in _SIZES_PX[:-1]),
    *(f"direction over {px} px" for px in _DIRECTIONS_PX),
    *(f"pattern {kind} at {px} px" for px, _ in _PATTERNS for kind in (*range(9), "mixed")),
    "spots",
)


def describe(patches: np.ndarray) -> np.ndarray:
    """Compute stain and texture features of patches.

    Parameters
    ----------
    patches : uint8 array, shape (n, height, width, 3)
        RGB, of 32 x 32 pixels or more.

    Returns
    -------
    float32 array, shape (n, len(NAMES))
        The features have different units: divide each by its standard deviation before comparing patches.

    Raises
    ------
    InputError
        "patches-dtype".

    Examples
    --------
    >>> white = describe(np.full((1, 32, 32, 3), 255, np.uint8))
    >>> white.shape == (1, len(NAMES)), float(white[0, NAMES.index("spots")])
    (True, 0.0)
    """
    patches = np.asarray(patches)
    shape = patches.shape
    if patches.dtype != np.uint8 or patches.ndim != 4 or shape[3] != 3 or min(shape[1:3]) < 32:
        raise InputError(
            "patches-dtype",
            "`patches` must be 8-bit RGB, uint8 (n, 32 or more, 32 or more, 3)",
            got=f"{patches.dtype} {shape}",
            hint="cut larger patches",
        )
    features = [_describe_patch(patch) for patch in patches]
    return np.array(features, np.float32).reshape(len(patches), len(NAMES))


def _describe_patch(patch: np.ndarray) -> np.ndarray:
    density = -np.log10(np.maximum(patch.astype(np.float32) / 255, _DARKEST))  # (h, w, 3)
    hematoxylin, eosin = np.moveaxis(density @ hed_from_rgb.astype(np.float32), 2, 0)[:2]
    light = np.stack([density.mean(axis=(0, 1)), density.std(axis=(0, 1))], axis=1)  # (3, 2)
    shades = [np.quantile(stain, _SHADES) for stain in (hematoxylin, eosin)]
    blurred = _blurs(hematoxylin)
    bands = [
        (fine - coarse).std() for levels in (blurred, _blurs(eosin)) for fine, coarse in pairwise(levels)
    ]
    of_size = dict(zip(_SIZES_PX, blurred, strict=True))
    patterns = [_patterns(of_size[blur], radius) for radius, blur in _PATTERNS]
    directions = [_direction(of_size[1], px) for px in _DIRECTIONS_PX]
    spots = _spots(of_size[_SPOT_PX], of_size[_SIZES_PX[-1]])
    return np.concatenate([light.ravel(), *shades, bands, directions, *patterns, [spots]])


def _blurs(stain: np.ndarray) -> list[np.ndarray]:
    stain = np.ascontiguousarray(stain)
    return [cv2.GaussianBlur(stain, (0, 0), px, borderType=cv2.BORDER_REFLECT) for px in _SIZES_PX]


def _patterns(stain: np.ndarray, radius: int) -> np.ndarray:
    """Return the fractions of the local binary patterns: 0..8 brighter neighbors in one run, and mixed ones."""
    height, width = stain.shape
    top, left, bottom, right = radius, radius, height - radius, width - radius
    center = stain[top:bottom, left:right]
    shifts = [(radius * row, radius * column) for row, column in _RING]
    neighbors = [stain[top + down : bottom + down, left + across : right + across] for down, across in shifts]
    brighter = np.stack([neighbor > center for neighbor in neighbors])
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    kinds = np.where(changes <= 2, brighter.sum(axis=0), 9)
    return np.bincount(kinds.ravel(), minlength=10) / kinds.size


def _direction(stain: np.ndarray, px: int) -> float:
    """Return the coherence of edge directions at a scale, 0 to 1, weighted by edge strength."""
    down, right = cv2.Sobel(stain, cv2.CV_32F, 0, 1), cv2.Sobel(stain, cv2.CV_32F, 1, 0)
    dd, rr, dr = (cv2.GaussianBlur(x, (0, 0), px) for x in (down * down, right * right, down * right))
    strength = float((dd + rr).sum())
    return float(np.sqrt((rr - dd) ** 2 + 4 * dr**2).sum()) / strength if strength > 0 else 0.0


def _spots(blurred: np.ndarray, surroundings: np.ndarray) -> float:
    """Return the number of hematoxylin maxima per `_AREA_PX` pixels."""
    zone = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _SPOT_RADIUS_PX + 1,) * 2)
    peaks = (blurred >= cv2.dilate(blurred, zone)) & (blurred > surroundings + _SPOT_DEPTH)
    return np.count_nonzero(peaks) * _AREA_PX / peaks.size
