"""Seen: what a config must know of images, and which of them can be used, found before hours of training."""

import numpy as np

from ..errors import InputError, refuse
from .console import complain, progress

_LEAST_STD = 1.0  # grey levels; flat images must not be divided by nothing


class Seen:
    """Images that can be used, with their masks, and what the config must know of them.

    Attributes
    ----------
    images, annotations : list of pathlib.Path
    pixels, smallest_px : int
        Of all images together, and the smallest side of any.
    """

    def __init__(self):
        self.images, self.annotations = [], []
        self.pixels, self.smallest_px = 0, None
        self._sums = np.zeros((3, 2))  # of the levels of each channel, and of their squares

    def add(self, path, annotation, image):
        """Take an image and its masks up."""
        self.images.append(path)
        self.annotations.append(annotation)
        self.pixels += image.shape[0] * image.shape[1]
        self.smallest_px = min(*image.shape[:2], self.smallest_px or max(image.shape))
        levels = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])  # (3, 256)
        self._sums += levels @ np.stack([np.arange(256.0), np.arange(256.0) ** 2], axis=1)

    @property
    def mean(self):
        """Mean of each channel, in grey levels."""
        return tuple((self._sums[:, 0] / self.pixels).tolist())

    @property
    def std(self):
        """Standard deviation likewise."""
        variance = self._sums[:, 1] / self.pixels - np.square(self.mean)
        return tuple(np.sqrt(np.maximum(variance, _LEAST_STD**2)).tolist())


def look_at(pairs, told, what, *, wanted):
    """Read everything once before training: bad files are left out now and said, not hours later.

    Parameters
    ----------
    pairs : hsn.annotations.pairing.Pairs
    told : callable
        ``(path, annotation, image) -> annotation``: what training is given.
    what : str
        What is looked at: "masks".
    wanted : str
        What there should have been, where nothing can be used.

    Returns
    -------
    seen : Seen
    failures : list of (str, str)
        Files that are left out, those without a partner among them, and why.
    """
    from ..images.read import read

    seen, bad = Seen(), []
    with progress() as bar:
        both = list(zip(pairs.images, pairs.annotations, strict=True))
        for path, annotation in bar.track(both, description=f"looking at {what}"):
            try:
                image = read(path)
                seen.add(path, told(path, annotation, image), image)
            except InputError as error:
                bad.append((str(path), str(error)))
    if not seen.images:
        refuse("there is no image to learn from", expected=wanted, received="none",
               remedy="mend " + "; ".join(why for _, why in bad[:3]))  # fmt: skip
    failures = [(str(path), why) for path, why in pairs.alone] + bad
    for name, why in failures:
        complain(f"left out: {name}: {why}")
    return seen, failures
