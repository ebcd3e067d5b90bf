"""Convert between color masks and labels, and resize labels.

A color mask shows each class in the color of its taxonomy. Colors are matched exactly; pixels of any other color are
unknown.
"""

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..taxonomies import Taxonomy


def from_colors(rgb: npt.ArrayLike, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Convert a color mask to labels.

    Parameters
    ----------
    rgb : uint8 array, shape (H, W, 3) or (H, W, 4)
        Color mask. With an alpha channel, fully transparent pixels are unknown.
    taxonomy : Taxonomy
        Classes and their colors.

    Returns
    -------
    labels : int32 array, shape (H, W)
        Class index; 0 where unknown.
    valid_mask : bool array, shape (H, W)
        False where the color does not belong to a class.

    Raises
    ------
    InputError
        "color-mask-dtype" if the mask is not 8-bit RGB or RGBA.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> labels, valid_mask = from_colors(np.array([[[0, 0, 128], [3, 155, 229], [9, 9, 9]]], np.uint8), GLAS)
    >>> labels.tolist(), valid_mask.tolist()
    ([[1, 0, 0]], [[True, True, False]])
    """
    rgb = np.asarray(rgb)
    if rgb.ndim != 3 or rgb.shape[2] not in (3, 4) or rgb.dtype != np.uint8:
        raise InputError(
            "color-mask-dtype",
            "a color mask must be 8-bit RGB or RGBA, uint8 (height, width, 3 or 4)",
            got=f"{rgb.dtype} {rgb.shape}",
            hint="read it with hsn.annotations.label_files.read_color_mask",
        )
    palette = _pack_rgb(np.array(taxonomy.colors, np.uint8))  # (C,)
    order = np.argsort(palette)
    pixels = _pack_rgb(rgb)  # (H, W)
    rank = np.minimum(np.searchsorted(palette[order], pixels), len(palette) - 1)  # (H, W)
    labels = order[rank]  # (H, W)
    valid_mask = palette[labels] == pixels  # (H, W)
    if rgb.shape[2] == 4:
        valid_mask &= rgb[..., 3] > 0
    return np.where(valid_mask, labels, 0).astype(np.int32), valid_mask


def to_colors(labels: npt.ArrayLike, taxonomy: Taxonomy) -> np.ndarray:
    """Convert labels to a color mask.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class indices into `taxonomy`.
    taxonomy : Taxonomy
        Classes and their colors.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        "labels-dtype" or "labels-range".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> to_colors(np.array([[1, 0]]), GLAS).tolist()
    [[[0, 0, 128], [3, 155, 229]]]
    """
    labels = as_labels(labels, len(taxonomy))
    return np.array(taxonomy.colors, np.uint8)[labels]  # (H, W, 3)


def resize_labels(labels: npt.ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Resize a label image or boolean mask by nearest-neighbor interpolation, as OpenCV does.

    Output pixel k takes input pixel floor(k * size_in / size_out), as in HistoSegNet's evaluation. Other libraries
    round at pixel centers and give slightly different counts.

    Parameters
    ----------
    labels : int or bool array, shape (H, W)
    shape : (int, int)
        New height and width in pixels.

    Returns
    -------
    array of the same dtype, shape `shape`

    Raises
    ------
    InputError
        "labels-dtype" or "shape-positive".

    Examples
    --------
    >>> resize_labels(np.array([[1, 2, 3, 4]]), (1, 2)).tolist()
    [[1, 3]]
    """
    labels = np.asarray(labels)
    height, width = shape
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "biu":
        raise InputError(
            "labels-dtype",
            "`labels` must be integers or bool (height, width), not empty",
            got=f"{labels.dtype} {labels.shape}",
            hint="resize images with hsn.images.read.resample",
        )
    if height < 1 or width < 1:
        raise InputError(
            "shape-positive",
            "`shape` must be a height and width of at least 1",
            got=tuple(shape),
            hint="ask for a larger image",
        )
    if labels.dtype == bool:
        return resize_labels(labels.astype(np.uint8), shape).astype(bool)
    resized = cv2.resize(labels.astype(np.int32), (int(width), int(height)), interpolation=cv2.INTER_NEAREST)
    return resized.astype(labels.dtype)


def as_labels(labels: npt.ArrayLike, classes: int, name: str = "labels") -> np.ndarray:
    """Return `labels` as int32 (H, W) if all values are in 0..classes - 1; raise otherwise.

    Raises
    ------
    InputError
        "labels-dtype" or "labels-range".

    Examples
    --------
    >>> as_labels([[0, 1]], 2).dtype
    dtype('int32')
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(
            "labels-dtype",
            f"`{name}` must be integers (height, width)",
            got=f"{labels.dtype} {labels.shape}",
            hint="give one class index per pixel",
        )
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(
            "labels-range",
            f"`{name}` must be class indices from 0 to {classes - 1}",
            got=f"{labels.min()} to {labels.max()}",
            hint="use the taxonomy of these labels",
        )
    return labels.astype(np.int32, copy=False)


def _pack_rgb(rgb: np.ndarray) -> np.ndarray:
    """Pack red, green and blue into the bytes of an int32."""
    red, green, blue = (rgb[..., k].astype(np.int32) for k in range(3))
    return red << 16 | green << 8 | blue
