"""Segment with a net that learned from a few chosen patches: objects told in its maps, or found one by one.

Maps are enlarged to the size of the image before objects are told in them, so that borders stay smooth; what a
detector found is enlarged as it is.
"""

from functools import lru_cache

import numpy as np

from ...annotations.colors import resize_labels
from ...checks import as_mpp, as_segmentable
from ...images.tiles import enlarge
from ...instances import renumber
from ...objects.labeling import MAX_PIXELS, object_evidence, segmentation
from ...prediction.tiling import rescale
from .dense import objects, system_of


def segment(net, image, config, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from chosen patches.

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
        `instances` and `labels` at the size of the image; `evidence` is how surely a pixel belongs to an object; of a
        detector it is the score of the object that it belongs to.

    Raises
    ------
    InputError
        If the image is none, or too small or too large, or `mpp` is no scale.

    References
    ----------
    .. [1] Lou et al., "Which pixel to annotate", IEEE TMI 2022.
    """
    wanted, image = config.taxonomy(taxonomy), as_segmentable(image, max_pixels=MAX_PIXELS)
    image_mpp, shape = as_mpp(config.image_mpp if mpp is None else mpp), image.shape[:2]
    system, small = _opened(net, config), rescale(image, image_mpp, config.mpp)
    if config.detector is None:
        maps = enlarge(system.maps(small), shape)
        return segmentation(objects(maps, config, mpp=image_mpp), object_evidence(maps), wanted)
    found = system.segment(
        small, min_area_px=max(1, round(config.postprocess.min_area_um2 / config.mpp**2))
    ).scored
    instances = resize_labels(found.instances, shape)
    sure = np.append(0, found.scores).astype(np.float32)[instances]
    return segmentation(renumber(instances)[0], sure, wanted)


@lru_cache(maxsize=2)
def _opened(net, config):
    """The system of a net, kept for the next image: a detector compiles its passes once."""
    return system_of(net, config)
