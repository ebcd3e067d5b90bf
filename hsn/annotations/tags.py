"""Tags: which classes a patch holds, derived from its label image."""

import numpy as np

from ..errors import refuse
from .colors import as_labels


def tags_from_labels(labels, classes: int, *, least_fraction, known=None):
    """Say which classes are present, as an annotator would who overlooks specks.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class indices below `classes`.
    classes : int
        Number of classes, C.
    least_fraction : float, or C floats
        Share of the known area, 0 to 1, from which a class counts as present. 0 means: a single pixel is
        enough.
    known : bool array, shape (H, W), optional
        Where `labels` can be trusted; everywhere by default.

    Returns
    -------
    bool array, shape (C,)
        All False where nothing is known.

    Raises
    ------
    InputError
        If a fraction lies outside 0..1, or a label is no class.

    Examples
    --------
    >>> tags_from_labels(np.array([[0, 0, 0, 1]]), 3, least_fraction=0.25).tolist()
    [True, True, False]
    """
    labels = as_labels(labels, classes)
    least = np.broadcast_to(np.asarray(least_fraction, float), (classes,))
    if not ((least >= 0) & (least <= 1)).all():
        refuse("`least_fraction` is a share of the area", expected="0 to 1", received=least_fraction,
               remedy="write 5 % as 0.05")  # fmt: skip
    seen = labels.ravel() if known is None else labels[known]
    pixels = np.bincount(seen, minlength=classes)  # (C,)
    return (pixels > 0) & (pixels >= least * seen.size)
