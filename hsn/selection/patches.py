"""Patches: where they lie in an image, their quarters, and how much tissue they show."""

import math

import cv2
import numpy as np

from ..checks import as_image
from ..errors import refuse

# Green light that even pale stains take away: an optical density of 0.08. Glass and white balance stay below it.
_TISSUE_BELOW = 255 * 10**-0.08


def places(shape, *, side_px, stride_px):
    """Upper left corners of patches that cover an image, row by row.

    Steps are even and at most `stride_px`, so that the last row and column end with the image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    side_px, stride_px : int

    Returns
    -------
    int64 array, shape (n, 2)
        Row and column.

    Raises
    ------
    InputError
        If the image is smaller than a patch, or the numbers are no sizes.

    Examples
    --------
    >>> places((300, 256), side_px=256, stride_px=128).tolist()
    [[0, 0], [44, 0]]
    """
    if side_px < 2 or side_px % 2 or stride_px < 1:
        refuse("patches need a size", expected="an even side and a stride of 1 px or more",
               received=f"{side_px} and {stride_px}", remedy="take 256 and 128")  # fmt: skip
    if min(shape[:2]) < side_px:
        refuse("the image is smaller than a patch", expected=f"{side_px} x {side_px} px or more",
               received=f"{shape[0]} x {shape[1]}", remedy="take smaller patches")  # fmt: skip
    rows, columns = (
        np.linspace(0, side - side_px, math.ceil((side - side_px) / stride_px) + 1).round().astype(int)
        for side in shape[:2]
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def cut(image, corners, side_px):
    """Patches of an image at some places.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    corners : int array, shape (n, 2)
    side_px : int

    Returns
    -------
    uint8 array, shape (n, side_px, side_px, 3)

    Examples
    --------
    >>> cut(np.arange(27, dtype=np.uint8).reshape(3, 3, 3), [[1, 1]], 2)[0, :, :, 0].tolist()
    [[12, 15], [21, 24]]
    """
    image = as_image(image)
    windows = [image[row : row + side_px, column : column + side_px] for row, column in np.asarray(corners)]
    return np.stack(windows) if windows else np.empty((0, side_px, side_px, 3), np.uint8)


def quarters(patches):
    """Quarters of patches: top left, top right, bottom left, bottom right.

    Parameters
    ----------
    patches : array, shape (n, side, side, C), with an even side

    Returns
    -------
    array, shape (n, 4, side / 2, side / 2, C)

    Examples
    --------
    >>> quarters(np.arange(4).reshape(1, 2, 2, 1)).ravel().tolist()
    [0, 1, 2, 3]
    """
    n, side, _, channels = np.shape(patches)
    half = side // 2
    halved = np.reshape(patches, (n, 2, half, 2, half, channels))
    return halved.transpose(0, 1, 3, 2, 4, 5).reshape(n, 4, half, half, channels)


def tissue_share(image, corners, side_px):
    """How much of each patch is tissue and not glass, float64 (n,) in [0, 1].

    Tissue is where green light, which both haematoxylin and eosin take, is clearly weakened. That tells glass from
    H&E of usual strength; it does not tell tissue from pen or dirt.

    Examples
    --------
    >>> image = np.full((2, 4, 3), 240, np.uint8)
    >>> image[:, 2:] = (200, 120, 180)
    >>> tissue_share(image, [[0, 0], [0, 1], [0, 2]], 2).tolist()
    [0.0, 0.5, 1.0]
    """
    tissue = as_image(image)[..., 1] < _TISSUE_BELOW
    sums = cv2.integral(tissue.view(np.uint8))  # (H + 1, W + 1)
    rows, columns = np.asarray(corners).reshape(-1, 2).T
    below, right = rows + side_px, columns + side_px
    counts = sums[below, right] - sums[rows, right] - sums[below, columns] + sums[rows, columns]
    return counts / side_px**2
