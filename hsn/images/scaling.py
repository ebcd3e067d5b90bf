"""Rescale images to the scale of a net, and normalize their pixels."""

import numpy as np

from .read import resample

SAME_SCALE = 0.01  # images are not resampled if the scales differ by less


def rescale(image, image_mpp, mpp):
    """Resample an image from `image_mpp` to `mpp` um/px: uint8 (h, w, 3).

    Examples
    --------
    >>> rescale(np.zeros((10, 20, 3), np.uint8), 0.25, 0.5).shape
    (5, 10, 3)
    """
    factor = image_mpp / mpp
    if abs(factor - 1) <= SAME_SCALE:
        return image
    return resample(image, tuple(max(1, round(side * factor)) for side in image.shape[:2]))


def normalize(pixels, mean, std):
    """Normalize pixels 0..255: return ``(x - mean) / std`` as float32.

    Examples
    --------
    >>> normalize([[0, 100, 250]], (100, 100, 100), (50, 50, 50)).tolist()
    [[-2.0, 0.0, 3.0]]
    """
    return (np.asarray(pixels, np.float32) - np.float32(mean)) / np.float32(std)
