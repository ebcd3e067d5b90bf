"""Targets of learning from masks: classes of pixels, and weights that are higher between close objects.

After FullNet (Qu et al., MICCAI 2019): an object is its inside and a contour around it, so that close objects separate.
"""

import numpy as np

from ...checks import as_image, same_shape
from ...losses import objects
from ...types import Targets


def make_targets(image, annotation, config):
    """Return the target and the weights of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    annotation : int array, shape (H, W)
        0 background; any positive ids. At the net's scale.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, C + 1): 0 or 1 for each output of the net, then the number of the 8-connected
        component of the inside, 0 elsewhere, for the variance term. `weight`, float32 (H, W): 1 plus the weight of
        borders.

    Raises
    ------
    InputError
        "shape-mismatch" or "label-image-invalid".

    Examples
    --------
    >>> from hsn.supervision.masks.config import preset
    >>> targets = make_targets(np.zeros((1, 6, 3), np.uint8), np.array([[0, 0, 5, 5, 5, 5]]), preset("fullnet"))
    >>> targets.target.argmax(axis=2).tolist(), targets.weight.tolist()
    ([[0, 0, 2, 2, 1, 1]], [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    """
    same_shape("image", as_image(image).shape, "annotation", np.shape(annotation))
    return Targets(encode(annotation, config), weigh(annotation, config))


def encode(instances, config):
    """Return the target alone, float32 (H, W, C + 1); see `make_targets`.

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


def weigh(instances, config):
    """Return the weights alone, float32 (H, W): 1, and more between objects."""
    sigma_px = config.targets.border_sigma_um / config.mpp
    return objects.compute_weights(instances, sigma_px=sigma_px, height=config.targets.border_weight)
