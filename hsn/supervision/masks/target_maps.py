"""Targets of learning from masks: objects become classes of pixels, and pixels between objects weigh more.

After FullNet (Qu et al., MICCAI 2019): an object is its inside and a contour around it, so that neighbours come apart.
"""

import numpy as np

from ...checks import as_image
from ...errors import refuse
from ...losses import objects
from ...types import Targets


def targets(image, annotation, config):
    """Turn the objects of an image into a target and weights.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    annotation : int array, shape (H, W)
        0 background; any positive ids. At the net's scale.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, C + 1): 0 or 1 for each output of the net, then the number of the 8-connected part
        of the inside that a pixel belongs to, 0 outside; the variance term needs it, and counts parts as they are
        after augmentation. `weight`, float32 (H, W): 1 plus the weight of borders.

    Raises
    ------
    InputError
        If image and annotation are not of one size, or the annotation is no label image.

    Examples
    --------
    >>> from hsn.supervision.masks.config import preset
    >>> made = targets(np.zeros((1, 6, 3), np.uint8), np.array([[0, 0, 5, 5, 5, 5]]), preset("fullnet"))
    >>> made.target.argmax(axis=2).tolist(), made.weight.tolist()
    ([[0, 0, 2, 2, 1, 1]], [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    """
    if as_image(image).shape[:2] != np.shape(annotation):
        refuse("an image and its objects must be of one size", expected=image.shape[:2],
               received=np.shape(annotation), remedy="resize the label image, nearest pixel")  # fmt: skip
    return Targets(encode(annotation, config), weights_of(annotation, config))


def encode(instances, config):
    """The target alone, float32 (H, W, C + 1); see `targets`.

    Examples
    --------
    >>> from hsn.supervision.masks.config import preset
    >>> encode(np.array([[0, 3, 3, 0, 4]]), preset("unet-cryonuseg"))[0].tolist()
    [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]
    """
    return objects.encode_targets(
        instances,
        len(config.classes),
        shrink_px=config.targets.shrink_px,
        contour_px=config.targets.contour_px,
    )


def weights_of(instances, config):
    """The weights alone, float32 (H, W): 1, and more between objects; see `targets`."""
    sigma_px = config.targets.border_sigma_um / config.mpp
    return objects.compute_weights(instances, sigma_px=sigma_px, height=config.targets.border_weight)
