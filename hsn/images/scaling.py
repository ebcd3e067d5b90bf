"""Rescale images to the scale of a net, and normalize their pixels."""

import numpy as np

from ..errors import InputError
from .read import MAX_PIXELS, resample

SAME_SCALE = 0.01  # images are not resampled if the scales differ by less


def rescale(image, image_mpp, mpp):
    """Resample an image from `image_mpp` to `mpp` um/px: uint8 (h, w, 3).

    Raises
    ------
    InputError
        "image-too-large" if the result would have more than 100 million pixels.

    Examples
    --------
    >>> rescale(np.zeros((10, 20, 3), np.uint8), 0.25, 0.5).shape
    (5, 10, 3)
    """
    factor = image_mpp / mpp
    if abs(factor - 1) <= SAME_SCALE:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    if height * width > max(MAX_PIXELS, image.shape[0] * image.shape[1]):
        raise InputError(
            "image-too-large",
            f"the image must have at most {MAX_PIXELS:,} pixels at the net's {mpp:g} um/px",
            got=f"{image.shape[0]} x {image.shape[1]} px at {image_mpp:g} um/px, which become {height} x {width}",
            hint="check `mpp`, or cut the image into pieces",
        )
    return resample(image, (height, width))


def normalize(pixels, mean, std):
    """Normalize pixels 0..255: return ``(x - mean) / std`` as float32.

    Examples
    --------
    >>> normalize([[0, 100, 250]], (100, 100, 100), (50, 50, 50)).tolist()
    [[-2.0, 0.0, 3.0]]
    """
    return (np.asarray(pixels, np.float32) - np.float32(mean)) / np.float32(std)
