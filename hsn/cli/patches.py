"""What must be known of a lab's patches before a net can learn from them."""

import colorsys
from dataclasses import dataclass, field

import numpy as np

from ..errors import refuse
from ..taxonomies import Taxonomy, TissueClass

_LEAST_STD = 1.0  # grey levels; flat patches must not be divided by nothing


@dataclass
class Gathered:
    """Patches that can be used, and their brightness for the net's normalization.

    Attributes
    ----------
    paths : list of pathlib.Path
    kept : list of int
        Which of all patches they are.
    side_px : int or None
        Height and width of every patch, as of the first.
    failures : list of (str, str)
    """

    paths: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    side_px: int | None = None
    failures: list = field(default_factory=list)
    _sums: np.ndarray = field(default_factory=lambda: np.zeros(3))  # values, their sum, their squares' sum

    def add(self, number, path, image):
        """Take a patch up, or refuse it for its shape."""
        height, width = image.shape[:2]
        side = self.side_px or height
        if (height, width) != (side, side):
            refuse(f"{path} is not a patch like the others", expected=f"a square of {side} px",
                   received=f"{height} x {width}", remedy="cut patches of one size and scale")  # fmt: skip
        self.side_px = side
        self.paths.append(path)
        self.kept.append(number)
        levels = np.bincount(image.ravel(), minlength=256)
        self._sums += [levels @ np.arange(256.0) ** power for power in range(3)]

    @property
    def mean(self):
        """Mean of all channels and pixels, in grey levels."""
        return float(self._sums[1] / self._sums[0])

    @property
    def std(self):
        """Standard deviation likewise."""
        return float(max(_LEAST_STD, np.sqrt(self._sums[2] / self._sums[0] - self.mean**2)))


def taxonomy_of(classes, name):
    """A taxonomy of the tags' own classes, in hues as far apart as there is room for.

    Examples
    --------
    >>> taxonomy_of(["tumour", "stroma"], "mine").colors
    ((217, 65, 65), (44, 145, 145))
    """
    hues = [(k / len(classes), (0.85, 0.57)[k % 2]) for k in range(len(classes))]
    colors = (colorsys.hsv_to_rgb(hue, 0.7, value) for hue, value in hues)
    return Taxonomy(
        name,
        tuple(
            TissueClass(c, tuple(round(255 * v) for v in color))
            for c, color in zip(classes, colors, strict=True)
        ),
    )
