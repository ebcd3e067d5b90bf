"""Optical density: where stains add up, so that more of one is a straight line through the colours of an image.

Light through tissue falls by a factor for every bit of dye that it meets (Beer and Lambert), so its logarithm falls in
proportion: density = -ln(I / 255), red, green and blue each. A stain is a direction in these three, its amount the
distance along it. What is done to stains is therefore one 3 x 3 matrix and one addition per pixel.

The stains' directions are measured ones (Ruifrok & Johnston, Analytical and Quantitative Cytology and Histology, 2001).
Random amounts for training are after Tellez et al. (IEEE TMI, 2018), who move haematoxylin and eosin apart from each
other, as laboratories do.
"""

import cv2
import numpy as np

from ..checks import as_image
from ..errors import refuse

WHITE = 255.0  # the level of light that met nothing
_BLACK = 0.4  # the level that 0 counts as: its logarithm is finite, and it is rounded back to 0
_DENSITIES = np.log(WHITE / np.maximum(np.arange(256), _BLACK)).astype(np.float32)

# Red, green and blue light that each stain takes, per unit of it.
HAEMATOXYLIN_EOSIN = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
_LEAST_SINE = 0.05  # of the angle between two stains; closer ones cannot be told apart (3 degrees)


def density(image):
    """Optical density of an image: uint8 (H, W, 3) -> float32 (H, W, 3), 0 (white) to 6.5 (black).

    Examples
    --------
    >>> density(np.array([[[255, 94, 0]]], np.uint8)).round().tolist()
    [[[0.0, 1.0, 6.0]]]
    """
    return cv2.LUT(np.ascontiguousarray(as_image(image)), _DENSITIES)


def light(densities):
    """Levels of light behind densities: float (H, W, 3) -> float32 (H, W, 3), 0..255; negative density is white.

    Examples
    --------
    >>> light(np.array([[[0.0, 1.0, -3.0]]])).round().tolist()
    [[[255.0, 94.0, 255.0]]]
    """
    levels = cv2.exp(-np.asarray(densities, np.float32))
    return np.minimum(WHITE * levels, np.float32(WHITE))


def restained(image, matrix, offset):
    """Change densities by a matrix and an addition.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    matrix : float array, shape (3, 3)
        Densities, as rows, are multiplied by it from the right.
    offset : float array, shape (3,)
        Added afterwards.

    Returns
    -------
    float32 array, shape (H, W, 3)
        Levels, 0..255.

    Examples
    --------
    >>> image = np.array([[[255, 128, 64]]], np.uint8)
    >>> restained(image, 2 * np.eye(3), np.zeros(3)).round().tolist()
    [[[255.0, 64.0, 16.0]]]
    """
    affine = np.column_stack([np.transpose(matrix), offset])  # (3, 4), columns on the right
    return light(cv2.transform(density(image), affine.astype(np.float32)))


def completed(stains):
    """Three directions that span all colours: two stains, and what neither explains, at a right angle to both.

    Parameters
    ----------
    stains : float array, shape (2, 3) or (3, 3)
        A row for each stain. Three are taken as they are.

    Returns
    -------
    float64 array, shape (3, 3)

    Raises
    ------
    InputError
        If these are no stains, or they cannot be told apart.

    Examples
    --------
    >>> completed([[1, 0, 0], [0, 1, 0]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    stains = np.asarray(stains, float)
    if stains.shape not in ((2, 3), (3, 3)) or not np.isfinite(stains).all():
        refuse("stains are directions in red, green and blue", expected="finite numbers (2, 3) or (3, 3)",
               received=f"{stains.shape}", remedy="give a row for each stain")  # fmt: skip
    lengths = np.linalg.norm(stains, axis=1)
    if len(stains) == 2:
        normal = np.cross(*stains)
        apart = np.linalg.norm(normal) / max(lengths.prod(), np.finfo(float).tiny)
        stains = np.vstack([stains, normal / max(np.linalg.norm(normal), np.finfo(float).tiny)])
    else:
        apart = abs(np.linalg.det(stains)) / max(lengths.prod(), np.finfo(float).tiny)
    if apart < _LEAST_SINE:
        refuse("these stains cannot be told apart", expected="directions that differ by some degrees",
               received=stains[:2].round(3).tolist(), remedy="measure them on a piece with both stains")  # fmt: skip
    return stains


def jittered(image, gain, offset, *, stains=HAEMATOXYLIN_EOSIN):
    """Change how much of each stain an image holds.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    gain, offset : (float, float)
        The amount of haematoxylin, and of eosin, is multiplied by the one and the other is added. An amount of 1
        lowers the light to 1/e along its direction.
    stains : float array, shape (2, 3)

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
    >>> jittered(image, (1, 1), (0, 0)).round().tolist()
    [[[200.0, 120.0, 180.0]]]
    >>> jittered(image, (2, 1), (0, 0)).round().tolist()  # twice the haematoxylin
    [[[153.0, 90.0, 160.0]]]
    """
    basis = completed(stains)
    matrix = np.linalg.solve(basis, np.diag([*gain, 1.0]) @ basis)
    return restained(image, matrix, np.asarray(offset, float) @ basis[:2])
