"""Augmentation: one random draw, applied alike to the image and to everything that lies over it.

Image and truth cannot drift apart, because they move by the same value.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draw:
    """One draw: how this image is turned, flipped, shifted and coloured.

    Attributes
    ----------
    turns : int
        Quarter turns, 0..3.
    flip : bool
        Whether left and right are exchanged, after the turn.
    shift : (int, int)
        Rows and columns by which it moves; what comes in is mirrored.
    gain, offset : tuple of 3 float
        Per channel factor and grey levels added.
    """

    turns: int = 0
    flip: bool = False
    shift: tuple[int, int] = (0, 0)
    gain: tuple[float, float, float] = (1, 1, 1)
    offset: tuple[float, float, float] = (0, 0, 0)

    def move(self, array):
        """Move anything that lies over the image: array (H, W, ...).

        Examples
        --------
        >>> Draw(turns=1).move(np.array([[1, 2], [3, 4]])).tolist()
        [[2, 4], [1, 3]]
        """
        array = np.rot90(array, self.turns)
        if self.flip:
            array = array[:, ::-1]
        if self.shift != (0, 0):
            margins = [(max(s, 0), max(-s, 0)) for s in self.shift]
            padded = np.pad(array, margins + [(0, 0)] * (array.ndim - 2), mode="symmetric")
            first = [max(-s, 0) for s in self.shift]
            array = padded[first[0] : first[0] + array.shape[0], first[1] : first[1] + array.shape[1]]
        return array

    def back(self, array):
        """Undo `move` for turns and flips: array (H, W, ...).

        Examples
        --------
        >>> draw = Draw(turns=3, flip=True)
        >>> draw.back(draw.move(np.array([[1, 2], [3, 4]]))).tolist()
        [[1, 2], [3, 4]]
        """
        return np.rot90(array[:, ::-1] if self.flip else array, -self.turns)

    def paint(self, image):
        """Move and recolour an image: uint8 (H, W, 3) -> float32 (H, W, 3), 0..255."""
        return np.clip(self.move(image) * np.float32(self.gain) + np.float32(self.offset), 0, 255)


def draw(rng, *, flips=True, quarter_turns=True, shift_px=0, gain=0.0, offset=0.0):
    """Draw once.

    Parameters
    ----------
    rng : numpy.random.Generator
    flips, quarter_turns : bool
    shift_px : int
        Largest shift.
    gain, offset : float
        Each channel's factor lies in 1 +- gain, its addition in +- offset grey levels.

    Returns
    -------
    Draw

    Examples
    --------
    >>> draw(np.random.default_rng(0), flips=False, quarter_turns=False) == Draw()
    True
    """
    return Draw(
        turns=int(rng.integers(4)) if quarter_turns else 0,
        flip=bool(rng.integers(2)) if flips else False,
        shift=tuple(int(s) for s in rng.integers(-shift_px, shift_px + 1, 2)),
        gain=tuple(1 + gain * rng.uniform(-1, 1, 3)),
        offset=tuple(offset * rng.uniform(-1, 1, 3)),
    )
