"""Weight maps that emphasize narrow gaps between objects.

Both maps contain the term ``height * exp(-(d1 + d2)^2 / (2 sigma^2))`` of U-Net (Ronneberger et al., MICCAI 2015). d1
and d2 are the distances to the nearest and the second nearest object. They differ in how they measure
distance:

- FullNet measures to the outline, on every pixel.
- The U-Net code of CryoNuSeg measures to the object, on the background only, and adds class balancing.

Give the width either as `sigma_px` or as `variance_px2` = sigma_px ** 2. Both published codes call it "sigma": 5 in
one and 25 in the other mean the same map.

Notes
-----
Distances are computed for each object inside a box that ends where the term is negligible.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import (
    binary_erosion,
    binary_fill_holes,
    distance_transform_edt,
    find_objects,
    generate_binary_structure,
)
from scipy.ndimage import label as components

from ..errors import InputError
from ..instances import renumber

_EIGHT = generate_binary_structure(2, 2)
# Terms below this fraction of the height are neglected: a thousandth of one step of an 8-bit map.
_NEGLIGIBLE = 1e-6


def outline_weights(instances: np.ndarray, *, sigma_px: float | None = None, variance_px2: float | None = None,
                    height: float = 10.0) -> np.ndarray:  # fmt: skip
    """Compute FullNet's border weights from distances to object outlines.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    sigma_px : float
        Width in pixels. FullNet uses 5 for nuclei and 20 for glands, at the size of the image.
    variance_px2 : float
        Squared width in square pixels. Give exactly one of the two widths.
    height : float
        Weight where two outlines coincide. Default: 10.

    Returns
    -------
    float32 (H, W)
        Values in [0, height], exact to ``1e-6 * height``; all 0 for fewer than two objects. FullNet adds 1 for
        training and stores ``20 * (weight + 1)``, rounded, as 8 bits.

    Raises
    ------
    InputError
        "border-width-invalid" or "label-image-invalid".

    Notes
    -----
    Outline pixels are object pixels with a 4-neighbor in the background, in another object or outside of the image.
    Holes are filled first. Only the first component of an object counts, in column-major order as in MATLAB.

    References
    ----------
    .. [1] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution
       neural network and spatial constrained loss, MICCAI 2019.

    Examples
    --------
    >>> weight = outline_weights(np.array([[1, 0, 0, 0, 0, 2, 2]]), sigma_px=5)
    >>> (20 * (weight + 1)).round().astype(int).tolist()
    [[141, 141, 141, 141, 141, 141, 117]]
    """
    numbers, width = renumber(instances)[0], _width(sigma_px, variance_px2)
    return _gap_weight(_two_nearest(numbers, width, _outline), width, height).astype(np.float32)


def background_weights(instances: np.ndarray, *, sigma_px: float | None = None, variance_px2: float | None = None,
                       height: float = 10.0) -> np.ndarray:  # fmt: skip
    """Compute U-Net's weights: class balancing plus border weights on the background.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids. CryoNuSeg passes the 8-connected components of its mask without borders.
    sigma_px, variance_px2, height : float
        As in `outline_weights`. The paper has a width of 5 pixels, CryoNuSeg's code a variance of 25. `height` is the
        border weight where two objects touch.

    Returns
    -------
    float32 (H, W)
        Values in [0, 1 + height], exact to ``1e-6 * height``. The rarer of the two classes has balance 1. The other
        class has the ratio of the two pixel counts, below 1.

    Raises
    ------
    InputError
        "border-width-invalid" or "label-image-invalid".

    References
    ----------
    .. [1] Ronneberger et al., U-Net, MICCAI 2015, equation 2.
    .. [2] Mahbod et al., CryoNuSeg, Computers in Biology and Medicine 2021.

    Examples
    --------
    >>> weight = background_weights(np.array([[1, 0, 0, 0, 0, 2, 2]]), variance_px2=25)
    >>> (100 * weight).round().astype(int).tolist()
    [[100, 682, 682, 682, 682, 100, 100]]
    """
    numbers, width = renumber(instances)[0], _width(sigma_px, variance_px2)
    background = numbers == 0
    gaps = _gap_weight(_two_nearest(numbers, width, lambda mask: mask), width, height) * background
    counts = np.array([np.count_nonzero(~background), np.count_nonzero(background)])
    balance = counts[counts > 0].min(initial=numbers.size) / np.maximum(counts, 1)
    return (gaps + balance[background.astype(int)]).astype(np.float32)


def _width(sigma_px: float | None, variance_px2: float | None) -> float:
    if sigma_px is not None and variance_px2 is None and sigma_px > 0:
        return float(sigma_px)
    if variance_px2 is not None and sigma_px is None and variance_px2 > 0:
        return float(np.sqrt(variance_px2))
    raise InputError(
        "border-width-invalid",
        "exactly one of `sigma_px` and `variance_px2` must be given, above 0",
        got=f"sigma_px={sigma_px}, variance_px2={variance_px2}",
        hint="use sigma_px=5 for nuclei at 40x",
    )


def _outline(mask: np.ndarray) -> np.ndarray:
    """Return the outline pixels of the first component of a mask."""
    parts, count = components(mask, _EIGHT)
    if count > 1:
        first = parts.T[mask.T][0]  # column-major, as MATLAB scans
        mask = parts == first
    mask = binary_fill_holes(mask)
    return mask & ~binary_erosion(mask)


def _two_nearest(
    numbers: np.ndarray, width: float, shape_of: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances to the nearest and second nearest object, float64 (H, W) each, infinite if negligible."""
    margin = int(np.ceil(width * np.sqrt(-2 * np.log(_NEGLIGIBLE))))
    nearest = np.full(numbers.shape, np.inf)
    second = nearest.copy()
    for number, own in enumerate(find_objects(numbers), 1):
        start = [max(side.start - margin, 0) for side in own]
        box = tuple(slice(at, side.stop + margin) for at, side in zip(start, own, strict=True))
        inner = tuple(slice(side.start - at, side.stop - at) for at, side in zip(start, own, strict=True))
        outside = np.ones(nearest[box].shape, bool)
        outside[inner] = ~shape_of(numbers[own] == number)
        distance = distance_transform_edt(outside)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], distance))
        nearest[box] = np.minimum(nearest[box], distance)
    return nearest, second


def _gap_weight(distances: tuple[np.ndarray, np.ndarray], width: float, height: float) -> np.ndarray:
    return height * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * width**2))
