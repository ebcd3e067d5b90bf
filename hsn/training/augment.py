"""Augmentation: transform an image, its labels and its weights by the same random draw.

A `Draw` moves whole pixels and changes colors. A `Warp` cuts a crop that is zoomed, rotated, sheared and deformed; each
pixel is interpolated once.

Elastic fields are cubic B-splines, as in FullNet (Qu et al., MICCAI 2019), or smoothed noise (Simard et al., ICDAR
2003), as in the U-Nets on CryoNuSeg (C. Eichner, 2022). Stain augmentation follows Tellez et al. (IEEE TMI, 2018).
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ..images.symmetries import Symmetry
from ..stains.density import jitter_stains


@dataclass(frozen=True)
class Draw:
    """A random rotation, flip, shift and change of colors.

    Attributes
    ----------
    turns : int
        Quarter turns, 0..3.
    flip : bool
        Whether left and right are exchanged, after the rotation.
    shift : (int, int)
        Shift in rows and columns; the border is mirrored.
    gain, offset : tuple of 3 float
        Factor of each channel, and gray levels added.
    stain_gain, stain_offset : (float, float)
        Factor of the amounts of hematoxylin and eosin, and amounts added; applied before `gain`.
    """

    turns: int = 0
    flip: bool = False
    shift: tuple[int, int] = (0, 0)
    gain: tuple[float, float, float] = (1, 1, 1)
    offset: tuple[float, float, float] = (0, 0, 0)
    stain_gain: tuple[float, float] = (1, 1)
    stain_offset: tuple[float, float] = (0, 0)

    def move(self, array):
        """Apply rotation, flip and shift to an array (H, W, ...).

        Examples
        --------
        >>> Draw(turns=1).move(np.array([[1, 2], [3, 4]])).tolist()
        [[2, 4], [1, 3]]
        """
        array = Symmetry(self.turns, self.flip).move(array)
        if self.shift != (0, 0):
            margins = [(max(s, 0), max(-s, 0)) for s in self.shift]
            padded = np.pad(array, margins + [(0, 0)] * (array.ndim - 2), mode="symmetric")
            first = [max(-s, 0) for s in self.shift]
            array = padded[first[0] : first[0] + array.shape[0], first[1] : first[1] + array.shape[1]]
        return array

    def paint(self, image):
        """Apply the draw to an image, with colors: uint8 (H, W, 3) -> float32 (H, W, 3), 0..255."""
        moved = self.move(image)
        if (self.stain_gain, self.stain_offset) != ((1, 1), (0, 0)):
            moved = jitter_stains(moved, self.stain_gain, self.stain_offset)
        return np.clip(moved * np.float32(self.gain) + np.float32(self.offset), 0, 255)


def draw(rng, *, flips=True, quarter_turns=True, shift_px=0, gain=0.0, offset=0.0, stain_gain=0.0,
         stain_offset=0.0):  # fmt: skip
    """Draw a random `Draw`.

    Parameters
    ----------
    rng : numpy.random.Generator
    flips, quarter_turns : bool
        Whether to flip and to rotate.
    shift_px : int
        Largest shift.
    gain, offset : float
        Each channel is multiplied by 1 +- gain; then +- offset gray levels are added.
    stain_gain, stain_offset : float
        Each stain amount is multiplied by 1 +- stain_gain; then +- stain_offset is added. See
        `hsn.stains.density.jitter_stains`.

    Returns
    -------
    Draw

    Examples
    --------
    >>> draw(np.random.default_rng(0), flips=False, quarter_turns=False) == Draw()
    True
    """
    drawn = Draw(
        turns=int(rng.integers(4)) if quarter_turns else 0,
        flip=bool(rng.integers(2)) if flips else False,
        shift=tuple(int(s) for s in rng.integers(-shift_px, shift_px + 1, 2)),
        gain=tuple(1 + gain * rng.uniform(-1, 1, 3)),
        offset=tuple(offset * rng.uniform(-1, 1, 3)),
    )
    if not stain_gain and not stain_offset:  # the random stream stays the same without this option
        return drawn
    return replace(
        drawn,
        stain_gain=tuple(1 + stain_gain * rng.uniform(-1, 1, 2)),
        stain_offset=tuple(stain_offset * rng.uniform(-1, 1, 2)),
    )


_ITERATIONS = 20  # enough to invert a small deformation to 0.1 px


@dataclass(frozen=True, eq=False)
class Warp:
    """A random geometric transform: the position in the image of each pixel of a crop.

    Attributes
    ----------
    center : (float, float)
        Row and column of the image at the center of the crop.
    matrix : float array, shape (2, 2)
        Maps positions in the crop to positions in the image, both (row, col) from the center.
    displacement : float array, shape (2, side, side)
        Elastic displacement in rows and columns, added to positions in the crop before `matrix`.

    Examples
    --------
    >>> crop = Warp((1.0, 2.0), np.eye(2), np.zeros((2, 1, 3)))
    >>> crop.labels(np.arange(12).reshape(3, 4)).tolist()
    [[5, 6, 7]]
    """

    center: tuple[float, float]
    matrix: np.ndarray
    displacement: np.ndarray

    def image(self, image):
        """Return a crop of an image (H, W, C), bilinear; mirrored outside of the image."""
        return self._remap(image, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)

    def labels(self, labels):
        """Return a crop of labels or instances, int (H, W), nearest pixel; 0 outside of the image."""
        labels = np.asarray(labels)
        # float32 holds integers up to 2^24, more than there are objects in an image.
        moved = self._remap(labels.astype(np.float32), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        return moved.astype(labels.dtype)

    def weight(self, weight):
        """Return a crop of weights, float (H, W), bilinear; 0 outside of the image."""
        return self._remap(np.asarray(weight, np.float32), cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)

    def points(self, points):
        """Return the positions of points in the crop, float (N, 2); points may lie outside of it.

        The displacement is inverted by fixed-point iteration, which converges for small displacements.

        Examples
        --------
        >>> Warp((1.0, 2.0), np.eye(2) / 2, np.zeros((2, 5, 5))).points([[1, 2], [2, 2]]).tolist()
        [[2.0, 2.0], [4.0, 2.0]]
        """
        middle = (np.array(self.displacement.shape[1:]) - 1) / 2
        undeformed = (np.reshape(points, (-1, 2)) - self.center) @ np.linalg.inv(self.matrix).T  # (N, 2)
        positions = undeformed
        for _ in range(_ITERATIONS if self.displacement.any() else 0):
            shift = [
                map_coordinates(axis, (positions + middle).T, order=1, mode="nearest")
                for axis in self.displacement
            ]
            positions = undeformed - np.transpose(shift)
        return positions + middle

    def _remap(self, array, interpolation, border):
        middle = [(side - 1) / 2 for side in self.displacement.shape[1:]]
        positions = (
            np.indices(self.displacement.shape[1:]) - np.reshape(middle, (2, 1, 1)) + self.displacement
        )  # (2, side, side)
        rows, columns = np.einsum("ij,jrc->irc", self.matrix, positions) + np.reshape(self.center, (2, 1, 1))
        array = np.ascontiguousarray(array)
        return cv2.remap(
            array, columns.astype(np.float32), rows.astype(np.float32), interpolation, borderMode=border
        )


def draw_warp(rng, shape, side_px, *, zoom=(1.0, 1.0), flips=(False, False), rotation_deg=0.0, shear_deg=0.0,
              affine_jitter=0.0, elastic_px=0.0, elastic_spacing_px=42.0, noise_elastic_px=(0.0, 0.0),
              noise_elastic_sigma_px=(4.0, 8.0)):  # fmt: skip
    """Draw a random `Warp`.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Height and width of the image. The undeformed crop lies inside of the image if it fits.
    side_px : int
        Side of the crop.
    zoom : (float, float)
        Range of the factor by which tissue is enlarged.
    flips : (bool, bool)
        Whether the crop may be flipped top to bottom, and left to right.
    rotation_deg, shear_deg : float
        Largest rotation and shear, in both directions.
    affine_jitter : float
        Largest change of each entry of the affine matrix, after FullNet.
    elastic_px, elastic_spacing_px : float
        Standard deviation and spacing of the control points of a cubic B-spline.
    noise_elastic_px, noise_elastic_sigma_px : (float, float)
        Ranges of the amplitude and of the smoothing of the noise.

    Returns
    -------
    Warp

    Examples
    --------
    >>> drawn = draw_warp(np.random.default_rng(0), (9, 9), 9)
    >>> np.array_equal(drawn.labels(np.eye(9, dtype=int)), np.eye(9))
    True
    """
    # Starts are whole pixels: a crop without other changes is not interpolated.
    start = [rng.integers(side - side_px + 1) if side >= side_px else (side - side_px) / 2 for side in shape]
    matrix = np.diag([-1.0 if flip and rng.integers(2) else 1.0 for flip in flips]) / rng.uniform(*zoom)
    matrix = matrix @ (np.eye(2) + affine_jitter * rng.uniform(-1, 1, (2, 2)))
    shear = np.tan(np.radians(shear_deg * rng.uniform(-1, 1)))
    matrix = matrix @ np.array([[1.0, 0.0], [shear, 1.0]])
    angle = np.radians(rotation_deg * rng.uniform(-1, 1))
    matrix = matrix @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    displacement = np.zeros((2, side_px, side_px))
    if elastic_px:
        displacement += _spline_displacement(rng, side_px, elastic_px, elastic_spacing_px)
    if max(noise_elastic_px):
        displacement += _noise_displacement(
            rng, side_px, rng.uniform(*noise_elastic_px), rng.uniform(*noise_elastic_sigma_px)
        )
    return Warp(tuple(float(s) + (side_px - 1) / 2 for s in start), matrix, displacement)


def _spline_displacement(rng, side_px, std_px, spacing_px):
    """Draw a cubic B-spline with normal coefficients: (2, side, side) pixels."""
    # One control point before the crop and two behind it have an effect on it.
    count = int(np.ceil((side_px - 1) / spacing_px)) + 4
    positions = np.arange(side_px) / spacing_px + 1
    basis = _cubic_spline(positions[:, None] - np.arange(count))  # (side, count)
    coefficients = rng.normal(0, std_px, (2, count, count))
    return basis @ coefficients @ basis.T


def _cubic_spline(distances):
    """Evaluate the cubic B-spline: 4/6 at distance 0, 0 at distances of 2 and more."""
    distances = np.abs(distances)
    return np.where(
        distances < 1,
        (4 - 6 * distances**2 + 3 * distances**3) / 6,
        np.maximum(2 - distances, 0) ** 3 / 6,
    )


def _noise_displacement(rng, side_px, amplitude_px, sigma_px):
    """Draw smoothed uniform noise of an amplitude: (2, side, side) pixels."""
    noise = rng.uniform(-1, 1, (2, side_px, side_px))
    return amplitude_px * np.stack([gaussian_filter(n, sigma_px, mode="constant") for n in noise])
