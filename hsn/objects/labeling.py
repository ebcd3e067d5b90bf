"""Labeling: numbered objects from the probabilities of a net.

After FullNet (Qu et al., MICCAI 2019): connected components of the inside class, grown by what the contour took; or a
watershed from the same markers; or, for a net without contours, the foreground, split by a watershed on its distance
transform.
"""

import warnings

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..types import Segmentation
from .cleaning import fill_holes, label_components, remove_small_components, remove_small_objects
from .contours import CONTOUR, INSIDE, grow_objects
from .watershed import distance_watershed, marker_watershed


def label_instances(probabilities, postprocess, *, mpp):
    """Separate the objects in the probabilities of a net.

    Parameters
    ----------
    probabilities : float array, shape (H, W, C)
        Of background, inside and contour; of background and foreground; or of the foreground alone.
    postprocess : PostProcess
        `separation` and `grow_um` count for three classes only; fewer classes are split where `h_um` is above 0.
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
    # As published: FullNet and the U-Nets remove small components with 4 neighbors, points with 8; U-Nets count with 4.
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
    grow_px = round(postprocess.grow_um / mpp, 3)  # a remainder of rounding would cost a whole pixel
    if postprocess.separation == "components":
        return grow_objects(objects, radius_px=grow_px, overlap=postprocess.overlap)
    near = distance_transform_edt(objects == 0) <= grow_px if objects.any() else objects > 0
    bounds = (objects > 0) | (near & (probabilities.argmax(axis=2) != 0))
    return marker_watershed(objects, bounds, depth=object_probability(probabilities))


def foreground(probabilities, threshold):
    """Return where the foreground is more probable than a threshold, or, if that is None, the likeliest class.

    Examples
    --------
    >>> foreground(np.array([[[0.4, 0.6], [0.8, 0.2]]]), None).tolist()
    [[True, False]]
    """
    if threshold is None:
        return probabilities.argmax(axis=2) == INSIDE
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
    """Return objects and the probability of each pixel to belong to one as a `Segmentation`.

    Parameters
    ----------
    instances : int32 array, shape (H, W)
    probability : float32 array, shape (H, W)
        In [0, 1].
    taxonomy : Taxonomy
        Of two classes, the second being the objects.

    Returns
    -------
    Segmentation

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> segmentation_of(np.array([[0, 1]]), np.array([[0.25, 0.5]]), NUCLEI).probabilities.tolist()
    [[[0.75, 0.25], [0.5, 0.5]]]
    """
    probabilities = np.stack([1 - probability, probability], axis=2)
    labels = (instances > 0).astype(np.int32)
    return Segmentation(labels, instances, probabilities, probabilities.max(axis=(0, 1)), taxonomy)


def objects(maps, config, *, mpp):
    """Separate objects by a config's `postprocess`; deprecated, use `label_instances`.

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
