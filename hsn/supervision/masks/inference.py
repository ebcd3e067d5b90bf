"""Segment with a net that learned from masks: maps by overlapping tiles, then objects.

With margins as wide as the net looks (`Config.margin_px` None) tiles cannot be told in the maps; a narrower margin is
cheaper, as FullNet's 40 px are.

Objects: after FullNet (Qu et al., MICCAI 2019), parts of the inside class that are grown by what the contour took; or
a watershed from the same markers; or, after the U-Nets on CryoNuSeg, a threshold, and a watershed at waists.
"""

from ...checks import as_mpp, as_segmentable
from ...images.tiles import enlarge
from ...nets import reach
from ...objects import labeling as told
from ...objects.labeling import MAX_PIXELS, object_evidence
from ...prediction import tiling as tiled
from ...prediction.tiling import rescale
from ...training.augment import SYMMETRIES


def segment(net, image, config, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from masks.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (H, W, 3)
    config : Config
    taxonomy : str, optional
        Which of the config's taxonomies; the first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `evidence` is how surely a pixel belongs to an object,
        contour included, beside the rest.

    Raises
    ------
    InputError
        If the image is none, or too small or too large, or `mpp` is no scale.

    References
    ----------
    .. [1] Qu et al., FullNet + varCE, MICCAI 2019.
    """
    wanted, image = config.taxonomy(taxonomy), as_segmentable(image, max_pixels=MAX_PIXELS)
    image_mpp = as_mpp(config.image_mpp if mpp is None else mpp)
    # Maps are enlarged before the classes are compared, so that borders stay smooth.
    maps = enlarge(maps_of(net, preprocess(image, config, image_mpp), config), image.shape[:2])
    return told.segmentation(objects(maps, config, mpp=image_mpp), object_evidence(maps), wanted)


def preprocess(image, config, image_mpp):
    """A whole image at the net's scale and in the config's stains, uint8 (h, w, 3)."""
    small = rescale(image, image_mpp, config.mpp)
    return config.normalization.stain.normalize(small) if config.normalization.stain else small


def maps_of(net, image, config):
    """The net's probabilities over an image at its scale, float32 (h, w, C); mean over `tiling.tta` symmetries."""
    margin_px, step_px = reach_of(net, config)
    return tiled.maps_of(
        net,
        image,
        mean=config.normalization.mean,
        std=config.normalization.std,
        tile_px=config.tiling.tile_px,
        margin_px=margin_px,
        step_px=step_px,
        views=SYMMETRIES if config.tiling.tta == 8 else (),
    )


def reach_of(net, config):
    """The margin of tiles, and what their starts must be multiples of, both in pixels of the net."""
    return reach.reach_of(net, config.tiling.halo_px)


def objects(maps, config, *, mpp):
    """Tell objects in the net's probabilities.

    Parameters
    ----------
    maps : float array, shape (H, W, C)
    config : Config
    mpp : float
        Micrometres per pixel of `maps`.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.supervision.masks.config import preset
    >>> maps = np.array([[0.9, 0.9, 0.1, 0.7]])[..., None]
    >>> objects(maps, preset("unet-cryonuseg"), mpp=0.25).tolist()
    [[1, 1, 0, 2]]
    """
    return told.objects(
        maps,
        inside=config.postprocess.foreground_threshold,
        separate=config.postprocess.separation,
        grow_px=round(config.postprocess.grow_um / mpp, 3),  # a rest of rounding would cost a whole pixel
        meet=config.postprocess.overlap,
        waist_px=config.postprocess.h_um / mpp,
        least_px=config.postprocess.min_area_um2 / mpp**2,
        fill=config.postprocess.fill_holes,
    )
