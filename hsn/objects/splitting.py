"""Splitting: touching nuclei taken apart by the watershed of how deep their pixels lie.

A mask tells where nuclei are but not how many; its connected parts merge a third of them in CryoNuSeg. Every
nucleus is roughly convex, so the distance to the background has one summit in each, and a saddle at each waist
(Beucher and Lantuejoul 1979; h-maxima after Soille, Morphological Image Analysis, chapter 6).
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from ..errors import refuse
from ..instances import renumber
from .cleaning import number_parts


def split(mask, *, waist_px=0.5, sigma_px=1.0):
    """Number the objects of a mask, and part those that touch at a waist.

    Parameters
    ----------
    mask : bool array (H, W)
        Where objects are.
    waist_px : float
        How much nearer the background must be at the waist between two summits than at the lower of the two,
        in pixels, above 0. More parts fewer: outlines that are merely uneven stay whole.
    sigma_px : float
        Blur of the distances before summits are sought, in pixels; 0 for none.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n; every pixel of the mask belongs to an object.

    Raises
    ------
    InputError
        If `mask` is no mask, or a width is out of range.

    Examples
    --------
    >>> mask = np.ones((7, 14), bool)
    >>> mask[[0, 1, 5, 6], 6:8] = False
    >>> split(mask)[3].tolist()
    [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    """
    if not waist_px > 0 or not sigma_px >= 0:
        refuse("Waists have some width", expected="`waist_px` above 0, `sigma_px` of 0 or more",
               received=f"{waist_px} and {sigma_px}", remedy="leave them out")  # fmt: skip
    parts = number_parts(mask)
    depth = _depth(parts > 0)
    depth = gaussian_filter(depth, sigma_px) * (parts > 0) if sigma_px else depth
    return flood(_summits(depth, parts, waist_px), parts > 0, depth=depth)


def flood(markers, mask, *, depth=None):
    """Let markers grow until they meet, along what lies deepest.

    Parameters
    ----------
    markers : int array (H, W)
        0 nothing; any positive ids: the seeds of objects, such as the inside class of a net.
    mask : bool array (H, W)
        How far they may grow. Its parts without a marker stay background.
    depth : float array (H, W), optional
        What grows first: a distance, or evidence. Distance to the background by default.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in the order of the ids.

    Raises
    ------
    InputError
        If the arrays are not of one image.

    Examples
    --------
    >>> flood(np.array([[5, 0, 0, 0, 0, 9]]), np.array([[1, 1, 1, 0, 1, 1]], bool)).tolist()
    [[1, 1, 1, 0, 2, 2]]
    """
    markers, mask = renumber(markers)[0], number_parts(mask) > 0
    depth = _depth(mask) if depth is None else np.asarray(depth)
    if not markers.shape == mask.shape == depth.shape:
        refuse("Markers, mask and depth must be of one image", expected=f"three arrays of shape {mask.shape}",
               received=f"{markers.shape} and {depth.shape}",
               remedy="resize them to one another first")  # fmt: skip
    return renumber(watershed(-depth, markers, connectivity=2, mask=mask))[0]


def _depth(mask):
    # The end of the image is taken for background, so that a mask without any has a distance too.
    return distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def _summits(depth, parts, waist_px):
    """One marker for each summit that stands out by more than a waist; every part has at least one."""
    # Summits cut down by the waist and filled up again: those that stand out by less are gone.
    lowered = reconstruction(depth - waist_px, depth, method="dilation")
    summits = local_maxima(lowered, connectivity=2) & (parts > 0)
    has_summit = np.zeros(parts.max(initial=0) + 1, bool)
    has_summit[0] = True  # the background, which needs none
    has_summit[parts[summits]] = True
    # A part that is shallower than the waist drowns as a whole; it is one object.
    return number_parts(summits | ~has_summit[parts])
