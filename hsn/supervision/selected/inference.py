"""Inference of nets trained on selected patches: `segment_objects`, or Mask R-CNN."""

from functools import lru_cache

import numpy as np

from ...annotations.colors import resize_labels
from ...images.scaling import rescale
from ...instances import renumber
from ...objects.labeling import segmentation_of
from ...prediction.segmentation import checked, segment_objects


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on selected patches.

    Parameters, result and errors: see `hsn.prediction.segmentation.segment_objects`. With a detector, the probability
    of an object's pixels is the score of the object.

    References
    ----------
    .. [1] Lou et al., "Which pixel to annotate", IEEE TMI 2022.
    """
    if config.detector is None:
        return segment_objects(net, image, config, taxonomy=taxonomy, mpp=mpp, progress=progress)
    chosen, image, image_mpp = checked(image, config, taxonomy, mpp)
    small = rescale(image, image_mpp, config.mpp)
    min_area_px = max(1, round(config.postprocess.min_area_um2 / config.mpp**2))
    found = _detector(net, config).segment(small, min_area_px=min_area_px).scored
    instances = resize_labels(found.instances, image.shape[:2])
    scores = np.append(0, found.scores).astype(np.float32)[instances]
    return segmentation_of(renumber(instances)[0], scores, chosen)


@lru_cache(maxsize=2)
def _detector(net, config):
    """Return the detector of a net; it is kept for the next image, because it compiles its passes."""
    from .dense import system_of

    return system_of(net, config)
