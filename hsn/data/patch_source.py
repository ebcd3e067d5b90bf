"""Sources of patches: an image in memory, or a slide that is read window by window."""

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..images.read import read
from ..images.slide import Slide, is_slide, open_slide
from ..selection.patches import cut_patches, tissue_fraction

_THUMBNAIL = 16  # pixels of a slide per pixel of the thumbnail on which tissue is found


class PatchSource(Protocol):
    """Gives the patches of an image or slide.

    Attributes
    ----------
    shape : tuple of int
        Height and width in pixels, of a slide those of level 0; then perhaps the channels.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tissue_fraction(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        """Return the fraction of tissue in each patch, float64 (n,)."""
        ...

    def cut(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        """Return patches, uint8 (n, side_px, side_px, 3)."""
        ...


def open_source(path: str | os.PathLike, *, mpp: float | None = None) -> PatchSource:
    """Open an image or a slide.

    Parameters
    ----------
    path : path
    mpp : float, optional
        Micrometers per pixel of a slide whose file has no scale.

    Returns
    -------
    PatchSource

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> write(path, np.full((4, 6, 3), 120, np.uint8))
    >>> open_source(path).shape
    (4, 6, 3)
    """
    return _SlideSource(open_slide(path, mpp=mpp)) if is_slide(path) else _ImageSource(read(Path(path)))


class _ImageSource:
    def __init__(self, image: np.ndarray) -> None:
        self._image, self.shape = image, image.shape

    def tissue_fraction(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        return tissue_fraction(self._image, corners, side_px)

    def cut(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        return cut_patches(self._image, corners, side_px)


class _SlideSource:
    def __init__(self, slide: Slide) -> None:
        self._slide, self.shape = slide, slide.dimensions[::-1]

    def tissue_fraction(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        small = self._slide.thumbnail(_THUMBNAIL * self._slide.mpp)
        side = min(max(1, round(side_px / _THUMBNAIL)), *small.shape[:2])
        scale = np.divide(small.shape[:2], self.shape)
        places = np.minimum(
            np.round(np.asarray(corners) * scale).astype(int), np.array(small.shape[:2]) - side
        )
        return tissue_fraction(small, places, side)

    def cut(self, corners: ArrayLike, side_px: int) -> np.ndarray:
        windows = [
            self._slide.read_level(row, col, side_px, side_px) for row, col in np.asarray(corners).tolist()
        ]
        return np.stack(windows) if windows else np.empty((0, side_px, side_px, 3), np.uint8)
