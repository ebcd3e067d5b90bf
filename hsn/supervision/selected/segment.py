"""Segment with a net that learned from a few chosen patches: objects told in its maps, or found one by one.

Maps are enlarged to the size of the image before objects are told in them, so that borders stay smooth; what a
detector found is enlarged as it is.
"""

from functools import lru_cache

import numpy as np

from ..._instances import renumber
from ..._refuse import as_scale, as_segmentable
from ...evidence.objects import MAX_PIXELS, object_evidence, segmentation
from ...evidence.tiled import at_scale
from ...images.tiles import enlarge
from ...labels.colors import resize_labels
from .dense import objects, system_of


def segment(net, image, recipe, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from chosen patches.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (H, W, 3)
    recipe : Recipe
    taxonomy : str, optional
        Which of the recipe's taxonomies; the first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `evidence` is how surely a pixel belongs to an object; of a
        detector it is the score of the object that it belongs to.

    Raises
    ------
    Refusal
        If the image is none, or too small or too large, or `mpp` is no scale.

    References
    ----------
    .. [1] Lou et al., "Which pixel to annotate", IEEE TMI 2022.
    """
    wanted, image = recipe.taxonomy(taxonomy), as_segmentable(image, most_pixels=MAX_PIXELS)
    image_mpp, shape = as_scale(recipe.image_mpp if mpp is None else mpp), image.shape[:2]
    system, small = _opened(net, recipe), at_scale(image, image_mpp, recipe.mpp)
    if recipe.detector is None:
        maps = enlarge(system.maps(small), shape)
        return segmentation(objects(maps, recipe, mpp=image_mpp), object_evidence(maps), wanted)
    found = system.segment(small, least_px=max(1, round(recipe.least_um2 / recipe.mpp**2))).scored
    instances = resize_labels(found.instances, shape)
    sure = np.append(0, found.scores).astype(np.float32)[instances]
    return segmentation(renumber(instances)[0], sure, wanted)


@lru_cache(maxsize=2)
def _opened(net, recipe):
    """The system of a net, kept for the next image: a detector compiles its passes once."""
    return system_of(net, recipe)
