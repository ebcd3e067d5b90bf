"""Sample layouts: nuclei of an annotated patch, placed at new positions.

The method follows the mask synthesis of Lou et al. (IEEE TMI 2022, "Which pixel to annotate"). Nuclei are drawn with
replacement. Each is centered on a random pixel that keeps a distance from the nuclei placed before.

Two modes exist:

- "rotated" (default) rotates and flips each nucleus. It places nuclei until they cover the same fraction as in the
  patch, or until no place is left.
- "released" repeats the authors' code. It transposes every nucleus and derives their number from a density flag.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import find_objects

from ..checks import one_of
from ..errors import InputError
from ..instances import renumber

BORDER_PX = 6  # a nucleus with a vertex nearer to the border may be cut by the patch
MIN_VERTICES = 6
MARGIN_PX = 22  # centers may lie so far outside of the layout; its border then cuts nuclei
CLEARANCE_PX = (2, 3, 4, 5)  # added to the radius of a nucleus: diameter of the zone that stays free
MIN_AREA_PX = 20  # of a nucleus that the border cuts
VARIANTS, SHARE = 6, 7  # the released pool holds six variants of a patch; a seventh of it is placed
EXTRA = {False: (0.2, 0.4), True: (0.4, 0.6)}  # fraction of additional nuclei in sparse and in dense patches
DENSE = 0.25  # area fraction from which a patch is dense
AREA_RANGE = (0.85, 1.15)  # area fraction of a layout, relative to the patch
MAX_FAILURES = 20  # consecutive rejected positions before a layout is full


class Nuclei(NamedTuple):
    """Shapes and density of nuclei, from which layouts are sampled.

    Attributes
    ----------
    outlines : tuple of int arrays, shape (V, 2)
        Vertices (row, col) of each nucleus, relative to its center.
    area_fraction : float
        Fraction of the patches covered by nuclei, 0 to 1, including nuclei at the border.
    per_patch : float
        Mean number of nuclei in a patch, including nuclei at the border.
    """

    outlines: tuple[np.ndarray, ...]
    area_fraction: float
    per_patch: float


def extract_nuclei(*patches: np.ndarray) -> Nuclei:
    """Extract the outlines of nuclei that lie completely inside annotated patches.

    Parameters
    ----------
    *patches : int arrays, shape (H, W)
        Instances, 0 background; one or more patches of the same tissue.

    Returns
    -------
    Nuclei

    Raises
    ------
    InputError
        "no-whole-nucleus" if every nucleus is too close to the border.

    Examples
    --------
    >>> patch = np.zeros((40, 40), int)
    >>> patch[10:16, 12:24] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (12, 6))
    >>> nuclei = extract_nuclei(patch)
    >>> len(nuclei.outlines), nuclei.per_patch, round(nuclei.area_fraction, 3)
    (1, 1.0, 0.034)
    """
    outlines, found, inside, area = [], 0, 0, 0
    for patch in patches:
        numbers, _ = renumber(patch)
        inside, area = inside + int(np.count_nonzero(numbers)), area + numbers.size
        for number, box in enumerate(find_objects(numbers), 1):
            outline = _outline(numbers[box] == number, [part.start for part in box])  # (V, 2)
            last = np.array(numbers.shape) - 1 - BORDER_PX
            found += len(outline) >= MIN_VERTICES
            if len(outline) >= MIN_VERTICES and (outline >= BORDER_PX).all() and (outline <= last).all():
                outlines.append(outline - _center(outline))
    if not outlines:
        raise InputError(
            "no-whole-nucleus",
            f"the patch must hold a nucleus that is {BORDER_PX} px or more from its border",
            got="none",
            hint="annotate a larger patch, or give its instance image",
        )
    return Nuclei(tuple(outlines), float(inside / area), found / len(patches))


def _outline(mask: np.ndarray, corner: list[int]) -> np.ndarray:
    """Return the longest external contour of a mask, (V, 2) as (row, col)."""
    contours, _ = cv2.findContours(
        np.pad(mask.astype(np.uint8), 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    longest = max(contours, key=len)[:, 0, ::-1]  # OpenCV has (x, y)
    return longest - 1 + np.array(corner)


def _center(outline: np.ndarray) -> np.ndarray:
    """Return the centroid of the outlined area, rounded down; for a line, its mean vertex."""
    moments = cv2.moments(np.ascontiguousarray(outline[:, ::-1], np.int32)[:, None])
    if not moments["m00"]:
        return outline.mean(axis=0).astype(int)
    return np.array([int(moments[name] / moments["m00"]) for name in ("m01", "m10")])


def sample_layouts(
    nuclei: Nuclei,
    shape: tuple[int, int],
    *,
    count: int,
    seed: int,
    mode: str = "rotated",
    max_overlap: float = 0.1,
) -> np.ndarray:
    """Sample layouts of nuclei.

    Parameters
    ----------
    nuclei : Nuclei
    shape : (int, int)
        Height and width of a layout.
    count : int
        Number of layouts. Each has its own random stream: the first layouts do not depend on `count`.
    seed : int
    mode : {"rotated", "released"}
        How nuclei are placed; see above. Default: "rotated".
    max_overlap : float
        With "rotated": largest fraction of a nucleus, 0 to 1, that other nuclei may cover. Covered pixels belong to the
        nucleus placed first. Default: 0.1.

    Returns
    -------
    int32 array, shape (count, H, W)
        0 background, 1..n without gaps, in the order of placement. Nuclei with fewer than `MIN_AREA_PX` pixels are
        dropped; the border cut them.

    Raises
    ------
    InputError
        "mode-unknown" or "layout-invalid".

    Examples
    --------
    >>> patch = np.zeros((60, 60), int)
    >>> patch[20:32, 20:30] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (10, 12))
    >>> layouts = sample_layouts(extract_nuclei(patch), (60, 60), count=3, seed=0)
    >>> layouts.shape, layouts.dtype, bool(layouts.any())
    ((3, 60, 60), dtype('int32'), True)
    """
    one_of("mode", mode, ("rotated", "released"))
    if count < 1 or min(shape) < 1 or not 0 <= max_overlap <= 1:
        raise InputError(
            "layout-invalid",
            "`count` and both sides of `shape` must be 1 or more, `max_overlap` in 0..1",
            got=f"count {count}, shape {tuple(shape)}, max_overlap {max_overlap}",
            hint="change the number that is out of range",
        )
    place = _place_released if mode == "released" else _place_rotated
    layouts = np.zeros((count, *shape), np.int32)
    for number in range(count):
        canvas = np.zeros([side + 2 * MARGIN_PX for side in shape], np.int32)
        place(canvas, nuclei, np.random.default_rng([seed, number]), max_overlap)
        layouts[number] = _without_small(canvas[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])
    return layouts


def _place_released(canvas: np.ndarray, nuclei: Nuclei, rng: np.random.Generator, _: float) -> None:
    """Place as many nuclei as the released script, until no pixel is free."""
    base = int(nuclei.per_patch * VARIANTS / SHARE)
    low, high = (int(part * base) for part in EXTRA[nuclei.area_fraction >= DENSE])
    for number in range(1, base + rng.integers(low, high + 1) + 1):
        outline = nuclei.outlines[rng.integers(len(nuclei.outlines))]
        center = _free_pixel(canvas, outline, rng)
        if center is None:
            return
        box, mask = _fill(outline[:, ::-1] + center, canvas.shape)
        canvas[box][mask & (canvas[box] == 0)] = number


def _place_rotated(canvas: np.ndarray, nuclei: Nuclei, rng: np.random.Generator, max_overlap: float) -> None:
    """Place nuclei until the area fraction is reached, or `MAX_FAILURES` positions in a row are rejected."""
    target_px = nuclei.area_fraction * rng.uniform(*AREA_RANGE) * canvas.size
    covered_px, number, failures = 0, 0, 0
    while covered_px < target_px and failures < MAX_FAILURES:
        outline = _rotate(nuclei.outlines[rng.integers(len(nuclei.outlines))], rng)
        center = _free_pixel(canvas, outline, rng)
        if center is None:
            return
        box, mask = _fill(outline + center, canvas.shape)
        free = mask & (canvas[box] == 0)
        if free.sum() < (1 - max_overlap) * mask.sum():
            failures += 1
            continue
        number, failures, covered_px = number + 1, 0, covered_px + free.sum()
        canvas[box][free] = number


def _rotate(outline: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate an outline by a random angle and flip it at random."""
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([1.0, rng.choice([-1.0, 1.0])])
    return np.rint(outline @ (rotation @ flip)).astype(int)


def _free_pixel(canvas: np.ndarray, outline: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Return a random pixel with about half the outline's radius around it free, or None."""
    radius = np.sqrt((outline**2).sum(axis=1).max())
    side = int(radius + rng.choice(CLEARANCE_PX))
    zone = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    free = np.flatnonzero(cv2.dilate((canvas > 0).astype(np.uint8), zone) == 0)
    if not len(free):
        return None
    return np.array(np.unravel_index(free[rng.integers(len(free))], canvas.shape))


def _fill(outline: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the box of the canvas that holds the outline, and the filled outline as a mask there."""
    low = np.maximum(outline.min(axis=0), 0)
    high = np.minimum(outline.max(axis=0) + 1, shape)
    mask = np.zeros(np.maximum(high - low, 0), np.uint8)
    cv2.drawContours(mask, [np.ascontiguousarray((outline - low)[:, ::-1], np.int32)], -1, 1, cv2.FILLED)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), mask.astype(bool)


def _without_small(layout: np.ndarray) -> np.ndarray:
    """Drop the pieces that the border left too small, and renumber the others."""
    areas = np.bincount(layout.ravel())
    return renumber(np.where((areas >= MIN_AREA_PX)[layout], layout, 0))[0]
