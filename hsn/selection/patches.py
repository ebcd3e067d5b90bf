"""Patches: their positions in an image, their quarters, their tissue fraction, and their outlines as GeoJSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from ..checks import as_image
from ..errors import InputError
from ..geojson import annotation, collection

CLASS = "to annotate"  # class of the outlines in QuPath
# Green value at an optical density of 0.08. Glass is brighter; even pale stains are darker.
_TISSUE_BELOW = 255 * 10**-0.08


def grid_corners(shape: Sequence[int], *, side_px: int, stride_px: int) -> np.ndarray:
    """Return the upper left corners of patches that cover an image, row by row.

    The steps are equal and at most `stride_px`. The last row and column end at the image border.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    side_px, stride_px : int
        Side of a patch, an even number, and largest step, in pixels.

    Returns
    -------
    int64 array, shape (n, 2)
        Row and column.

    Raises
    ------
    InputError
        "patch-size-invalid", or "image-smaller-than-patch".

    Examples
    --------
    >>> grid_corners((300, 256), side_px=256, stride_px=128).tolist()
    [[0, 0], [44, 0]]
    """
    if side_px < 2 or side_px % 2 or stride_px < 1:
        raise InputError(
            "patch-size-invalid",
            "`side_px` must be even and above 0, `stride_px` 1 or more",
            got=f"{side_px} and {stride_px}",
            hint="use 256 and 128",
        )
    if min(shape[:2]) < side_px:
        raise InputError(
            "image-smaller-than-patch",
            f"the image must be at least {side_px} x {side_px} pixels, the size of a patch",
            got=f"{shape[0]} x {shape[1]}",
            hint="use smaller patches",
        )
    rows, columns = (
        np.linspace(0, side - side_px, math.ceil((side - side_px) / stride_px) + 1).round().astype(int)
        for side in shape[:2]
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def cut_patches(image: np.ndarray, corners: ArrayLike, side_px: int) -> np.ndarray:
    """Cut patches out of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    corners : int array, shape (n, 2)
        Row and column of the upper left pixels.
    side_px : int

    Returns
    -------
    uint8 array, shape (n, side_px, side_px, 3)

    Examples
    --------
    >>> cut_patches(np.arange(27, dtype=np.uint8).reshape(3, 3, 3), [[1, 1]], 2)[0, :, :, 0].tolist()
    [[12, 15], [21, 24]]
    """
    image = as_image(image)
    windows = [image[row : row + side_px, column : column + side_px] for row, column in np.asarray(corners)]
    return np.stack(windows) if windows else np.empty((0, side_px, side_px, 3), np.uint8)


def split_quarters(patches: np.ndarray) -> np.ndarray:
    """Split patches into quarters: top left, top right, bottom left, bottom right.

    Parameters
    ----------
    patches : array, shape (n, side, side, C), with an even side

    Returns
    -------
    array, shape (n, 4, side / 2, side / 2, C)

    Examples
    --------
    >>> split_quarters(np.arange(4).reshape(1, 2, 2, 1)).ravel().tolist()
    [0, 1, 2, 3]
    """
    n, side, _, channels = np.shape(patches)
    half = side // 2
    halved = np.reshape(patches, (n, 2, half, 2, half, channels))
    return halved.transpose(0, 1, 3, 2, 4, 5).reshape(n, 4, half, half, channels)


def tissue_fraction(image: np.ndarray, corners: ArrayLike, side_px: int) -> np.ndarray:
    """Return the fraction of tissue in each patch, float64 (n,) in [0, 1].

    A pixel is tissue if its green value is below a threshold: hematoxylin and eosin both absorb green light. Pen marks
    and dirt also count as tissue.

    Examples
    --------
    >>> image = np.full((2, 4, 3), 240, np.uint8)
    >>> image[:, 2:] = (200, 120, 180)
    >>> tissue_fraction(image, [[0, 0], [0, 1], [0, 2]], 2).tolist()
    [0.0, 0.5, 1.0]
    """
    tissue = as_image(image)[..., 1] < _TISSUE_BELOW
    sums = cv2.integral(tissue.view(np.uint8))  # (H + 1, W + 1)
    rows, columns = np.asarray(corners).reshape(-1, 2).T
    below, right = rows + side_px, columns + side_px
    counts = sums[below, right] - sums[rows, right] - sums[below, columns] + sums[rows, columns]
    return counts / side_px**2


def patches_to_geojson(corners: ArrayLike, side_px: int, properties: Sequence[Mapping[str, Any]]) -> str:
    """Return the outlines of patches as a GeoJSON FeatureCollection for QuPath: locked squares with names.

    Parameters
    ----------
    corners : int array, shape (n, 2)
        Row and column of the upper left pixels. GeoJSON has x first; the origin is the corner of the first pixel.
    side_px : int
    properties : sequence of dict
        Further properties of each patch; QuPath shows `name`.

    Returns
    -------
    str

    Examples
    --------
    >>> import json
    >>> text = patches_to_geojson([[10, 20]], 256, [{"name": "1"}])
    >>> json.loads(text)["features"][0]["geometry"]["coordinates"]
    [[[20, 10], [276, 10], [276, 266], [20, 266], [20, 10]]]
    """
    return collection(
        [
            annotation("Polygon", [_ring(int(row), int(column), side_px)], label=CLASS, isLocked=True, **own)
            for (row, column), own in zip(np.asarray(corners), properties, strict=True)
        ]
    )


def _ring(top: int, left: int, side: int) -> list[list[int]]:
    bottom, right = top + side, left + side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
