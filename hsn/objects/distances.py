"""Distances: how deep inside its object a pixel lies, as a target for regression and for finding centres.

After the distance maps of CryoNuSeg (Mahbod et al., Computers in Biology and Medicine 2021).
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from ..errors import refuse
from ..instances import renumber


def distance_map(instances, *, relative_to="image"):
    """Distance of every pixel to the nearest one outside its object.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids. Touching objects are outside one another.
    relative_to : {"image", "object", None}
        What has the value 1: the deepest pixel of the image, as in CryoNuSeg; the deepest of each object; or
        nothing, and distances stay in pixels.

    Returns
    -------
    float32 (H, W)
        0 on the background; the end of the image is not outside.

    Raises
    ------
    InputError
        If `instances` are no label image, or there is no such scale.

    Examples
    --------
    >>> distance_map(np.array([[0, 7, 7, 7, 9, 0]]), relative_to=None).tolist()
    [[0.0, 1.0, 2.0, 1.0, 1.0, 0.0]]
    >>> distance_map(np.array([[0, 7, 7, 7, 9, 0]])).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.5, 0.0]]
    """
    numbers, _ = renumber(instances)
    if relative_to not in ("image", "object", None):
        refuse("There is no such scale", expected="'image', 'object' or None", received=repr(relative_to),
               remedy="leave it out for CryoNuSeg's")  # fmt: skip
    deep = np.zeros(numbers.shape, np.float32)
    for number, (rows, columns) in enumerate(find_objects(numbers), 1):
        # One pixel around an object is enough: whatever is outside of it is nearest there.
        box = slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1)
        mask = numbers[box] == number
        # An object that fills the image has no outside; the end of the image stands in for it.
        away = distance_transform_edt(mask) if not mask.all() else _to_the_end(mask)
        deep[box][mask] = (away / away.max() if relative_to == "object" else away)[mask]
    return deep / max(deep.max(initial=0), 1) if relative_to == "image" else deep


def _to_the_end(mask):
    return distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
