"""Segment with a net that learned from points: probabilities by overlapping tiles, a mask, its connected parts.

As published (Qu et al., IEEE TMI 2020) nuclei that touch are one; a watershed at waists parts them where the config
says so.
"""

import numpy as np

from ...checks import as_mpp, as_segmentable
from ...images.tiles import enlarge
from ...nets import resunet
from ...objects.cleaning import fill_holes, label_components, remove_small_objects
from ...objects.labeling import MAX_PIXELS
from ...objects.watershed import distance_watershed
from ...prediction import tiling as tiled
from ...prediction.tiling import rescale
from ...training.augment import SYMMETRIES
from ...types import Segmentation


def segment(net, image, config, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from points.

    Parameters
    ----------
    net : keras.Model
        The segmenter, two outputs.
    image : uint8 array, shape (H, W, 3)
    config : Config
    taxonomy : str, optional
        Which of the config's taxonomies; the first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `instances`, `labels` and `evidence` at the size of the image.

    Raises
    ------
    InputError
        If the image is none, or too small or too large, or `mpp` is no scale.

    References
    ----------
    .. [1] Qu et al., partial points, IEEE TMI 2020.
    """
    wanted, image = config.taxonomy(taxonomy), as_segmentable(image, max_pixels=MAX_PIXELS)
    image_mpp = as_mpp(config.image_mpp if mpp is None else mpp)
    evidence = enlarge(maps_of(net, rescale(image, image_mpp, config.mpp), config), image.shape[:2])
    instances = objects(evidence, config, mpp=image_mpp)
    return Segmentation(
        (instances > 0).astype(np.int32), instances, evidence, evidence.max(axis=(0, 1)), wanted
    )


def maps_of(net, image, config):
    """A detector's or segmenter's probabilities over an image at its scale, float32 (h, w, C)."""
    return tiled.maps_of(
        net,
        image,
        mean=config.normalization.mean,
        std=config.normalization.std,
        tile_px=config.tiling.tile_px,
        margin_px=config.tiling.halo_px,
        step_px=resunet.STEP_PX,
        views=SYMMETRIES if config.tiling.tta == 8 else (),
    )


def objects(maps, config, *, mpp):
    """Tell nuclei in the segmenter's probabilities.

    Parameters
    ----------
    maps : float array, shape (H, W, 2)
    config : Config
    mpp : float
        Micrometres per pixel of `maps`.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> config = preset("qu2020").replace(postprocess={"min_area_um2": 2 * 0.25**2})
    >>> nucleus = np.array([[0.9, 0.9, 0.1, 0.7, 0.2]])
    >>> objects(np.stack([1 - nucleus, nucleus], 2), config, mpp=0.25).tolist()
    [[1, 1, 0, 0, 0]]
    """
    least_px = config.postprocess.min_area_um2 / mpp**2
    parts = label_components(maps[..., 1] > maps[..., 0], connectivity=8)
    mask = fill_holes(remove_small_objects(parts, min_area_px=least_px) > 0)
    if not config.postprocess.h_um:
        return label_components(mask, connectivity=8)
    return remove_small_objects(
        distance_watershed(mask, h_px=config.postprocess.h_um / mpp), min_area_px=least_px
    )
