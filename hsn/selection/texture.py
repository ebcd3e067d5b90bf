"""Texture: what a patch of H&E looks like, in numbers that need no trained net.

How much stain there is and how it varies, how much of its variation is of which size, how much of it has a direction,
local binary patterns, and how densely dark spots of a nucleus' size lie. All are means over the patch, so that those
of a patch and of its quarters compare, and none changes when the patch is turned or mirrored.

Stains are told by the fixed vectors of Ruifrok and Johnston (2001); patterns are those of Ojala et al. (PAMI 2002),
counted by how many neighbours are brighter.
"""

from itertools import pairwise

import cv2
import numpy as np
from skimage.color import hed_from_rgb

from ..errors import refuse

_DARKEST = 1 / 255  # what counts as no light at all
_SIZES_PX = (1, 2, 4, 8, 16)  # of blurs; what one keeps and the next loses is a band
_PATTERNS = ((1, 1), (4, 2))  # how far the eight neighbours lie and how blurred they are, in pixels
_DIRECTIONS_PX = (2, 8)  # over what the direction of edges is taken
_SPOT_PX, _SPOT_REACH_PX = (
    4,
    9,
)  # blur that leaves a nucleus of 0.25 um/px as one spot, and how far spots keep apart
_SPOT_DEPTH = 0.02  # of haematoxylin over its surroundings, so that noise has no spots
_AREA_PX = 10_000  # spots are counted per so many pixels
_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_SHADES = (0.1, 0.5, 0.9)  # quantiles

NAMES = (
    *(f"{what} density of {light}" for light in ("red", "green", "blue") for what in ("mean", "spread of")),
    *(f"{stain} at {q:.0%}" for stain in ("haematoxylin", "eosin") for q in _SHADES),
    *(f"{stain}, band {px} px" for stain in ("haematoxylin", "eosin") for px in _SIZES_PX[:-1]),
    *(f"direction over {px} px" for px in _DIRECTIONS_PX),
    *(f"pattern {kind} at {px} px" for px, _ in _PATTERNS for kind in (*range(9), "mixed")),
    "spots",
)


def describe(patches):
    """Describe patches by stain and texture.

    Parameters
    ----------
    patches : uint8 array, shape (n, height, width, 3)
        RGB, of 32 x 32 pixels or more.

    Returns
    -------
    float32 array, shape (n, len(NAMES))
        In units of their own; compare them only after each was divided by its spread.

    Raises
    ------
    InputError
        If they are no such patches.

    Examples
    --------
    >>> white = describe(np.full((1, 32, 32, 3), 255, np.uint8))
    >>> white.shape == (1, len(NAMES)), float(white[0, NAMES.index("spots")])
    (True, 0.0)
    """
    patches = np.asarray(patches)
    if (
        patches.ndim != 4
        or patches.shape[3] != 3
        or patches.dtype != np.uint8
        or min(patches.shape[1:3]) < 32
    ):
        refuse("patches must be 8-bit RGB", expected="uint8 (n, 32 or more, 32 or more, 3)",
               received=f"{patches.dtype} {patches.shape}", remedy="cut larger patches")  # fmt: skip
    told = [_one(patch) for patch in patches]
    return np.array(told, np.float32).reshape(len(patches), len(NAMES))


def _one(patch):
    density = -np.log10(np.maximum(patch.astype(np.float32) / 255, _DARKEST))  # (h, w, 3)
    haematoxylin, eosin = np.moveaxis(density @ hed_from_rgb.astype(np.float32), 2, 0)[:2]
    light = np.stack([density.mean(axis=(0, 1)), density.std(axis=(0, 1))], axis=1)  # (3, 2)
    shades = [np.quantile(stain, _SHADES) for stain in (haematoxylin, eosin)]
    blurred = _blurs(haematoxylin)
    bands = [
        (fine - coarse).std() for levels in (blurred, _blurs(eosin)) for fine, coarse in pairwise(levels)
    ]
    of_size = dict(zip(_SIZES_PX, blurred, strict=True))
    patterns = [_patterns(of_size[blur], far) for far, blur in _PATTERNS]
    directions = [_direction(of_size[1], px) for px in _DIRECTIONS_PX]
    spots = _spots(of_size[_SPOT_PX], of_size[_SIZES_PX[-1]])
    return np.concatenate([light.ravel(), *shades, bands, directions, *patterns, [spots]])


def _blurs(stain):
    stain = np.ascontiguousarray(stain)
    return [cv2.GaussianBlur(stain, (0, 0), px, borderType=cv2.BORDER_REFLECT) for px in _SIZES_PX]


def _patterns(stain, far):
    """Shares of the local binary patterns: with 0..8 brighter neighbours in one run, and mixed ones."""
    height, width = stain.shape
    middle = stain[far : height - far, far : width - far]
    brighter = np.stack(
        [
            stain[far + far * r : height - far + far * r, far + far * c : width - far + far * c] > middle
            for r, c in _RING
        ]
    )
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    kinds = np.where(changes <= 2, brighter.sum(axis=0), 9)
    return np.bincount(kinds.ravel(), minlength=10) / kinds.size


def _direction(stain, px):
    """How much edges agree in direction within some pixels, 0 to 1, weighted by their strength."""
    down, right = cv2.Sobel(stain, cv2.CV_32F, 0, 1), cv2.Sobel(stain, cv2.CV_32F, 1, 0)
    dd, rr, dr = (cv2.GaussianBlur(x, (0, 0), px) for x in (down * down, right * right, down * right))
    strength = float((dd + rr).sum())
    return float(np.sqrt((rr - dd) ** 2 + 4 * dr**2).sum()) / strength if strength > 0 else 0.0


def _spots(blurred, around):
    """Peaks of haematoxylin per `_AREA_PX` pixels."""
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _SPOT_REACH_PX + 1,) * 2)
    peaks = (blurred >= cv2.dilate(blurred, reach)) & (blurred > around + _SPOT_DEPTH)
    return np.count_nonzero(peaks) * _AREA_PX / peaks.size
