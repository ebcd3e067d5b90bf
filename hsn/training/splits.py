"""Splits: which images a net learns from, and which it is validated on."""

import numpy as np

from ..errors import InputError


def train_val_split(count, validation, *, seed):
    """Return the indices to learn from and to validate on.

    Parameters
    ----------
    count : int
        Number of images.
    validation : float or sequence of int
        A share, drawn by the seed, or the indices themselves. Images of one patient belong on one side: give indices
        where that matters.
    seed : int

    Returns
    -------
    learned, held_out : int arrays

    Raises
    ------
    InputError
        "split-empty" if nothing is left on one side, or an index does not exist.

    Examples
    --------
    >>> [side.tolist() for side in train_val_split(4, (1,), seed=0)]
    [[0, 2, 3], [1]]
    """
    if isinstance(validation, (int, float)):
        order = np.random.default_rng(seed).permutation(count)
        validation = order[: max(1, round(validation * count))]
    held_out = np.unique(np.asarray(validation, int))
    learned = np.setdiff1d(np.arange(count), held_out)
    if not len(learned) or not len(held_out) or held_out.max() >= count or held_out.min() < 0:
        raise InputError(
            "split-empty",
            f"some of the {count} images must remain to learn from, and some to validate on",
            got=f"{len(learned)} to learn from, {len(held_out)} to validate on",
            hint="give more images, or another `validation` in the config",
        )
    return learned, held_out
