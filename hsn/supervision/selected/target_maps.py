"""Targets of learning from chosen patches: objects become classes of pixels, where they are known.

What a person outlined is known everywhere; a pseudo-label is not, where an object was seen but is not believed.
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
        0 background; any positive ids. At the net's scale. What a masked array of NumPy masks is unknown.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, 4): 0 or 1 for background, inside and contour, then the number of the 8-connected part
        of the inside, 0 outside. `weight`, float32 (H, W): 1 plus the weight of borders; 0 where nothing is known.
        With a `detector`, what is to be learned depends on what the net proposes: `target` holds the objects
        themselves, `weight` 0 or 1.

    Raises
    ------
    InputError
        If image and annotation are not of one size, or the annotation is no label image.

    Examples
    --------
    >>> from hsn.supervision.selected.config import preset
    >>> told = np.ma.masked_equal([[0, 0, 5, 5, 5, 9]], 9)
    >>> target, weight = targets(np.zeros((1, 6, 3), np.uint8), told, preset("cpu"))
    >>> target[..., :3].argmax(axis=2).tolist(), weight.tolist()
    ([[0, 2, 2, 1, 2, 2]], [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]])
    """
    if as_image(image).shape[:2] != np.shape(annotation):
        refuse("an image and its objects must be of one size", expected=image.shape[:2],
               received=np.shape(annotation), remedy="resize the label image, nearest pixel")  # fmt: skip
    known = ~np.ma.getmaskarray(annotation)
    return encode(np.ma.filled(annotation, 0), known, config)


def encode(instances, known, config):
    """Targets of objects, int (H, W), and where they are known, bool (H, W)."""
    if config.detector is not None:
        return Targets(np.where(known, instances, 0).astype(np.float32), known.astype(np.float32))
    target = objects.encode_targets(
        instances,
        len(config.classes),
        shrink_px=config.targets.shrink_px,
        contour_px=config.targets.contour_px,
    )
    sigma_px = config.targets.border_sigma_um / config.mpp
    weight = objects.compute_weights(instances, sigma_px=sigma_px, height=config.targets.border_weight)
    target[..., -1] *= known  # the variance term counts parts, and does not look at weights
    return Targets(target, weight * known)
