"""Symmetries of the square: the eight rotations and flips of an image."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Symmetry:
    """A rotation by quarter turns, then a flip from left to right.

    Parameters
    ----------
    turns : int
        Quarter turns, 0..3.
    flip : bool
        Whether to flip.
    """

    turns: int = 0
    flip: bool = False

    def move(self, array):
        """Rotate and flip an array (H, W, ...).

        Examples
        --------
        >>> Symmetry(turns=1).move(np.array([[1, 2], [3, 4]])).tolist()
        [[2, 4], [1, 3]]
        """
        array = np.rot90(array, self.turns)
        return array[:, ::-1] if self.flip else array

    def back(self, array):
        """Undo `move`.

        Examples
        --------
        >>> symmetry = Symmetry(turns=3, flip=True)
        >>> symmetry.back(symmetry.move(np.array([[1, 2], [3, 4]]))).tolist()
        [[1, 2], [3, 4]]
        """
        return np.rot90(array[:, ::-1] if self.flip else array, -self.turns)

    def shape(self, shape):
        """Return the height and width of a transformed image.

        Examples
        --------
        >>> Symmetry(turns=1).shape((2, 5))
        (5, 2)
        """
        height, width = shape[:2]
        return (width, height) if self.turns % 2 else (height, width)

    def source(self, box, shape):
        """Map a box of the transformed image to the original image.

        Parameters
        ----------
        box : (int, int, int, int)
            First row and column, height and width, in the transformed image. It can extend beyond the image.
        shape : (int, int)
            Height and width of the original image.

        Returns
        -------
        (int, int, int, int)
            The box in the original image.

        Examples
        --------
        >>> Symmetry(turns=1).source((0, 1, 2, 1), (3, 4))
        (1, 2, 1, 2)
        """
        row, col, height, width = box
        if self.flip:
            col = self.shape(shape)[1] - col - width
        for turns in range(self.turns, 0, -1):
            image_width = Symmetry(turns - 1).shape(shape)[1]
            # A quarter turn: rotated[i, j] = image[j, image_width - 1 - i].
            row, col, height, width = col, image_width - row - height, width, height
        return row, col, height, width


SYMMETRIES = tuple(Symmetry(turns, flip) for turns in range(4) for flip in (False, True))
