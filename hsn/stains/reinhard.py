"""Reinhard's normalization: an image's colours are moved and stretched until their moments are another's.

After Reinhard et al., "Color transfer between images" (IEEE Computer Graphics and Applications, 2001); in CIELAB, as is
usual for histology (Magee et al., OPTIMHisE 2009), where the paper has a space of its own. All pixels count: two images
of which one shows more glass are not brought together, for which `hsn.stains.macenko` is the method.
"""

from dataclasses import dataclass, field

import numpy as np

from ..checks import as_image
from ..errors import refuse
from .moments import from_lab, moments, to_lab

_FLAT = 0.5  # a channel that varies by less holds no contrast that could be stretched; of about 100
_COUNT = 3


@dataclass(frozen=True)
class Reinhard:
    """Colours to bring images to.

    Attributes
    ----------
    mean, std : tuple of 3 float
        Moments in CIELAB: lightness 0..100, a, b.

    Examples
    --------
    >>> pale = np.random.default_rng(0).integers(150, 250, (20, 20, 3), dtype=np.uint8)
    >>> dark = pale // 2
    >>> target = Reinhard.of([pale])
    >>> bool(abs(target.normalize(dark).mean() - pale.mean()) < 3)
    True
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    method: str = field(default="reinhard", init=False)

    def __post_init__(self):
        numbers = np.array([*self.mean, *self.std], float)
        if (
            (len(self.mean), len(self.std)) != (_COUNT, _COUNT)
            or not np.isfinite(numbers).all()
            or min(self.std) < 0
        ):
            refuse("Reinhard's target has moments of three channels", expected="three means, three deviations from 0",
                   received=f"{self.mean} and {self.std}", remedy="measure them with Reinhard.of")  # fmt: skip

    @classmethod
    def of(cls, images):
        """The colours of some images: the mean of their means, and of their deviations.

        Parameters
        ----------
        images : iterable of uint8 arrays (H, W, 3)

        Raises
        ------
        InputError
            If there are no images.
        """
        told = np.array([moments(image) for image in images])  # (n, 2, 3)
        if not len(told):
            refuse("colours are measured on images", expected="one image or more", received="none",
                   remedy="give images of the stain that others shall look like")  # fmt: skip
        mean, std = told.mean(axis=0).tolist()
        return cls(tuple(mean), tuple(std))

    def normalize(self, image):
        """The image in these colours: uint8 (H, W, 3) -> uint8 (H, W, 3). A channel without contrast is only moved."""
        own = moments(as_image(image))
        stretch = [t / s if s >= _FLAT else 1.0 for s, t in zip(own.std, self.std, strict=True)]
        moved = (to_lab(image) - np.float32(own.mean)) * np.float32(stretch) + np.float32(self.mean)
        return from_lab(moved)
