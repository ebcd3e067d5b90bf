"""Cleaning: small parts away, holes closed, parts numbered; what both mask systems do after their nets.

FullNet (Qu et al., MICCAI 2019) drops parts below 20 pixels for nuclei and below 100 for glands (at the size on
which its net runs), then numbers what is left. The authors of the U-Nets on CryoNuSeg wished for such a filter:
their nets count small false clusters as nuclei.
"""

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from ..errors import refuse
from ..instances import renumber


def number_parts(mask, *, connectivity=8):
    """Number the connected parts of a mask.

    Parameters
    ----------
    mask : bool array (H, W)
    connectivity : {8, 4}
        Whether parts that touch by corners only are one (8) or two (4).

    Returns
    -------
    int32 (H, W)
        0 background, 1..n.

    Raises
    ------
    InputError
        If `mask` is no mask, or there is no such connectivity.

    Examples
    --------
    >>> mask = np.array([[1, 0], [0, 1]], bool)
    >>> number_parts(mask).tolist(), number_parts(mask, connectivity=4).tolist()
    ([[1, 0], [0, 1]], [[1, 0], [0, 2]])
    """
    mask = _checked(mask)
    if connectivity not in (4, 8):
        refuse("A pixel has 4 or 8 neighbours", expected="connectivity 4 or 8", received=connectivity,
               remedy="use 8, as both systems do when they number objects")  # fmt: skip
    return label(mask, generate_binary_structure(2, connectivity // 4))[0].astype(np.int32)


def drop_small_parts(mask, *, min_area_px, connectivity=4):
    """Take away the connected parts of a mask that are smaller than some area.

    Parameters
    ----------
    mask : bool array (H, W)
    min_area_px : float
        Parts of this many pixels or more stay.
    connectivity : {4, 8}
        As in `number_parts`; FullNet takes 4 here.

    Returns
    -------
    bool (H, W)

    Raises
    ------
    InputError
        If `mask` is no mask, or there is no such connectivity.

    Examples
    --------
    >>> drop_small_parts(np.array([[1, 0, 1, 1]], bool), min_area_px=2).tolist()
    [[False, False, True, True]]
    """
    return drop_small(number_parts(mask, connectivity=connectivity), min_area_px=min_area_px) > 0


def drop_small(instances, *, min_area_px):
    """Take away the objects that are smaller than some area.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    min_area_px : float
        Objects of this many pixels or more stay.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n without gaps, in the order of the ids.

    Raises
    ------
    InputError
        If `instances` are no label image.

    Examples
    --------
    >>> drop_small(np.array([[7, 0, 9, 9]]), min_area_px=2).tolist()
    [[0, 0, 1, 1]]
    """
    numbers, _ = renumber(instances)
    stays = np.bincount(numbers.ravel(), minlength=1) >= min_area_px
    stays[0] = False
    return (np.cumsum(stays) * stays).astype(np.int32)[numbers]


def fill_holes(mask, *, max_area_px=np.inf):
    """Close the holes of a mask: background that nothing but the mask surrounds.

    Parameters
    ----------
    mask : bool array (H, W)
    max_area_px : float
        Larger holes stay open: the lumen of a gland, the ground between nuclei. All are closed by default.

    Returns
    -------
    bool (H, W)
        What touches the end of the image is no hole. Holes are 4-connected, so a corner does not open one.

    Raises
    ------
    InputError
        If `mask` is no mask.

    Examples
    --------
    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    >>> bool(fill_holes(ring).all()), bool(fill_holes(ring, max_area_px=0).all())
    (True, False)
    """
    mask = _checked(mask)
    grounds, count = label(~mask)
    closes = np.bincount(grounds.ravel(), minlength=count + 1) <= max_area_px
    for edge in (grounds[0], grounds[-1], grounds[:, 0], grounds[:, -1]) if mask.size else ():
        closes[edge] = False
    return mask | (closes[grounds] & ~mask)


def _checked(mask):
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        refuse("`mask` must be a mask", expected="bool (height, width)", received=f"{mask.dtype} {mask.shape}",
               remedy="compare evidence with a threshold, or labels with a class")  # fmt: skip
    return mask
