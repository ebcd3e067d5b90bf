"""Splits of images into training and validation images."""

import numpy as np

from ..errors import InputError


def train_val_split(count, validation, *, seed):
    """Split images into training and validation images.

    Parameters
    ----------
    count : int
        Number of images.
    validation : float or sequence of int
        Fraction of the images, drawn at random; or indices of the validation images. Images of one patient must be on
        the same side: give indices if patients have several images.
    seed : int
        Seed of the random draw.

    Returns
    -------
    learned, held_out : int arrays
        Indices of training and of validation images.

    Raises
    ------
    InputError
        "split-empty" if one side is empty or an index does not exist.

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
            hint="give more images, or change `validation`",
        )
    return learned, held_out
