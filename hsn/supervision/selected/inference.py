"""Inference of nets trained on chosen patches: the path of all nets of objects, or Mask R-CNN."""

from functools import lru_cache

import numpy as np

from ...annotations.colors import resize_labels
from ...images.scaling import rescale
from ...instances import renumber
from ...objects.labeling import segmentation_of
from ...prediction.segmentation import checked, segment_objects


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on chosen patches.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (H, W, 3)
    config : Config
    taxonomy : str, optional
        One of the config's taxonomies. Default: the first.
    mpp : float, optional
        Micrometers per pixel of the image. Default: `config.image_mpp`.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch of tiles.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `probabilities` of background and of objects.
        Of a detector, the probability of an object's pixels is its score.
        See `hsn.prediction.segmentation.segment_objects`.

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
    """The detector of a net, kept for the next image: it compiles its passes once."""
    from .dense import system_of

    return system_of(net, config)
