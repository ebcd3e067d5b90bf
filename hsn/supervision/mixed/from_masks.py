"""Outlined objects: exact targets inside of complete regions, and on the objects and around them elsewhere."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from ...losses.objects import compute_weights
from .config import BACKGROUND, CONTOUR, INSIDE
from .sources import MASK


def add_masks(maps, instances, complete, config):
    """Add outlined objects to the maps of the head of objects.

    Known are the objects, and as background what is not an object in `complete` or within `ring_um` of an object. The
    weight is that of `masks`: 1 plus the border weights between close objects. Crops draw the contours themselves, so
    that their width does not change with the zoom.

    Parameters
    ----------
    maps : HeadMaps
        Changed in place.
    instances : int32 array, shape (H, W)
        0 background, 1..n.
    complete : bool array, shape (H, W)
        Where all objects are outlined.
    config : Config

    References
    ----------
    .. [1] Qu et al., FullNet + varCE, MICCAI 2019: contours and border weights.

    Examples
    --------
    >>> from .config import preset
    >>> from .sources import blank
    >>> maps = blank((1, 14))
    >>> objects = np.array([[1, 1] + 12 * [0]])
    >>> add_masks(maps, objects, np.zeros((1, 14), bool), preset("cpu"))
    >>> maps.possible[0].tolist()
    [6, 6, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    """
    objects = instances > 0
    near = distance_transform_edt(~objects) <= config.ring_um / config.mpp if objects.any() else objects
    weight = compute_weights(
        instances, sigma_px=config.targets.border_sigma_um / config.mpp, height=config.targets.border_weight
    )
    weight = weight.astype(np.float32)
    maps.write((complete | near) & ~objects, [BACKGROUND], MASK, weight=weight)
    maps.write(objects, [INSIDE, CONTOUR], MASK, weight=weight)
