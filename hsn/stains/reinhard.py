"""Reinhard's stain normalization: match the mean and standard deviation of each color channel to a reference.

All pixels count, including glass. Use `hsn.stains.macenko` if images differ in their amount of glass.

References
----------
.. [1] Reinhard et al., "Color transfer between images", IEEE Computer Graphics and Applications 2001.
.. [2] Magee et al., OPTIMHisE 2009: CIELAB, used here, instead of the color space of [1]_.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from ..checks import as_image, one_of
from ..errors import InputError
from .density import optical_density

_MIN_STD = 0.5  # channels with less contrast are shifted, not scaled; CIELAB, about 100


class Moments(NamedTuple):
    """Mean and standard deviation of three channels.

    Attributes
    ----------
    mean, std : tuple of 3 float
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def to_lab(image: npt.ArrayLike) -> np.ndarray:
    """Convert RGB to CIELAB (D65): uint8 (H, W, 3) -> float32 (H, W, 3), L 0..100, a and b about -128..127.

    Examples
    --------
    >>> to_lab(np.full((1, 1, 3), 255, np.uint8)).round().tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    return cv2.cvtColor(as_image(image).astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)


def from_lab(lab: npt.ArrayLike) -> np.ndarray:
    """Convert CIELAB to RGB: float (H, W, 3) -> uint8 (H, W, 3); colors outside of sRGB are clipped.

    Examples
    --------
    >>> from_lab(np.array([[[100.0, 0.0, 0.0]]])).tolist()
    [[[255, 255, 255]]]
    """
    levels = 255 * cv2.cvtColor(np.asarray(lab, np.float32), cv2.COLOR_LAB2RGB)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


SPACES = {"rgb": as_image, "lab": to_lab, "density": optical_density}


def compute_moments(image: npt.ArrayLike, *, space: str = "lab") -> Moments:
    """Compute the mean and standard deviation of each channel of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    space : {"lab", "rgb", "density"}
        CIELAB (default), levels 0..255, or optical density.

    Returns
    -------
    Moments

    Raises
    ------
    InputError
        "image-dtype" or "space-unknown".

    Examples
    --------
    >>> compute_moments(np.array([[[0, 10, 20], [4, 10, 40]]], np.uint8), space="rgb")
    Moments(mean=(2.0, 10.0, 30.0), std=(2.0, 0.0, 10.0))
    """
    one_of("space", space, SPACES)
    channels = np.asarray(SPACES[space](image), np.float64).reshape(-1, 3)
    return Moments(tuple(channels.mean(axis=0).tolist()), tuple(channels.std(axis=0).tolist()))


@dataclass(frozen=True)
class Reinhard:
    """Reference colors for Reinhard normalization.

    Attributes
    ----------
    mean, std : tuple of 3 float
        Moments in CIELAB: L 0..100, a, b.

    Raises
    ------
    InputError
        "stain-moments" unless there are three finite means and three standard deviations of at least 0.

    Examples
    --------
    >>> pale = np.random.default_rng(0).integers(150, 250, (20, 20, 3), dtype=np.uint8)
    >>> dark = pale // 2
    >>> target = Reinhard.fit([pale])
    >>> bool(abs(target.normalize(dark).mean() - pale.mean()) < 3)
    True
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    method: str = field(default="reinhard", init=False)

    def __post_init__(self) -> None:
        three = len(self.mean) == 3 and len(self.std) == 3
        if not three or not np.isfinite([*self.mean, *self.std]).all() or min(self.std) < 0:
            raise InputError(
                "stain-moments",
                "`mean` and `std` must be three finite numbers each, `std` at least 0",
                got=f"{self.mean} and {self.std}",
                hint="measure them with Reinhard.fit",
            )

    @classmethod
    def fit(cls, images: Iterable[np.ndarray]) -> Self:
        """Measure reference colors of images, uint8 (H, W, 3): the mean of their moments.

        Raises an `InputError`, "images-empty", without images.
        """
        moments = np.array([compute_moments(image) for image in images])  # (n, 2, 3)
        if not len(moments):
            raise InputError(
                "images-empty",
                "`images` must contain at least one image",
                got="none",
                hint="give images with the reference stain",
            )
        mean, std = moments.mean(axis=0).tolist()
        return cls(tuple(mean), tuple(std))

    def normalize(self, image: npt.ArrayLike, *, like: npt.ArrayLike | None = None) -> np.ndarray:
        """Match an image to these colors: uint8 (H, W, 3) -> uint8 (H, W, 3).

        A channel without contrast is shifted but not scaled. The colors are measured on `like`, a sample of a slide,
        uint8 (h, w, 3). Default: the image itself.
        """
        own = compute_moments(as_image(image if like is None else like))
        gain = [new / old if old >= _MIN_STD else 1.0 for old, new in zip(own.std, self.std, strict=True)]
        return from_lab(
            (to_lab(image) - np.asarray(own.mean, np.float32)) * np.asarray(gain, np.float32)
            + np.asarray(self.mean, np.float32)
        )
