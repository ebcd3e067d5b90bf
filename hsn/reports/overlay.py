"""Overlays: labels painted over the image that they describe."""

import cv2
import numpy as np

from ..annotations.colors import as_labels, to_colors
from ..checks import as_image
from ..errors import refuse
from ..taxonomies import Taxonomy

RELEASE_OPACITY = 0.75  # three quarters mask, one quarter image: the overlays of HistoSegNet's release


def overlay(image, labels, taxonomy: Taxonomy, *, opacity=0.4, outline_px=2, leave=(), instances=None):
    """Paint classes over an image: a veil of their colour, and a full-coloured line along their borders.

    The lines keep neighbours apart for an eye that cannot tell their colours. The colours themselves are those of
    the taxonomy, which the field knows.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    labels : int array, shape (H, W)
        Class indices into `taxonomy`.
    taxonomy : Taxonomy
    opacity : float
        Of the veil, 0 (none) to 1. `RELEASE_OPACITY`, with `outline_px=0`, gives HistoSegNet's overlays.
    outline_px : int
        Width of the lines on either side of a border, in pixels; 0 for none.
    leave : sequence of str
        Classes that stay unpainted, as in ``("Background", "Other")``.
    instances : int array, shape (H, W), optional
        Numbered objects: the lines go around each of them, so that touching ones are told apart.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        If the labels do not cover the image, or a number is out of range.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> grey = np.full((1, 2, 3), 200, np.uint8)
    >>> overlay(grey, np.array([[0, 1]]), GLAS, opacity=0.5, outline_px=0, leave=["Other"]).tolist()
    [[[200, 200, 200], [100, 100, 164]]]
    """
    image, labels = as_image(image), as_labels(labels, len(taxonomy))
    if image.shape[:2] != labels.shape:
        refuse("labels must cover the image that they are painted on", expected=f"labels {image.shape[:2]}",
               received=labels.shape, remedy="resize them with hsn.annotations.colors.resize_labels")  # fmt: skip
    if not 0 <= opacity <= 1:
        refuse("`opacity` is a share", expected="0 to 1", received=opacity, remedy="write 40 % as 0.4")  # fmt: skip
    if outline_px < 0 or outline_px != int(outline_px):
        refuse("`outline_px` is a width in pixels", expected="a whole number from 0", received=outline_px,
               remedy="give 0 for no lines")  # fmt: skip
    share = np.full(labels.shape, opacity, np.float32)
    if instances is not None and np.shape(instances) != labels.shape:
        refuse("objects must cover the image that they are painted on", expected=labels.shape,
               received=np.shape(instances), remedy="take both from one result")  # fmt: skip
    if outline_px:
        share[borders(labels if instances is None else instances, outline_px)] = 1
    share[np.isin(labels, [taxonomy.index(name) for name in leave])] = 0
    mixed = share[..., None] * to_colors(labels, taxonomy) + (1 - share[..., None]) * image  # (H, W, 3)
    return np.rint(mixed).astype(np.uint8)


def painted(image, labels, taxonomy, instances=None):
    """The overlay of a result: outlines of classes, or of objects, which are small and want thin ones.

    What is left over stays unpainted: classes that the taxonomy infers, or what lies around objects.

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> grey = np.full((1, 5, 3), 200, np.uint8)
    >>> painted(grey, np.array([[0, 0, 1, 1, 1]]), NUCLEI, np.array([[0, 0, 1, 1, 1]]))[0, 0].tolist()
    [200, 200, 200]
    """
    if instances is None:
        return overlay(image, labels, taxonomy, leave=taxonomy.inferred)
    return overlay(image, labels, taxonomy, leave=taxonomy.names[:1], outline_px=1, instances=instances)


def borders(labels, width_px=1):
    """Pixels within `width_px` of another label, as a bool array (H, W).

    Examples
    --------
    >>> borders(np.array([[0, 0, 1, 1]])).tolist()
    [[False, True, True, False]]
    """
    kernel = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    numbers = np.asarray(labels).astype(np.float32)
    return cv2.dilate(numbers, kernel) != cv2.erode(numbers, kernel)


def inner_points(labels):
    """The most inner pixel of each label: where its name is best written.

    Parameters
    ----------
    labels : int array, shape (H, W)

    Returns
    -------
    dict of int to (row, col, radius)
        By label; `radius` is the distance to the nearest other label or to the image's edge, in pixels.

    Examples
    --------
    >>> inner_points(np.zeros((3, 5), int))
    {0: (1, 1, 2.0)}
    """
    labels = np.asarray(labels)
    points = {}
    for label in np.unique(labels).tolist():
        mask = np.pad((labels == label).astype(np.uint8), 1)
        inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        points[label] = int(row), int(column), round(float(inside[row, column]), 1)
    return points
