"""Optical density, and stain augmentation in optical density.

By the Beer-Lambert law, density = -ln(I / 255) of red, green and blue is proportional to the amount of stain. A stain
is a direction in this space; its amount is the length along the direction. A change of stains is therefore one 3 x 3
matrix and one offset per pixel.

The default stain directions are from Ruifrok & Johnston (Analytical and Quantitative Cytology and Histology, 2001).
The augmentation follows Tellez et al. (IEEE TMI 2018): hematoxylin and eosin change independently.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ..checks import as_image
from ..errors import InputError

WHITE = 255.0  # level of unabsorbed light
_BLACK = 0.4  # level used for 0: its logarithm is finite, and it rounds back to 0
_DENSITIES = np.log(WHITE / np.maximum(np.arange(256), _BLACK)).astype(np.float32)

# Optical density of red, green and blue for one unit of each stain.
HEMATOXYLIN_EOSIN = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
_MIN_SINE = 0.05  # smallest sine of the angle between two stains (3 degrees)


def optical_density(image: npt.ArrayLike) -> np.ndarray:
    """Compute optical density: uint8 (H, W, 3) -> float32 (H, W, 3), 0 (white) to 6.5 (black).

    Examples
    --------
    >>> optical_density(np.array([[[255, 94, 0]]], np.uint8)).round().tolist()
    [[[0.0, 1.0, 6.0]]]
    """
    return cv2.LUT(np.ascontiguousarray(as_image(image)), _DENSITIES)


def from_density(density: npt.ArrayLike) -> np.ndarray:
    """Convert optical density to levels: float (H, W, 3) -> float32 (H, W, 3), 0..255; negative density is white.

    Examples
    --------
    >>> from_density(np.array([[[0.0, 1.0, -3.0]]])).round().tolist()
    [[[255.0, 94.0, 255.0]]]
    """
    levels = cv2.exp(-np.asarray(density, np.float32))
    return np.minimum(WHITE * levels, np.float32(WHITE))


def transform_density(image: npt.ArrayLike, matrix: npt.ArrayLike, offset: npt.ArrayLike) -> np.ndarray:
    """Apply an affine transform to the optical density of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    matrix : float array, shape (3, 3)
        Densities are row vectors, multiplied by this matrix from the right.
    offset : float array, shape (3,)
        Density that is added after the multiplication.

    Returns
    -------
    float32 array, shape (H, W, 3)
        Levels, 0..255.

    Examples
    --------
    >>> image = np.array([[[255, 128, 64]]], np.uint8)
    >>> transform_density(image, 2 * np.eye(3), np.zeros(3)).round().tolist()
    [[[255.0, 64.0, 16.0]]]
    """
    affine = np.column_stack([np.transpose(matrix), offset])  # (3, 4)
    return from_density(cv2.transform(optical_density(image), affine.astype(np.float32)))


def complete_basis(stains: npt.ArrayLike) -> np.ndarray:
    """Complete two stain directions to a basis; the third direction is orthogonal to both.

    Parameters
    ----------
    stains : float array, shape (2, 3) or (3, 3)
        One stain per row. Three rows are returned unchanged.

    Returns
    -------
    float64 array, shape (3, 3)

    Raises
    ------
    InputError
        "stains-shape", or "stains-parallel" if the directions are nearly linearly dependent.

    Examples
    --------
    >>> complete_basis([[1, 0, 0], [0, 1, 0]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    stains = np.asarray(stains, float)
    if stains.shape not in ((2, 3), (3, 3)) or not np.isfinite(stains).all():
        raise InputError(
            "stains-shape",
            "stains must be finite directions in RGB, shape (2, 3) or (3, 3)",
            got=f"{stains.shape}",
            hint="give one row per stain",
        )
    lengths = np.linalg.norm(stains, axis=1)
    tiny = np.finfo(float).tiny
    if len(stains) == 2:
        normal = np.cross(*stains)
        sine = np.linalg.norm(normal) / max(lengths.prod(), tiny)
        stains = np.vstack([stains, normal / max(np.linalg.norm(normal), tiny)])
    else:
        sine = abs(np.linalg.det(stains)) / max(lengths.prod(), tiny)
    if sine < _MIN_SINE:
        raise InputError(
            "stains-parallel",
            "stain directions must differ by at least 3 degrees",
            got=stains[:2].round(3).tolist(),
            hint="measure them on an image with both stains",
        )
    return stains


def jitter_stains(
    image: npt.ArrayLike,
    gain: Sequence[float],
    offset: Sequence[float],
    *,
    stains: npt.ArrayLike = HEMATOXYLIN_EOSIN,
) -> np.ndarray:
    """Scale and shift the amount of each stain in an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    gain, offset : (float, float)
        Factor on, and then addition to, the amounts of hematoxylin and eosin. An amount of 1 lowers the light to 1/e
        along its direction.
    stains : float array, shape (2, 3)
        Stain directions. Default: those of Ruifrok & Johnston.

    Returns
    -------
    float32 array, shape (H, W, 3)
        Levels, 0..255.

    References
    ----------
    .. [1] Tellez et al., "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference to train
       distilled stain-invariant convolutional networks", IEEE TMI 2018.

    Examples
    --------
    >>> image = np.array([[[200, 120, 180]]], np.uint8)
    >>> jitter_stains(image, (1, 1), (0, 0)).round().tolist()
    [[[200.0, 120.0, 180.0]]]
    >>> jitter_stains(image, (2, 1), (0, 0)).round().tolist()  # twice the hematoxylin
    [[[153.0, 90.0, 160.0]]]
    """
    basis = complete_basis(stains)
    matrix = np.linalg.solve(basis, np.diag([*gain, 1.0]) @ basis)
    return transform_density(image, matrix, np.asarray(offset, float) @ basis[:2])
