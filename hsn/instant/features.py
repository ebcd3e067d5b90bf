"""Feature maps of an H&E image: stains at several scales, their bands, edges, ridges and directions.

All maps are made by OpenCV from blurred stain densities, in a fraction of a second for a tile. The scales are in
pixels: read the image at the scale that fits the objects, 0.5 um/px for nuclei and 2 um/px for regions of tissue.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from skimage.color import hed_from_rgb

from ..checks import as_image

SIZES_PX = (1, 2, 4, 8)  # standard deviations of the blurs
_SHAPES_PX = (2, 8)  # scales of edges and ridges of the second and third stain; the first has all
MARGIN_PX = 3 * (SIZES_PX[-1] + 2 * SIZES_PX[-1])  # reach of the largest blur and of the blur after it
_DARKEST = 1 / 255
COUNT = 3 * 2 * len(SIZES_PX) + 4 * (len(SIZES_PX) + 2 * len(_SHAPES_PX))


def compute_maps(image: np.ndarray) -> np.ndarray:
    """Compute the feature maps of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)

    Returns
    -------
    float32 array, shape (H, W, COUNT)
        Values farther than `MARGIN_PX` from the border do not depend on what is outside of the image.

    Examples
    --------
    >>> compute_maps(np.full((20, 30, 3), 200, np.uint8)).shape == (20, 30, COUNT)
    True
    """
    density = -np.log10(np.maximum(as_image(image).astype(np.float32) / 255, _DARKEST))
    stains = density @ hed_from_rgb.astype(np.float32)
    channels = (stains[..., 0], stains[..., 1], density.mean(axis=2))
    maps: list[np.ndarray] = []
    for number, channel in enumerate(channels):
        last = channel = np.ascontiguousarray(channel)
        for size in SIZES_PX:
            blurred = _blur(channel, size)
            maps += [blurred, last - blurred]
            last = blurred
            if number == 0 or size in _SHAPES_PX:
                maps += _shapes(blurred, size)
    return np.stack(maps, axis=2)


def _shapes(blurred: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the strength of edges, the two curvatures, and the coherence of the edge directions around."""
    right, down = (cv2.Sobel(blurred, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    yield np.hypot(right, down) * size
    xx, yy, xy = (cv2.Sobel(blurred, cv2.CV_32F, *order, scale=1 / 4) for order in ((2, 0), (0, 2), (1, 1)))
    mean, spread = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    yield (mean + spread) * size**2
    yield (mean - spread) * size**2
    a, b, c = (_blur(product, 2 * size) for product in (right * right, down * down, right * down))
    yield np.sqrt((a + b) / 2 + np.sqrt(((a - b) / 2) ** 2 + c**2 + 1e-12)) * size


def _blur(channel: np.ndarray, size: float) -> np.ndarray:
    return cv2.GaussianBlur(channel, (0, 0), size, borderType=cv2.BORDER_REFLECT_101)
