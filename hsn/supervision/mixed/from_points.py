"""Clicks on objects: coarse labels from the clicks and the colors around them."""

import numpy as np

from ...annotations.cluster_labels import cluster_label
from ...annotations.voronoi_labels import nearest_points, voronoi_label
from .config import BACKGROUND, CONTOUR, INSIDE
from .sources import CLUSTER, POINT, VORONOI

_LABELS_RADIUS_PX = 11.0  # radius of a nucleus at which the lengths of the coarse labels hold
_DISPUTED = 0.5  # weight of an edge of Voronoi cells with the color of objects, and of background around single clicks


def add_points(maps, pixels, points, complete, config):
    """Add clicks to the maps of the head of objects.

    Within `mark_um` of a click is the inside of an object. Where all objects are clicked, the cluster label knows
    objects ("inside or contour") and background by their colors, and edges between Voronoi cells are background.

    Elsewhere colors are less reliable (`benchmarks/mixed.py labels`). A click knows its object up to `core_radii`
    radii, and background, at half the weight, from one to `click_radii` radii, as the extended Gaussian of the paper.

    Parameters
    ----------
    maps : HeadMaps
        Changed in place.
    pixels : uint8 array, shape (H, W, 3)
    points : float array, shape (N, 2)
        Row and column.
    complete : bool array, shape (H, W)
        Where every object has a point.
    config : Config

    References
    ----------
    .. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020.

    Examples
    --------
    >>> from .config import preset
    >>> from .sources import blank
    >>> image = np.full((60, 60, 3), 230, np.uint8)
    >>> image[20:40, 20:40] = 90
    >>> maps = blank((60, 60))
    >>> add_points(maps, image, np.array([[30.0, 30.0]]), np.zeros((60, 60), bool), preset("cpu"))
    >>> maps.possible[30, [30, 36, 45, 59]].tolist()
    [2, 0, 1, 0]
    """
    if not len(points):
        return
    shape, scale = pixels.shape[:2], config.radius_px / _LABELS_RADIUS_PX
    distance, _ = nearest_points(points, shape)
    radii = distance / config.radius_px
    core, ring = radii <= config.core_radii, (radii > 1) & (radii <= config.click_radii)
    cluster = cluster_label(pixels, points, seed=config.train.seed, scale=scale)
    objects, background = cluster.target > 0, (cluster.weight > 0) & (cluster.target == 0)
    maps.write(ring & background & ~complete, [BACKGROUND], CLUSTER, weight=_DISPUTED)
    maps.write(background & complete, [BACKGROUND], CLUSTER)
    maps.write(objects & (complete | core), [INSIDE, CONTOUR], CLUSTER)
    if complete.any():
        voronoi = voronoi_label(points, shape, scale=scale)
        edges = (voronoi.weight > 0) & (voronoi.target == 0) & complete
        maps.write(edges, [BACKGROUND], VORONOI, weight=np.where(objects, _DISPUTED, 1).astype(np.float32))
    maps.write(distance <= config.mark_um / config.mpp, [INSIDE], POINT)
