"""Moments: mean and spread of an image's colours, channel by channel.

CIELAB keeps lightness apart from hue, so that its channels can be moved one at a time; density is what
stains add up in.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ..checks import as_image
from ..errors import refuse
from .density import density


class Moments(NamedTuple):
    """Mean and standard deviation of three channels.

    Attributes
    ----------
    mean, std : tuple of 3 float
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def to_lab(image):
    """CIELAB of an image (D65): uint8 (H, W, 3) -> float32 (H, W, 3), lightness 0..100, a and b about -128..127.

    Examples
    --------
    >>> to_lab(np.full((1, 1, 3), 255, np.uint8)).round().tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    return cv2.cvtColor(as_image(image).astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)


def from_lab(lab):
    """The image of CIELAB values: float (H, W, 3) -> uint8 (H, W, 3); colours beyond the screen's are cut off.

    Examples
    --------
    >>> from_lab(np.array([[[100.0, 0.0, 0.0]]])).tolist()
    [[[255, 255, 255]]]
    """
    levels = 255 * cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_LAB2RGB)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


SPACES = {"rgb": as_image, "lab": to_lab, "density": density}


def moments(image, *, space="lab"):
    """Mean and standard deviation of an image's channels.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    space : {"lab", "rgb", "density"}
        CIELAB, levels 0..255, or optical density.

    Returns
    -------
    Moments

    Raises
    ------
    InputError
        If the image is none, or there is no such space.

    Examples
    --------
    >>> moments(np.array([[[0, 10, 20], [4, 10, 40]]], np.uint8), space="rgb")
    Moments(mean=(2.0, 10.0, 30.0), std=(2.0, 0.0, 10.0))
    """
    if space not in SPACES:
        refuse("there is no such colour space here", expected=f"one of {', '.join(SPACES)}",
               received=repr(space), remedy="choose one of these")  # fmt: skip
    channels = np.asarray(SPACES[space](image), np.float64).reshape(-1, 3)
    return Moments(tuple(channels.mean(axis=0).tolist()), tuple(channels.std(axis=0).tolist()))
