"""Layouts: nuclei of an annotated patch, set down anew on an empty one.

After the mask synthesis of Lou et al. (IEEE TMI 2022, "Which pixel to annotate"): whole nuclei are drawn with
replacement, and each is centred on a random pixel that keeps clear of those placed before. The released script mirrors
every nucleus on the main diagonal and nothing else, takes the number of nuclei from a flag set by hand, and stops where
no pixel is free. Here nuclei are turned and flipped, they are placed until they cover as much as in the patch, and a
full layout is one that is done; `mode="released"` does what the script did.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import find_objects

from ..errors import refuse
from ..instances import renumber

BORDER_PX = 6  # a vertex nearer to the edge may belong to a nucleus that the patch cuts
LEAST_VERTICES = 6
MARGIN_PX = 22  # centres may lie so far outside of the layout, whose edge then cuts nuclei
SPARE_PX = (2, 3, 4, 5)  # added to a nucleus' radius: the size of what keeps the others away
LEAST_PX = 20  # of a nucleus that the edge cut
VARIANTS, SHARE = 6, 7  # the script's pool held six variants of a patch; a seventh of it is placed
EXTRA = {False: (0.2, 0.4), True: (0.4, 0.6)}  # and by so much more, in sparse and in dense patches
DENSE = 0.25  # share of area from which a patch is called dense
COVERED = (0.85, 1.15)  # of the patch's share of nuclei, in a layout
TRIES = 20  # places in a row that do not fit before a layout is full


class Nuclei(NamedTuple):
    """What layouts are made of.

    Attributes
    ----------
    outlines : tuple of int arrays, shape (V, 2)
        Vertices (row, col) of each nucleus, from its centre.
    covered : float
        Share of the patches' area inside nuclei, 0..1, those cut by the edge among them.
    a_patch : float
        Nuclei a patch, those cut by the edge among them.
    """

    outlines: tuple
    covered: float
    a_patch: float


def nuclei_of(*patches):
    """Outline the nuclei of annotated patches that lie wholly inside.

    Parameters
    ----------
    *patches : int arrays, shape (H, W)
        Instances, 0 background; one patch or several of one kind.

    Returns
    -------
    Nuclei

    Raises
    ------
    InputError
        If no nucleus lies inside.

    Examples
    --------
    >>> patch = np.zeros((40, 40), int)
    >>> patch[10:16, 12:24] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (12, 6))
    >>> nuclei = nuclei_of(patch)
    >>> len(nuclei.outlines), nuclei.a_patch, round(nuclei.covered, 3)
    (1, 1.0, 0.034)
    """
    outlines, found, inside, area = [], 0, 0, 0
    for patch in patches:
        numbers, _ = renumber(patch)
        inside, area = inside + np.count_nonzero(numbers), area + numbers.size
        for number, box in enumerate(find_objects(numbers), 1):
            outline = _outline(numbers[box] == number, [part.start for part in box])  # (V, 2)
            room = np.array(numbers.shape) - 1 - BORDER_PX
            found += len(outline) >= LEAST_VERTICES
            if len(outline) >= LEAST_VERTICES and (outline >= BORDER_PX).all() and (outline <= room).all():
                outlines.append(outline - _centre(outline))
    if not outlines:
        refuse("there is no whole nucleus to build layouts of", received="none",
               expected=f"nuclei that keep {BORDER_PX} px from the edge of the patch",
               remedy="annotate a larger patch, or give its instance image")  # fmt: skip
    return Nuclei(tuple(outlines), float(inside / area), found / len(patches))


def _outline(mask, corner):
    """The first contour of a mask, (V, 2) as (row, col)."""
    contours, _ = cv2.findContours(
        np.pad(mask.astype(np.uint8), 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    largest = max(contours, key=len)[:, 0, ::-1]  # OpenCV has (x, y)
    return largest - 1 + np.array(corner)


def _centre(outline):
    """Centre of the outlined area, cut down to whole pixels; of a line, its middle."""
    moments = cv2.moments(np.ascontiguousarray(outline[:, ::-1], np.int32)[:, None])
    if not moments["m00"]:
        return outline.mean(axis=0).astype(int)
    return np.array([int(moments[name] / moments["m00"]) for name in ("m01", "m10")])


def layouts(nuclei, shape, *, count, seed, mode="turned", max_overlap=0.1):
    """Lay nuclei out anew, several times.

    Parameters
    ----------
    nuclei : Nuclei
    shape : (int, int)
        Height and width of a layout.
    count : int
        How many layouts. Each has a random stream of its own: the first ones do not depend on `count`.
    seed : int
    mode : {"turned", "released"}
        "turned": each nucleus is turned by any angle and flipped or not; layouts are as full as the patch was.
        "released": each is mirrored on the diagonal, and their number follows the released script, its flag for dense
        patches told by the area that nuclei cover.
    max_overlap : float
        With "turned", the part of a nucleus, 0..1, that may lie under others. What lies under is not in the result:
        a nucleus placed earlier keeps its pixels.

    Returns
    -------
    int32 array, shape (count, H, W)
        0 background, 1..n nuclei without gaps, in the order in which they were placed. Those of which the edge leaves
        fewer than `LEAST_PX` pixels are dropped.

    Raises
    ------
    InputError
        If a number is out of range, or there is no such mode.

    Examples
    --------
    >>> patch = np.zeros((60, 60), int)
    >>> patch[20:32, 20:30] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (10, 12))
    >>> made = layouts(nuclei_of(patch), (60, 60), count=3, seed=0)
    >>> made.shape, made.dtype, bool(made.any())
    ((3, 60, 60), dtype('int32'), True)
    """
    if mode not in ("turned", "released"):
        refuse("there is no such way to place nuclei", expected="turned or released", received=repr(mode),
               remedy="leave it out to have them turned")  # fmt: skip
    if count < 1 or min(shape) < 1 or not 0 <= max_overlap <= 1:
        refuse("there are no such layouts", expected="`count` and sides of 1 or more, `max_overlap` in 0..1",
               received=f"{count} of {tuple(shape)}, {max_overlap}", remedy="mend the numbers")  # fmt: skip
    place = _released if mode == "released" else _turned
    made = np.zeros((count, *shape), np.int32)
    for number in range(count):
        canvas = np.zeros([side + 2 * MARGIN_PX for side in shape], np.int32)
        place(canvas, nuclei, np.random.default_rng([seed, number]), max_overlap)
        made[number] = _without_crumbs(canvas[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])
    return made


def _released(canvas, nuclei, rng, _):
    """As many nuclei as the script places, as long as there is room."""
    base = int(nuclei.a_patch * VARIANTS / SHARE)
    low, high = (int(part * base) for part in EXTRA[nuclei.covered >= DENSE])
    for number in range(1, base + rng.integers(low, high + 1) + 1):
        outline = nuclei.outlines[rng.integers(len(nuclei.outlines))]
        spot = _free_pixel(canvas, outline, rng)
        if spot is None:
            return
        box, mask = _filled(outline[:, ::-1] + spot, canvas.shape)
        canvas[box][mask & (canvas[box] == 0)] = number


def _turned(canvas, nuclei, rng, max_overlap):
    """Nuclei until they cover what they should, or no place is found several times in a row."""
    wanted = nuclei.covered * rng.uniform(*COVERED) * canvas.size
    covered, number, failures = 0, 0, 0
    while covered < wanted and failures < TRIES:
        outline = _turn(nuclei.outlines[rng.integers(len(nuclei.outlines))], rng)
        spot = _free_pixel(canvas, outline, rng)
        if spot is None:
            return
        box, mask = _filled(outline + spot, canvas.shape)
        free = mask & (canvas[box] == 0)
        if free.sum() < (1 - max_overlap) * mask.sum():
            failures += 1
            continue
        number, failures, covered = number + 1, 0, covered + free.sum()
        canvas[box][free] = number


def _turn(outline, rng):
    """The outline turned by any angle, and flipped or not."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([1.0, rng.choice([-1.0, 1.0])])
    return np.rint(outline @ (turn @ flip)).astype(int)


def _free_pixel(canvas, outline, rng):
    """A random pixel that keeps clear of what is placed by about half the outline's radius, or None."""
    radius = np.sqrt((outline**2).sum(axis=1).max())
    side = int(radius + rng.choice(SPARE_PX))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    free = np.flatnonzero(cv2.dilate((canvas > 0).astype(np.uint8), around) == 0)
    if not len(free):
        return None
    return np.array(np.unravel_index(free[rng.integers(len(free))], canvas.shape))


def _filled(outline, shape):
    """A filled outline: the box of the canvas that it lies in, and its mask there."""
    low = np.maximum(outline.min(axis=0), 0)
    high = np.minimum(outline.max(axis=0) + 1, shape)
    mask = np.zeros(np.maximum(high - low, 0), np.uint8)
    cv2.drawContours(mask, [np.ascontiguousarray((outline - low)[:, ::-1], np.int32)], -1, 1, cv2.FILLED)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), mask.astype(bool)


def _without_crumbs(layout):
    """The layout without what the edge left too little of, numbered again."""
    areas = np.bincount(layout.ravel())
    kept = areas >= LEAST_PX
    return renumber(np.where(kept[layout], layout, 0))[0]
