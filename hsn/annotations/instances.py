"""Objects: connected parts of a mask, numbered.

Release hsn_v1 of HistoSegNet (Chan et al., ICCV 2019) exported gland masks so for the scoring script of the
GlaS challenge, after smoothing them a little.
"""

import numpy as np
from scipy import ndimage

from ..errors import refuse

_RELEASE_SIGMA_PX = 0.5


def objects_of(mask, *, rule="exact"):
    """Number the connected parts of a mask.

    Parameters
    ----------
    mask : bool array, shape (H, W)
        Where the objects are.
    rule : {"exact", "release"}
        "exact" numbers the parts as they are. "release" reproduces HistoSegNet's: the mask is smoothed by a
        Gaussian of 0.5 px and cut at its own mean, which lets objects grow by a pixel where they are few and
        join neighbours. A mask that is true everywhere is one object by either rule.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n objects without gaps, however many there are. Parts that touch only by corners are
        different objects.

    Raises
    ------
    InputError
        If `mask` is not boolean, or there is no such rule.

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0, 1], [1, 1, 0, 0, 1]], bool)
    >>> objects_of(mask).tolist()
    [[1, 1, 0, 0, 2], [1, 1, 0, 0, 2]]
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        refuse("objects are found in a mask", expected="bool (height, width)",
               received=f"{mask.dtype} {mask.shape}",
               remedy="compare labels with the class, as in labels == 1")  # fmt: skip
    if rule not in ("exact", "release"):
        refuse("there is no such rule", expected="'exact' or 'release'", received=repr(rule),
               remedy="use 'exact' unless you reproduce HistoSegNet's release")  # fmt: skip
    # The mean of a full mask is its own value, above which nothing lies.
    if rule == "release" and not mask.all():
        smooth = ndimage.gaussian_filter(mask.astype(np.float64), _RELEASE_SIGMA_PX)  # (H, W)
        mask = smooth > smooth.mean()
    return ndimage.label(mask)[0].astype(np.int32)
