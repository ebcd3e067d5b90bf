"""Targets of learning from tags: the tags of a patch; an unknown tag has weight 0."""

import numpy as np

from ...checks import as_image
from ...errors import InputError
from ...types import Targets


def make_targets(image, annotation, config):
    """Return the target and the weight of a patch.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    annotation : array, shape (C,), or (R, S, C) for a grid of cells
        For each class of the config 1 (present), 0 (absent) or NaN (unknown).
    config : Config

    Returns
    -------
    Targets
        `target` and `weight`, float32, the shape of `annotation`.

    Raises
    ------
    InputError
        "image-dtype", "tags-shape" or "tags-values".

    Examples
    --------
    >>> from hsn.supervision.tags.config import Config
    >>> config = Config(classes=("a", "b"), thresholds=(0.5, 0.5), taxonomies=())
    >>> [x.tolist() for x in make_targets(np.zeros((1, 1, 3), np.uint8), [1, np.nan], config)]
    [[1.0, 0.0], [1.0, 0.0]]
    """
    as_image(image)
    tags = np.asarray(annotation, np.float32)
    if tags.ndim not in (1, 3) or tags.shape[-1] != len(config.classes):
        raise InputError(
            "tags-shape",
            f"tags must be one number for each of the {len(config.classes)} classes {', '.join(config.classes)}",
            got=f"shape {tags.shape}",
            hint="give 0 or 1 for each class of the config",
        )
    known = ~np.isnan(tags)
    if not np.isin(tags[known], (0, 1)).all():
        raise InputError(
            "tags-values",
            "tags must be 0, 1 or NaN (unknown)",
            got=tags.tolist(),
            hint="turn counts or fractions into tags with a threshold",
        )
    return Targets(np.where(known, tags, 0).astype(np.float32), known.astype(np.float32))
