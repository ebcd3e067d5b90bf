"""Convert the probabilities of a net to instances.

Nets with contours, as in FullNet (Qu et al., MICCAI 2019): connected components of the inside class are grown by the
width of the contour, or are the markers of a watershed. Nets without contours: the foreground is split by a watershed
on its distance transform.
"""

import math
import warnings

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..strips import most_probable, strips
from ..types import Segmentation
from .cleaning import fill_holes, label_components, remove_small_components, remove_small_objects
from .contours import CONTOUR, INSIDE, grow_objects
from .watershed import distance_watershed, flood


def label_instances(probabilities, postprocess, *, mpp):
    """Separate the objects in the probabilities of a net.

    Parameters
    ----------
    probabilities : float array, shape (H, W, C)
        Three classes: background, inside, contour. Two: background, foreground. One: foreground.
    postprocess : PostProcess
        `separation` and `grow_um` are used only for three classes. `h_um` above 0 splits the foreground.
    mpp : float
        Micrometers per pixel of `probabilities`.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> from hsn.config import PostProcess
    >>> probabilities = np.array([[0.9, 0.9, 0.1, 0.7]])[..., None]
    >>> label_instances(probabilities, PostProcess(foreground_threshold=0.5), mpp=0.25).tolist()
    [[1, 1, 0, 2]]
    """
    classes = probabilities.shape[2]
    min_area_px, h_px = postprocess.min_area_um2 / mpp**2, postprocess.h_um / mpp
    # Connectivities as published. Removal of small components: FullNet and the U-Nets 4, points 8. Labeling: U-Nets 4.
    mask = remove_small_components(
        foreground(probabilities, postprocess.foreground_threshold),
        min_area_px=min_area_px,
        connectivity=8 if classes == 2 else 4,
    )
    mask = fill_holes(mask) if postprocess.fill_holes else mask
    connectivity = 4 if classes == 1 else 8
    objects = (
        distance_watershed(mask, h_px=h_px) if h_px else label_components(mask, connectivity=connectivity)
    )
    if classes < 3:
        return remove_small_objects(objects, min_area_px=min_area_px)
    grow_px = round(postprocess.grow_um / mpp, 3)  # a rounding error could change the growth by one pixel
    if postprocess.separation == "components":
        return grow_objects(objects, radius_px=grow_px, overlap=postprocess.overlap)
    bounds = _pixels_near(objects > 0, grow_px)
    bounds &= (objects > 0) | (most_probable(probabilities) != 0)
    return flood(objects, bounds, lambda box: object_probability(probabilities[box]))


def _pixels_near(mask, distance_px):
    """Return the pixels of a mask and those up to a distance from it, bool (H, W)."""
    near, margin = mask.copy(), math.ceil(distance_px)
    for rows in strips(mask.shape):
        top = max(0, rows.start - margin)
        part = mask[top : rows.stop + margin]
        if part.any():
            inner = slice(rows.start - top, rows.stop - top)
            near[rows] = distance_transform_edt(~part)[inner] <= distance_px
    return near


def foreground(probabilities, threshold):
    """Return a mask of the foreground: above a threshold, or the most probable class if the threshold is None.

    Examples
    --------
    >>> foreground(np.array([[[0.4, 0.6], [0.8, 0.2]]]), None).tolist()
    [[True, False]]
    """
    if threshold is None:
        return most_probable(probabilities) == INSIDE
    return probabilities[..., 0 if probabilities.shape[2] == 1 else INSIDE] > threshold


def object_probability(probabilities):
    """Return the probability that a pixel belongs to an object, inside or contour: float32 (H, W).

    Examples
    --------
    >>> object_probability(np.array([[[0.25, 0.25, 0.5]]])).tolist()
    [[0.75]]
    """
    classes = probabilities.shape[2]
    if classes < 3:
        return probabilities[..., classes - 1]
    return probabilities[..., INSIDE] + probabilities[..., CONTOUR]


def segmentation_of(instances, probability, taxonomy):
    """Make a `Segmentation` from instances and object probabilities.

    Parameters
    ----------
    instances : int32 array, shape (H, W)
    probability : float32 array, shape (H, W)
        Probability that a pixel belongs to an object, in [0, 1].
    taxonomy : Taxonomy
        Two classes: background, then objects.

    Returns
    -------
    Segmentation

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> segmentation_of(np.array([[0, 1]]), np.array([[0.25, 0.5]]), NUCLEI).probabilities.tolist()
    [[[0.75, 0.25], [0.5, 0.5]]]
    """
    probabilities = np.empty((*probability.shape, 2), probability.dtype)
    np.subtract(1, probability, out=probabilities[..., 0])
    probabilities[..., 1] = probability
    labels = (instances > 0).astype(np.int32)
    return Segmentation(labels, instances, probabilities, probabilities.max(axis=(0, 1)), taxonomy)


def objects(maps, config, *, mpp):
    """Separate objects with the `postprocess` of a config. Deprecated: use `label_instances`.

    Examples
    --------
    >>> import hsn
    >>> config = hsn.masks.preset("unet-cryonuseg")
    >>> with warnings.catch_warnings(action="ignore"):
    ...     objects(np.array([[0.9, 0.1]])[..., None], config, mpp=0.25).tolist()
    [[1, 0]]
    """
    warnings.warn("`objects` is now `hsn.objects.labeling.label_instances`", DeprecationWarning, stacklevel=2)
    return label_instances(maps, config.postprocess, mpp=mpp)
