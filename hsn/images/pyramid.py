"""Image pyramids of SinGAN: sizes of the scales and bicubic resampling.

The resampling is MATLAB's `imresize` with antialiasing, as implemented by SinGAN (Shaham et al., ICCV 2019) and
CSinGAN (Lou et al., IEEE TMI 2022). It quantizes to 8 bits. It gives weight 0 to taps left of and above the image; the
released code does this by an unsigned wrap-around, and the published results depend on it.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..checks import positive
from ..errors import InputError

SMALLEST_PX = 128  # coarsest scale of CSinGAN; its finest scale is 256
SCALES = 5  # ceil(log(128 / 256) / log 0.75) + 2, as in the released code
_CUBIC_A = -0.5  # parameter of Keys' cubic kernel


def sizes(
    shape: Sequence[int], *, smallest_px: int = SMALLEST_PX, scales: int = SCALES
) -> list[tuple[int, int]]:
    """Compute the heights and widths of a pyramid, coarsest scale first.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, which is the finest scale.
    smallest_px : int
        Shorter side of the coarsest scale. Default: 128.
    scales : int
        Number of scales. Default: 5.

    Returns
    -------
    list of (int, int)

    Raises
    ------
    InputError
        "pyramid-size" if the image is smaller than the coarsest scale, or a number is out of range.

    Examples
    --------
    >>> [height for height, width in sizes((256, 256))]
    [128, 153, 182, 216, 256]
    """
    if scales < 1 or not 1 <= smallest_px <= min(shape):
        raise InputError(
            "pyramid-size",
            f"the pyramid must have at least one scale, and a coarsest scale of 1 to {min(shape)} px",
            got=f"{scales} scales from {smallest_px} px",
            hint="give a larger image or a smaller coarsest scale",
        )
    factor = step(shape, smallest_px=smallest_px, scales=scales)
    height, width = shape
    return [
        (math.ceil(round(height * factor**k, 9)), math.ceil(round(width * factor**k, 9)))
        for k in reversed(range(scales))
    ]


def step(shape: Sequence[int], *, smallest_px: int = SMALLEST_PX, scales: int = SCALES) -> float:
    """Compute the scale factor from one scale to the next coarser one, at most 1.

    Examples
    --------
    >>> step((256, 256))
    0.8408964152537145
    """
    return (smallest_px / min(shape)) ** (1 / (scales - 1)) if scales > 1 else 1.0


def resize(image: np.ndarray, shape: Sequence[int], *, scale: float | None = None) -> np.ndarray:
    """Resize an image with values -1..1 as SinGAN does: quantized to 8 bits, bicubic, antialiased.

    Parameters
    ----------
    image : float array, shape (H, W, C), in -1..1
    shape : (int, int)
        New height and width; extra pixels are cut off at the bottom and on the right.
    scale : float, optional
        Scale factor. Default: the larger of the factors of the two sides.

    Returns
    -------
    float32 array, shape (`shape`, C), in -1..1

    Raises
    ------
    InputError
        "scale-too-small" if the result does not fill `shape`.

    Examples
    --------
    >>> resize(np.ones((2, 2, 1)), (3, 3))[..., 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    scale = max(shape[0] / image.shape[0], shape[1] / image.shape[1]) if scale is None else scale
    levels = np.floor(255 * np.clip((np.asarray(image, np.float64) + 1) / 2, 0, 1))
    levels = resample(levels, scale)[: shape[0], : shape[1]]
    if levels.shape[:2] != tuple(shape):
        raise InputError(
            "scale-too-small",
            f"the resized image must fill {tuple(shape)}",
            got=levels.shape[:2],
            hint="leave `scale` out",
        )
    return np.clip(levels / 255 * 2 - 1, -1, 1).astype(np.float32)


def resample(levels: npt.ArrayLike, scale: float) -> np.ndarray:
    """Resize an array by one factor with SinGAN's bicubic kernel, without rounding.

    Parameters
    ----------
    levels : float array, shape (H, W) or (H, W, C)
    scale : float
        Above 0; 1 returns the array unchanged.

    Returns
    -------
    float64 array, shape (ceil(H scale), ceil(W scale)) or (ceil(H scale), ceil(W scale), C)

    Raises
    ------
    InputError
        "scale-positive".

    Examples
    --------
    >>> resample(np.array([[0.0, 4.0]]), 2).round(2).tolist()
    [[-0.35, 0.76, 3.11, 4.38], [-0.35, 0.76, 3.11, 4.38]]
    """
    positive("scale", scale, hint="give 0.5 for half the size")
    levels = np.asarray(levels, np.float64)
    for axis in (0, 1) if scale != 1 else ():
        weights = _weights(levels.shape[axis], scale)  # (m, n)
        levels = np.moveaxis(np.tensordot(weights, levels, (1, axis)), 0, axis)
    return levels


def nearest(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize labels or masks by nearest-neighbor interpolation; coordinates are rounded down.

    Parameters
    ----------
    labels : array, shape (H, W)
    shape : (int, int)
        New height and width.

    Returns
    -------
    array of the same dtype, shape `shape`

    Examples
    --------
    >>> nearest(np.array([[1, 2, 3, 4]]), (1, 3)).tolist()
    [[1, 2, 3]]
    """
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, labels.shape, strict=True))
    return labels[rows[:, None], columns]


def _weights(n: int, scale: float) -> np.ndarray:
    """Compute the interpolation matrix (m, n) from n pixels to m = ceil(n scale) pixels; rows sum to 1."""
    width = 4 / min(scale, 1)
    m, taps = math.ceil(round(n * scale, 9)), math.ceil(width) + 2
    center = np.arange(1, m + 1) / scale + 0.5 * (1 - 1 / scale)  # counted from 1
    first = np.floor(center - width / 2)
    index = (first[:, None] + np.arange(taps) - 1).astype(int)  # (m, taps), counted from 0
    weight = _cubic(min(scale, 1) * (center[:, None] - index - 1))
    weight[index < 0] = 0
    mirrored = np.append(np.arange(n), np.arange(n)[::-1])[index % (2 * n)]
    weights = np.zeros((m, n))
    np.add.at(weights, (np.arange(m)[:, None], mirrored), weight)
    return weights / weights.sum(axis=1, keepdims=True)


def _cubic(t: np.ndarray) -> np.ndarray:
    """Evaluate Keys' cubic convolution kernel, of width 4."""
    a, t = _CUBIC_A, np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0))
