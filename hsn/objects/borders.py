"""Borders: how much a pixel should weigh because two objects nearly touch there.

Both maps are a bump between neighbours, ``height * exp(-(d1 + d2)^2 / (2 sigma^2))``, where d1 and d2 are the
distances to the nearest and the second nearest object (Ronneberger et al., U-Net, MICCAI 2015). They differ in
what is near: FullNet measures to the outline, on every pixel; the U-Net code of CryoNuSeg measures to the object,
on the background only, and adds a balance of the two classes.

The width is given either as `sigma_px`, which the formula squares, or as `variance_px2`, which is squared already.
The two seeds of this code call both "sigma"; 5 and 25 are the same map.

Distances are measured object by object inside a box that ends where the bump has died away, so the cost is that
of the boxes and not of objects times pixels.
"""

import numpy as np
from scipy.ndimage import (
    binary_erosion,
    binary_fill_holes,
    distance_transform_edt,
    find_objects,
    generate_binary_structure,
)
from scipy.ndimage import label as components

from ..errors import refuse
from ..instances import renumber

_EIGHT = generate_binary_structure(2, 2)
# A bump below this share of its height is left out: a thousandth of one step of an 8-bit map.
_NEGLIGIBLE = 1e-6


def outline_weights(instances, *, sigma_px=None, variance_px2=None, height=10.0):
    """FullNet's border weights, from distances to the outlines of objects.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    sigma_px : float
        Width of the bump, in pixels; FullNet takes 5 for nuclei and 20 for glands, at the size of the image.
    variance_px2 : float
        The same width squared, in square pixels; give one of the two.
    height : float
        Weight where two outlines coincide.

    Returns
    -------
    float32 (H, W)
        In [0, height]; 0 everywhere if there are fewer than two objects. FullNet trains with 1 more than this,
        and stores ``20 * (weight + 1)``, rounded, as 8 bits. Exact to a millionth of `height`.

    Raises
    ------
    InputError
        If not exactly one width is given, or it is not positive, or `instances` are no label image.

    Notes
    -----
    The outline of an object are its pixels with a background pixel, another object or the end of the image
    beside them; holes count as filled, and only the first of its parts counts (first by column, then by row).

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
    return _bump(_two_nearest(numbers, width, _outline), width, height).astype(np.float32)


def background_weights(instances, *, sigma_px=None, variance_px2=None, height=10.0):
    """U-Net's weights: the balance of background and objects, and a bump on the background between objects.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids, each one object. CryoNuSeg takes the 8-connected parts of its mask
        without borders.
    sigma_px : float
        Width of the bump, in pixels; 5 in the paper.
    variance_px2 : float
        The same width squared, in square pixels; 25 in CryoNuSeg's code. Give one of the two.
    height : float
        Weight of the bump where two objects touch.

    Returns
    -------
    float32 (H, W)
        In [0, 1 + height]. The rarer of background and objects has balance 1, the other its pixel count
        over that of the other. Exact to a millionth of `height`.

    Raises
    ------
    InputError
        If not exactly one width is given, or it is not positive, or `instances` are no label image.

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
    bump = _bump(_two_nearest(numbers, width, lambda mask: mask), width, height) * background
    counts = np.array([np.count_nonzero(~background), np.count_nonzero(background)])
    balance = counts[counts > 0].min(initial=numbers.size) / np.maximum(counts, 1)
    return (bump + balance[background.astype(int)]).astype(np.float32)


def _width(sigma_px, variance_px2):
    given = [width for width in (sigma_px, variance_px2) if width is not None]
    if len(given) != 1 or not given[0] > 0:
        refuse("The width of the border must be given once", expected="`sigma_px` or `variance_px2`, above 0",
               received=f"sigma_px={sigma_px}, variance_px2={variance_px2}",
               remedy="use sigma_px=5 for nuclei at 40x")  # fmt: skip
    return float(sigma_px if variance_px2 is None else np.sqrt(variance_px2))


def _outline(mask):
    """The outermost 4-neighbour border of the first part of a mask that fills its array from end to end."""
    parts, count = components(mask, _EIGHT)
    if count > 1:
        first = parts.T[mask.T][0]  # column by column, as MATLAB scans
        mask = parts == first
    mask = binary_fill_holes(mask)
    return mask & ~binary_erosion(mask)


def _two_nearest(numbers, width, shape_of):
    """Distances to the nearest and second nearest object, float64 (H, W) each, infinite out of reach."""
    reach = int(np.ceil(width * np.sqrt(-2 * np.log(_NEGLIGIBLE))))
    nearest = np.full(numbers.shape, np.inf)
    second = nearest.copy()
    for number, own in enumerate(find_objects(numbers), 1):
        start = [max(side.start - reach, 0) for side in own]
        box = tuple(slice(at, side.stop + reach) for at, side in zip(start, own, strict=True))
        inner = tuple(slice(side.start - at, side.stop - at) for at, side in zip(start, own, strict=True))
        away = np.ones(nearest[box].shape, bool)
        away[inner] = ~shape_of(numbers[own] == number)
        away = distance_transform_edt(away)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], away))
        nearest[box] = np.minimum(nearest[box], away)
    return nearest, second


def _bump(distances, width, height):
    return height * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * width**2))
