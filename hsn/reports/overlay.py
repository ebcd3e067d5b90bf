"""Overlays of labels on images."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..annotations.colors import as_labels, to_colors
from ..checks import as_image, same_shape
from ..errors import InputError
from ..strips import count_labels, strips
from ..taxonomies import Taxonomy

YELLOW = (255, 221, 0)
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
    borders = label_borders(labels if instances is None else instances, outline_px) if outline_px else None
    hidden, painted = [taxonomy.index(name) for name in skip], np.empty_like(image)
    for rows in strips(labels.shape):
        alpha = np.full(labels[rows].shape, opacity, np.float32)
        if borders is not None:
            alpha[borders[rows]] = 1
        alpha[np.isin(labels[rows], hidden)] = 0
        colors = to_colors(labels[rows], taxonomy)
        painted[rows] = np.rint(alpha[..., None] * colors + (1 - alpha[..., None]) * image[rows])
    return painted


def overlay_result(
    image: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy, instances: np.ndarray | None = None
) -> np.ndarray:
    """Draw the overlay of a result: transparent classes, or outlines of objects without fill.

    Background is not drawn: inferred classes, and with objects the first class. Gray classes get yellow outlines.

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> gray = np.full((1, 5, 3), 200, np.uint8)
    >>> overlay_result(gray, np.array([[0, 0, 1, 1, 1]]), NUCLEI, np.array([[0, 0, 1, 1, 1]]))[0].tolist()[1:4]
    [[200, 200, 200], [255, 221, 0], [200, 200, 200]]
    """
    hidden = background_classes(taxonomy, instances)
    if instances is None:
        return overlay(image, labels, taxonomy, skip=hidden)
    painted, borders = np.array(as_image(image)), label_borders(instances)
    for name, color in outline_colors(taxonomy).items():
        if name not in hidden:
            painted[borders & (labels == taxonomy.index(name))] = color
    return painted


def background_classes(taxonomy: Taxonomy, instances: np.ndarray | None = None) -> tuple[str, ...]:
    """Return the names of the classes that an overlay does not draw."""
    return taxonomy.inferred if instances is None else (*taxonomy.inferred, taxonomy.names[0])


def outline_colors(taxonomy: Taxonomy) -> dict[str, tuple[int, int, int]]:
    """Return the color of the outlines of each class: its own, or yellow instead of gray.

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> outline_colors(NUCLEI)["Nucleus"]
    (255, 221, 0)
    """
    colors = zip(taxonomy.names, taxonomy.colors, strict=True)
    return {name: YELLOW if len(set(color)) == 1 else color for name, color in colors}


def overlay_picture(
    image: np.ndarray,
    labels: np.ndarray,
    taxonomy: Taxonomy,
    instances: np.ndarray | None = None,
    *,
    mpp: float | None = None,
) -> np.ndarray:
    """Draw the overlay of a result, and below it a white strip with a legend.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    labels, instances : int array, shape (H, W)
    taxonomy : Taxonomy
    mpp : float, optional
        Micrometers per pixel, for a scale bar in the strip. Default: no scale bar.

    Returns
    -------
    uint8 array, shape (H + h, max(W, 160), 3)
        The first H rows and W columns are the overlay.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> overlay_picture(np.zeros((50, 200, 3), np.uint8), np.ones((50, 200), int), GLAS).shape
    (69, 200, 3)
    """
    painted = overlay_result(image, labels, taxonomy, instances)
    hidden, colors = (
        background_classes(taxonomy, instances),
        dict(zip(taxonomy.names, taxonomy.colors, strict=True)),
    )
    if instances is not None:
        colors = outline_colors(taxonomy)
    present = [taxonomy.names[k] for k in np.flatnonzero(count_labels(labels)).tolist()]
    entries = [(colors[name], name) for name in present if name not in hidden]
    width = max(painted.shape[1], 160)
    strip = _draw_strip(width, entries, instances is None, mpp)
    picture = np.full((painted.shape[0] + strip.shape[0], width, 3), 255, np.uint8)
    picture[: painted.shape[0], : painted.shape[1]] = painted
    picture[painted.shape[0] :] = strip
    return picture


def _draw_strip(
    width: int, entries: Sequence[tuple[Sequence[int], str]], filled: bool, mpp: float | None
) -> np.ndarray:
    """Draw a scale bar and an entry for each class in as many lines as necessary, uint8 (h, width, 3)."""
    size = int(np.clip(width / 45, 11, 60))  # of the font, px
    font = ImageFont.load_default(size)
    bar_um = None if mpp is None else scale_bar_um(width * mpp)
    words: list[tuple[Sequence[int] | None, str]] = [(None, f"{bar_um:g} um")] if bar_um is not None else []
    words += entries or [(None, "nothing found")]
    lines: list[Any] = []
    x, y, row_px = size // 2, 0, round(1.7 * size)
    for number, (color, word) in enumerate(words):
        bar_px = round(bar_um / mpp) if mpp and bar_um and number == 0 else size
        text_px = round(font.getlength(word))
        if x + bar_px + text_px + size > width and lines:
            x, y = size // 2, y + row_px
        lines.append((x, y, bar_px, color, word))
        x += bar_px + text_px + 2 * size
    strip = Image.new("RGB", (width, y + row_px), "white")
    draw = ImageDraw.Draw(strip)
    for number, (x, y, bar_px, color, word) in enumerate(lines):
        top = y + row_px // 2
        if color is not None:
            box = (x, top - size // 2, x + bar_px, top + size // 2)
            draw.rectangle(box, tuple(color) if filled else "white", "black")
            if not filled:  # an outline, with black edges
                draw.rectangle(
                    (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), "white", tuple(color), max(2, size // 6)
                )
        elif number == 0 and mpp is not None:
            draw.rectangle((x, top - size // 8, x + bar_px, top + size // 8), "black")
        draw.text((x + bar_px + size // 2, top), word, "black", font, anchor="lm")
    return np.asarray(strip)


def scale_bar_um(width_um: float) -> float:
    """Return a round length of up to a quarter of the width, in um.

    Examples
    --------
    >>> scale_bar_um(272), scale_bar_um(480), scale_bar_um(9000)
    (50, 100, 2000)
    """
    power = 10 ** int(np.floor(np.log10(width_um / 4)))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= width_um / 4)
    return int(length) if length >= 1 else float(length)


def label_borders(labels: np.ndarray, width_px: int = 1) -> np.ndarray:
    """Return a mask of the pixels within `width_px` of another label, bool (H, W).

    Examples
    --------
    >>> label_borders(np.array([[0, 0, 1, 1]])).tolist()
    [[False, True, True, False]]
    """
    kernel = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    labels = np.asarray(labels)
    borders = np.empty(labels.shape, bool)
    for rows in strips(labels.shape):
        top = max(0, rows.start - width_px)
        numbers = labels[top : rows.stop + width_px].astype(np.float32)
        inner = slice(rows.start - top, rows.stop - top)
        borders[rows] = (cv2.dilate(numbers, kernel) != cv2.erode(numbers, kernel))[inner]
    return borders


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
