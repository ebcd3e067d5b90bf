"""Counts of pixels by true and predicted class: the one table that every score of labels is computed from.

Truth is the row, prediction the column. Tables add up: sum those of many images, then score once.
"""

import numpy as np

from ..errors import refuse


def confusion(truth, prediction, classes: int, *, known=None, unlisted="ignore"):
    """Count pixels by true and predicted class.

    Parameters
    ----------
    truth, prediction : int array, same shape
        Class indices below `classes`.
    classes : int
        Number of classes, C.
    known : bool array, same shape, optional
        Where the truth is known, that is: where its colour is a listed class. Everywhere by default.
    unlisted : {"ignore", "false_alarms"}
        What becomes of pixels that are not known. "ignore" leaves them out. "false_alarms" counts them in one
        more row, so that they enlarge the union of whatever was predicted there, as HistoSegNet's release
        does.

    Returns
    -------
    int64 array, shape (C, C), or (C + 1, C) with `unlisted="false_alarms"`

    Raises
    ------
    InputError
        If shapes differ, or a label that counts is no class.

    Examples
    --------
    >>> confusion(np.array([[0, 0, 1]]), np.array([[0, 1, 1]]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    known = np.ones(truth.shape, bool) if known is None else np.asarray(known)
    if not truth.shape == prediction.shape == known.shape:
        refuse("truth, prediction and `known` must cover the same pixels", expected="equal shapes",
               received=f"{truth.shape}, {prediction.shape}, {known.shape}",
               remedy="resize the truth with hsn.annotations.colors.resize_labels")  # fmt: skip
    if unlisted not in ("ignore", "false_alarms"):
        refuse("there is no such rule for unlisted pixels", expected="'ignore' or 'false_alarms'",
               received=repr(unlisted),
               remedy="use 'ignore' unless you reproduce HistoSegNet's release")  # fmt: skip
    keep_all = unlisted == "false_alarms"
    rows = np.where(known, truth, classes).ravel() if keep_all else truth[known]
    columns = prediction.ravel() if keep_all else prediction[known]
    height = classes + keep_all
    for name, found, limit in (("truth", rows, height), ("prediction", columns, classes)):
        if found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= limit):
            refuse(f"the {name} names a class that is not counted",
                   expected=f"whole numbers 0 to {classes - 1}",
                   received=f"{found.dtype} {found.min()} to {found.max()}",
                   remedy="give both in the same taxonomy")  # fmt: skip
    pairs = rows.astype(np.int64) * classes + columns  # one number a pixel
    return np.bincount(pairs, minlength=height * classes).reshape(height, classes).astype(np.int64)


def truth_pixels(counts):
    """Pixels of each true class, int64 (C,).

    Examples
    --------
    >>> truth_pixels([[1, 1], [0, 1]]).tolist()
    [2, 1]
    """
    counts = as_counts(counts)
    return counts[: counts.shape[1]].sum(axis=1)


def as_counts(counts):
    """Return `counts` as an array if it is such a table; refuse it otherwise.

    Examples
    --------
    >>> as_counts([[1, 1], [0, 1]]).shape
    (2, 2)
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] - counts.shape[1] not in (0, 1) or counts.shape[1] < 1:
        refuse("scores are computed from a table of counts", expected="(classes, classes) or one row more",
               received=counts.shape, remedy="make it with hsn.metrics.counts.confusion")  # fmt: skip
    return counts
