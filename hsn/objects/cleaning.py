"""Connected components: label them, remove small ones, fill holes.

FullNet (Qu et al., MICCAI 2019) removes components below 20 pixels for nuclei and below 100 for glands, at the scale of
its net. The authors of the U-Nets on CryoNuSeg recommend the same filter.
"""

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from ..checks import as_mask, one_of
from ..instances import renumber
from ..strips import count_labels, look_up


def label_components(mask: np.ndarray, *, connectivity: int = 8) -> np.ndarray:
    """Label the connected components of a mask.

    Parameters
    ----------
    mask : bool array (H, W)
    connectivity : {8, 4}
        Number of neighbors of a pixel: 8 joins pixels that touch at a corner. Default: 8.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n.

    Raises
    ------
    InputError
        "mask-dtype" or "connectivity-unknown".

    Examples
    --------
    >>> mask = np.array([[1, 0], [0, 1]], bool)
    >>> label_components(mask).tolist(), label_components(mask, connectivity=4).tolist()
    ([[1, 0], [0, 1]], [[1, 0], [0, 2]])
    """
    mask = as_mask(mask)
    one_of("connectivity", connectivity, (4, 8))
    return label(mask, generate_binary_structure(2, connectivity // 4))[0].astype(np.int32, copy=False)


def remove_small_components(mask: np.ndarray, *, min_area_px: float, connectivity: int = 4) -> np.ndarray:
    """Remove the connected components of a mask that are smaller than an area.

    Parameters
    ----------
    mask : bool array (H, W)
    min_area_px : float
        Smallest area that is kept, in pixels.
    connectivity : {4, 8}
        As in `label_components`. Default: 4, as in FullNet.

    Returns
    -------
    bool (H, W)

    Raises
    ------
    InputError
        "mask-dtype" or "connectivity-unknown".

    Examples
    --------
    >>> remove_small_components(np.array([[1, 0, 1, 1]], bool), min_area_px=2).tolist()
    [[False, False, True, True]]
    """
    components = label_components(mask, connectivity=connectivity)
    kept = count_labels(components, minlength=1) >= min_area_px
    kept[0] = False
    return look_up(kept, components)


def remove_small_objects(instances: np.ndarray, *, min_area_px: float) -> np.ndarray:
    """Remove the objects that are smaller than an area, and renumber the others.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    min_area_px : float
        Smallest area that is kept, in pixels.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n without gaps, in the order of the ids.

    Raises
    ------
    InputError
        "label-image-invalid".

    Examples
    --------
    >>> remove_small_objects(np.array([[7, 0, 9, 9]]), min_area_px=2).tolist()
    [[0, 0, 1, 1]]
    """
    numbers, _ = renumber(instances)
    kept = count_labels(numbers, minlength=1) >= min_area_px
    kept[0] = False
    return look_up((np.cumsum(kept) * kept).astype(np.int32), numbers)


def fill_holes(mask: np.ndarray, *, max_area_px: float = np.inf) -> np.ndarray:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : bool array (H, W)
    max_area_px : float
        Largest hole that is filled, in pixels. Default: no limit. A limit keeps the lumen of glands open.

    Returns
    -------
    bool (H, W)
        A hole is a 4-connected component of the background that does not touch the image border.

    Raises
    ------
    InputError
        "mask-dtype".

    Examples
    --------
    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    >>> bool(fill_holes(ring).all()), bool(fill_holes(ring, max_area_px=0).all())
    (True, False)
    """
    mask = as_mask(mask)
    background, count = label(~mask)
    filled = count_labels(background, minlength=count + 1) <= max_area_px
    for edge in (background[0], background[-1], background[:, 0], background[:, -1]) if mask.size else ():
        filled[edge] = False
    return mask | (look_up(filled, background) & ~mask)
