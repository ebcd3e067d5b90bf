"""Objects: told in the maps of a net that sees insides and contours, or insides alone.

After FullNet (Qu et al., MICCAI 2019), parts of the inside class that are grown by what the contour took; or a
watershed from the same markers; or, for a net with one output, a threshold, and a watershed at waists.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt

from ..types import Segmentation
from .cleaning import fill_holes, label_components, remove_small_components, remove_small_objects
from .contours import CONTOUR, INSIDE, grow_objects
from .watershed import distance_watershed, marker_watershed

MAX_PIXELS = 400_000_000  # 5 GB of maps; larger ones are slides, which are read in windows
SEPARATIONS = ("components", "marker_watershed", "distance_watershed")


def objects(maps, *, inside=None, separate="components", grow_px=0.0, meet="nearest", waist_px=0.0, least_px=0.0,
            fill=False):  # fmt: skip
    """Tell objects in probabilities.

    Parameters
    ----------
    maps : float array, shape (H, W, C)
        Of background, inside and contour; or of the inside alone.
    inside : float, optional
        From which probability on a pixel is inside; by default where that is the likeliest class.
    separate : {"components", "marker_watershed", "distance_watershed"}
        With three classes, "components": connected components of the inside, grown. "marker_watershed": these are the
        markers of a watershed on the probabilities, limited to `grow_px`. With one class, "distance_watershed".
    grow_px : float
        How far parts are grown.
    meet : {"nearest", "larger"}
        Who has the pixels that two grown parts can reach; see `hsn.objects.contours.grow_objects`.
    waist_px : float
        Depth of a waist from which it parts what is connected; 0 leaves it whole.
    least_px : float
        Smaller objects are dropped; inside only, where it is grown afterwards.
    fill : bool
        Whether holes are closed.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> objects(np.array([[0.9, 0.9, 0.1, 0.7]])[..., None], inside=0.5).tolist()
    [[1, 1, 0, 2]]
    """
    alone = maps.shape[2] == 1
    likely = maps.argmax(axis=2) == INSIDE if inside is None else maps[..., 0 if alone else INSIDE] > inside
    mask = remove_small_components(likely, min_area_px=least_px)
    mask = fill_holes(mask) if fill else mask
    connectivity = 4 if alone else 8
    parts = (
        distance_watershed(mask, h_px=waist_px)
        if waist_px
        else label_components(mask, connectivity=connectivity)
    )
    if alone:
        return remove_small_objects(parts, min_area_px=least_px)
    if separate == "components":
        return grow_objects(parts, radius_px=grow_px, overlap=meet)
    near = distance_transform_edt(parts == 0) <= grow_px if parts.any() else parts > 0
    bounds = (parts > 0) | (near & (maps.argmax(axis=2) != 0))
    return marker_watershed(parts, bounds, depth=object_evidence(maps))


def object_evidence(maps):
    """How surely a pixel belongs to an object, inside or contour: float32 (H, W).

    Examples
    --------
    >>> object_evidence(np.array([[[0.25, 0.25, 0.5]]])).tolist()
    [[0.75]]
    """
    return maps[..., 0] if maps.shape[2] == 1 else maps[..., INSIDE] + maps[..., CONTOUR]


def segmentation(instances, sure, taxonomy):
    """Objects and how surely each pixel belongs to one, as what `hsn.segment` returns.

    Parameters
    ----------
    instances : int32 array, shape (H, W)
    sure : float32 array, shape (H, W)
        In [0, 1].
    taxonomy : Taxonomy
        Of two classes, the second being the objects.

    Returns
    -------
    Segmentation

    Examples
    --------
    >>> from hsn.taxonomies import NUCLEI
    >>> segmentation(np.array([[0, 1]]), np.array([[0.25, 0.5]]), NUCLEI).evidence.tolist()
    [[[0.75, 0.25], [0.5, 0.5]]]
    """
    evidence = np.stack([1 - sure, sure], axis=2)
    labels = (instances > 0).astype(np.int32)
    return Segmentation(labels, instances, evidence, evidence.max(axis=(0, 1)), taxonomy)
