"""Image pyramids of SinGAN: the sizes, and the bicubic resampling that its numbers rest on.

The operator is MATLAB's `imresize` with antialiasing as SinGAN (Shaham et al., ICCV 2019) and CSinGAN (Lou et al.,
IEEE TMI 2022) carry it: eight bits in between, and taps left of and above the image that count nothing, an unsigned
number's wrap-around that became part of the method.
"""

import math

import numpy as np

from ..errors import refuse

SMALLEST_PX = 128  # of CSinGAN's pyramid; the largest is 256
SCALES = 5  # ceil(log(128 / 256) / log 0.75) + 2, by the released code's count
_SHARPNESS = -0.5  # Keys' cubic


def sizes(shape, *, smallest_px=SMALLEST_PX, scales=SCALES):
    """Heights and widths of a pyramid, coarsest first.

    Parameters
    ----------
    shape : (int, int)
        Of the image, which is the finest scale.
    smallest_px : int
        Shorter side of the coarsest scale.
    scales : int

    Returns
    -------
    list of (int, int)

    Raises
    ------
    InputError
        If the image is smaller than its coarsest scale, or numbers are out of range.

    Examples
    --------
    >>> [height for height, width in sizes((256, 256))]
    [128, 153, 182, 216, 256]
    """
    if scales < 1 or not 1 <= smallest_px <= min(shape):
        refuse("there is no such pyramid", expected=f"one scale or more, from 1 to {min(shape)} px",
               received=f"{scales} from {smallest_px} px",
               remedy="give a larger image or a smaller coarsest scale")  # fmt: skip
    factor = step(shape, smallest_px=smallest_px, scales=scales)
    return [tuple(math.ceil(round(side * factor**k, 9)) for side in shape) for k in reversed(range(scales))]


def step(shape, *, smallest_px=SMALLEST_PX, scales=SCALES):
    """The factor from one scale to the next coarser one, at most 1.

    Examples
    --------
    >>> step((256, 256))
    0.8408964152537145
    """
    return (smallest_px / min(shape)) ** (1 / (scales - 1)) if scales > 1 else 1.0


def resize(image, shape, *, scale=None):
    """Resize an image of -1..1 by SinGAN's operator: through eight bits, bicubic, antialiased.

    Parameters
    ----------
    image : float array, shape (H, W, C), in -1..1
    shape : (int, int)
        Wanted height and width; what is larger is cut off at the bottom and on the right.
    scale : float, optional
        Factor; by default the larger of the factors that the sides ask for.

    Returns
    -------
    float32 array, shape (`shape`, C), in -1..1

    Raises
    ------
    InputError
        If the scale does not fill the wanted shape.

    Examples
    --------
    >>> resize(np.ones((2, 2, 1)), (3, 3))[..., 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    scale = max(shape[0] / image.shape[0], shape[1] / image.shape[1]) if scale is None else scale
    levels = np.floor(255 * np.clip((np.asarray(image, np.float64) + 1) / 2, 0, 1))
    levels = resample(levels, scale)[: shape[0], : shape[1]]
    if levels.shape[:2] != tuple(shape):
        refuse("the resized image does not reach the wanted size", expected=tuple(shape), received=levels.shape[:2],
               remedy="leave `scale` out")  # fmt: skip
    return np.clip(levels / 255 * 2 - 1, -1, 1).astype(np.float32)


def resample(levels, scale):
    """Resample an array by one factor, with no rounding before or after.

    Parameters
    ----------
    levels : float array, shape (H, W) or (H, W, C)
    scale : float
        Above 0; 1 leaves the array as it is.

    Returns
    -------
    float64 array, shape (ceil(H scale), ceil(W scale)) or with C

    Examples
    --------
    >>> resample(np.array([[0.0, 4.0]]), 2).round(2).tolist()
    [[-0.35, 0.76, 3.11, 4.38], [-0.35, 0.76, 3.11, 4.38]]
    """
    if not 0 < scale < np.inf:
        refuse("`scale` is a factor", expected="a number above 0", received=scale,
               remedy="give 0.5 for half the size")  # fmt: skip
    levels = np.asarray(levels, np.float64)
    for axis in (0, 1) if scale != 1 else ():
        weights = _weights(levels.shape[axis], scale)  # (m, n)
        levels = np.moveaxis(np.tensordot(weights, levels, (1, axis)), 0, axis)
    return levels


def nearest(labels, shape):
    """Resize labels or masks to the nearest pixel, by the rule of the rounded-down place.

    Parameters
    ----------
    labels : array, shape (H, W)
    shape : (int, int)

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


def _weights(n, scale):
    """What each of n pixels of a line gives to each of its ceil(n scale) new ones: (m, n), rows sum to 1."""
    width = 4 / min(scale, 1)
    m, taps = math.ceil(round(n * scale, 9)), math.ceil(width) + 2
    centre = np.arange(1, m + 1) / scale + 0.5 * (1 - 1 / scale)  # counted from 1
    first = np.floor(centre - width / 2)
    index = (first[:, None] + np.arange(taps) - 1).astype(int)  # (m, taps), counted from 0
    weight = _cubic(min(scale, 1) * (centre[:, None] - index - 1))
    weight[index < 0] = 0
    mirrored = np.append(np.arange(n), np.arange(n)[::-1])[index % (2 * n)]
    weights = np.zeros((m, n))
    np.add.at(weights, (np.arange(m)[:, None], mirrored), weight)
    return weights / weights.sum(axis=1, keepdims=True)


def _cubic(t):
    """Keys' kernel of convolution, of width 4."""
    a, t = _SHARPNESS, np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0))
