"""Overlays of labels on images."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..annotations.colors import as_labels, to_colors
from ..checks import as_image, same_shape
from ..errors import InputError
from ..taxonomies import Taxonomy

RELEASE_OPACITY = 0.75  # of the overlays of HistoSegNet's release


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    taxonomy: Taxonomy,
    *,
    opacity: float = 0.4,
    outline_px: int = 2,
    skip: Sequence[str] = (),
    instances: np.ndarray | None = None,
) -> np.ndarray:
    """Draw classes over an image: a transparent color, and an opaque line along their borders.

    The colors are those of the taxonomy. The lines separate neighbors for color-blind readers.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    labels : int array, shape (H, W)
        Class indices into `taxonomy`.
    taxonomy : Taxonomy
    opacity : float
        Opacity of the color, 0 to 1. `RELEASE_OPACITY` and ``outline_px=0`` give HistoSegNet's overlays. Default: 0.4.
    outline_px : int
        Width of the line on each side of a border, in pixels; 0 for none. Default: 2.
    skip : sequence of str
        Classes that are not drawn, for example ``("Background", "Other")``.
    instances : int array, shape (H, W), optional
        Numbered objects. If given, the lines follow the borders of objects.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        "shape-mismatch", "opacity-range" or "outline-width-invalid".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> gray = np.full((1, 2, 3), 200, np.uint8)
    >>> overlay(gray, np.array([[0, 1]]), GLAS, opacity=0.5, outline_px=0, skip=["Other"]).tolist()
    [[[200, 200, 200], [100, 100, 164]]]
    """
    image, labels = as_image(image), as_labels(labels, len(taxonomy))
    same_shape(
        "image",
        image.shape,
        "labels",
        labels.shape,
        hint="resize them with hsn.annotations.colors.resize_labels",
    )
    if instances is not None:
        same_shape(
            "image", image.shape, "instances", np.shape(instances), hint="give both from the same result"
        )
    if not 0 <= opacity <= 1:
        raise InputError("opacity-range", "`opacity` must be 0 to 1", got=opacity, hint="give 40 % as 0.4")
    if outline_px < 0 or outline_px != int(outline_px):
        raise InputError(
            "outline-width-invalid",
            "`outline_px` must be an integer, 0 or more",
            got=outline_px,
            hint="give 0 for no lines",
        )
    alpha = np.full(labels.shape, opacity, np.float32)
    if outline_px:
        alpha[label_borders(labels if instances is None else instances, outline_px)] = 1
    alpha[np.isin(labels, [taxonomy.index(name) for name in skip])] = 0
    mixed = alpha[..., None] * to_colors(labels, taxonomy) + (1 - alpha[..., None]) * image  # (H, W, 3)
    return np.rint(mixed).astype(np.uint8)


def overlay_result(
    image: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy, instances: np.ndarray | None = None
) -> np.ndarray:
    """Draw the overlay of a result: outlines of classes, or thin outlines of objects.

    Inferred classes are not drawn; with objects, their surroundings are not drawn.

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> gray = np.full((1, 5, 3), 200, np.uint8)
    >>> overlay_result(gray, np.array([[0, 0, 1, 1, 1]]), NUCLEI, np.array([[0, 0, 1, 1, 1]]))[0, 0].tolist()
    [200, 200, 200]
    """
    if instances is None:
        return overlay(image, labels, taxonomy, skip=taxonomy.inferred)
    return overlay(image, labels, taxonomy, skip=taxonomy.names[:1], outline_px=1, instances=instances)


def label_borders(labels: np.ndarray, width_px: int = 1) -> np.ndarray:
    """Return a mask of the pixels within `width_px` of another label, bool (H, W).

    Examples
    --------
    >>> label_borders(np.array([[0, 0, 1, 1]])).tolist()
    [[False, True, True, False]]
    """
    kernel = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    numbers = np.asarray(labels).astype(np.float32)
    return cv2.dilate(numbers, kernel) != cv2.erode(numbers, kernel)


def label_points(labels: np.ndarray) -> dict[int, tuple[int, int, float]]:
    """Return the innermost pixel of each label, as the position of its name.

    Parameters
    ----------
    labels : int array, shape (H, W)

    Returns
    -------
    dict of int to (row, col, radius)
        `radius` is the distance to the nearest other label or to the image border, in pixels.

    Examples
    --------
    >>> label_points(np.zeros((3, 5), int))
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
