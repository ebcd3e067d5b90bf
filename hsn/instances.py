"""Instances: the one check and the one numbering that all rooms with label images share."""

import numpy as np

from .errors import refuse


def renumber(instances):
    """Give the objects of a label image the numbers 1..n, in the order of their ids.

    Parameters
    ----------
    instances : integer array (H, W)
        0 background; any positive ids, gaps allowed.

    Returns
    -------
    numbers : int32 (H, W)
        0 background, 1..n.
    ids : integer array (n,)
        The id that each number stands for, rising.

    Raises
    ------
    InputError
        If the array is no label image: not two-dimensional, not of integers, or with negative ids.

    Examples
    --------
    >>> numbers, ids = renumber(np.array([[0, 70, 5], [70, 0, 900]]))
    >>> numbers.tolist(), ids.tolist()
    ([[0, 2, 1], [2, 0, 3]], [5, 70, 900])
    """
    instances = np.asarray(instances)
    lowest = instances.min(initial=0) if instances.dtype.kind in "iub" else None
    if instances.ndim != 2 or lowest is None or lowest < 0:
        refuse("A label image must hold one whole number a pixel",
               expected="integers (height, width), 0 background, ids above 0",
               received=f"{instances.dtype} {instances.shape}, lowest value {lowest}",
               remedy="convert colours or probabilities to ids first")  # fmt: skip
    instances = instances.astype(np.int64)
    top = int(instances.max(initial=0))
    if top > 4 * instances.size + 1024:  # ids too far apart for a table of all of them: sort instead
        ids, numbers = np.unique(np.append(0, instances), return_inverse=True)
        return numbers[1:].reshape(instances.shape).astype(np.int32), ids[1:]
    here = np.bincount(instances.ravel(), minlength=top + 1) > 0
    here[0] = False
    return (np.cumsum(here) * here).astype(np.int32)[instances], np.flatnonzero(here)
