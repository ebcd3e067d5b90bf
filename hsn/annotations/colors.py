"""Colours <-> labels: truth images paint each class in the colour that its taxonomy lists.

Colours are matched exactly. A pixel of any other colour is not a class of its own: it is unknown.
"""

import cv2
import numpy as np

from ..errors import refuse
from ..taxonomies import Taxonomy


def from_colors(rgb, taxonomy: Taxonomy):
    """Read a colour mask: which class each pixel is, and where that is known.

    Parameters
    ----------
    rgb : uint8 array, shape (H, W, 3) or (H, W, 4)
        A colour mask. With a fourth channel, fully transparent pixels are unknown.
    taxonomy : Taxonomy
        Lists the colours.

    Returns
    -------
    labels : int32 array, shape (H, W)
        Class index; 0 where unknown.
    known : bool array, shape (H, W)
        False where the colour is none of the taxonomy's classes.

    Raises
    ------
    InputError
        If the mask is not 8-bit RGB or RGBA.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> labels, known = from_colors(np.array([[[0, 0, 128], [3, 155, 229], [9, 9, 9]]], np.uint8), GLAS)
    >>> labels.tolist(), known.tolist()
    ([[1, 0, 0]], [[True, True, False]])
    """
    rgb = np.asarray(rgb)
    if rgb.ndim != 3 or rgb.shape[2] not in (3, 4) or rgb.dtype != np.uint8:
        refuse("a colour mask must be 8-bit RGB or RGBA", expected="uint8 (height, width, 3 or 4)",
               received=f"{rgb.dtype} {rgb.shape}",
               remedy="read it with hsn.annotations.label_files.read_color_mask")  # fmt: skip
    palette = _packed(np.array(taxonomy.colors, np.uint8))  # (C,)
    order = np.argsort(palette)
    pixels = _packed(rgb)  # (H, W)
    place = np.minimum(np.searchsorted(palette[order], pixels), len(palette) - 1)  # (H, W)
    labels = order[place]  # (H, W)
    known = palette[labels] == pixels  # (H, W)
    if rgb.shape[2] == 4:
        known &= rgb[..., 3] > 0
    return np.where(known, labels, 0).astype(np.int32), known


def to_colors(labels, taxonomy: Taxonomy):
    """Paint labels in the colours of their taxonomy.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class indices into `taxonomy`.
    taxonomy : Taxonomy
        Lists the colours.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        If a label is no class of the taxonomy.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> to_colors(np.array([[1, 0]]), GLAS).tolist()
    [[[0, 0, 128], [3, 155, 229]]]
    """
    labels = as_labels(labels, len(taxonomy))
    return np.array(taxonomy.colors, np.uint8)[labels]  # (H, W, 3)


def resize_labels(labels, shape):
    """Resize a label image (or a boolean mask) by nearest neighbour, as OpenCV does.

    OpenCV takes for output pixel k the input pixel floor(k * size_in / size_out), which is what HistoSegNet
    scored with; other libraries round at pixel centres and give slightly other counts.

    Parameters
    ----------
    labels : int or bool array, shape (H, W)
    shape : (int, int)
        Wanted height and width, in pixels.

    Returns
    -------
    array of the same dtype, shape `shape`

    Raises
    ------
    InputError
        If `labels` is not two-dimensional or `shape` has no pixel.

    Examples
    --------
    >>> resize_labels(np.array([[1, 2, 3, 4]]), (1, 2)).tolist()
    [[1, 3]]
    """
    labels = np.asarray(labels)
    height, width = shape
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "biu":
        refuse("only a label image can be resized as labels", expected="whole numbers (height, width)",
               received=f"{labels.dtype} {labels.shape}", remedy="resize images as images")  # fmt: skip
    if height < 1 or width < 1:
        refuse("a label image cannot be resized to nothing", expected="a height and width of at least 1",
               received=tuple(shape), remedy="mend the size")  # fmt: skip
    if labels.dtype == bool:
        return resize_labels(labels.astype(np.uint8), shape).astype(bool)
    resized = cv2.resize(labels.astype(np.int32), (int(width), int(height)), interpolation=cv2.INTER_NEAREST)
    return resized.astype(labels.dtype)


def as_labels(labels, classes: int, name="labels"):
    """Return `labels` as int32 (H, W) if each is one of `classes` classes; refuse it otherwise.

    Examples
    --------
    >>> as_labels([[0, 1]], 2).dtype
    dtype('int32')
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        refuse(f"`{name}` must be a label image", expected="whole numbers (height, width)",
               received=f"{labels.dtype} {labels.shape}", remedy="give one class index a pixel")  # fmt: skip
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        refuse(f"`{name}` names a class that the taxonomy lacks", expected=f"0 to {classes - 1}",
               received=f"{labels.min()} to {labels.max()}",
               remedy="use the taxonomy that they were made with")  # fmt: skip
    return labels.astype(np.int32)


def _packed(rgb):
    """One number a colour: red, green, blue as the three bytes of an int32."""
    red, green, blue = (rgb[..., k].astype(np.int32) for k in range(3))
    return red << 16 | green << 8 | blue
