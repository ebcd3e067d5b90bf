"""Targets of learning from selected patches: classes of pixels, where the objects are known.

Annotated patches are known everywhere; pseudo-labels are unknown where an object was detected but not accepted.
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
        0 background; any positive ids. At the net's scale. Masked pixels of a NumPy masked array are unknown.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, 4): 0 or 1 for background, inside and contour, then the number of the 8-connected
        component of the inside, 0 elsewhere. `weight`, float32 (H, W): 1 plus the weight of borders; 0 where nothing
        is known. With a `detector`, targets depend on its proposals: `target` holds the objects, `weight` is 0 or 1.

    Raises
    ------
    InputError
        "shape-mismatch" or "label-image-invalid".

    Examples
    --------
    >>> from hsn.supervision.selected.config import preset
    >>> masked = np.ma.masked_equal([[0, 0, 5, 5, 5, 9]], 9)
    >>> target, weight = make_targets(np.zeros((1, 6, 3), np.uint8), masked, preset("cpu"))
    >>> target[..., :3].argmax(axis=2).tolist(), weight.tolist()
    ([[0, 2, 2, 1, 2, 2]], [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]])
    """
    same_shape("image", as_image(image).shape, "annotation", np.shape(annotation))
    known = ~np.ma.getmaskarray(annotation)
    return encode(np.ma.filled(annotation, 0), known, config)


def encode(instances, known, config):
    """Return the targets of objects, int (H, W), that are known in a mask, bool (H, W)."""
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
    target[..., -1] *= known  # the variance term counts components and ignores weights
    return Targets(target, weight * known)
