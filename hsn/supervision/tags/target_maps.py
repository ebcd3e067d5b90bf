"""Targets of learning from tags: a patch's tags are what to learn; an unsaid tag has weight 0."""

import numpy as np

from ...checks import as_image
from ...errors import refuse
from ...types import Targets


def make_targets(image, annotation, config):
    """Turn a patch's tags into a target and a statement of where it is known.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    annotation : array, shape (C,), or (R, S, C) for a grid of cells
        Per class of the config 1 (present), 0 (absent) or NaN (the annotator did not say).
    config : Config

    Returns
    -------
    Targets
        `target` and `weight`, float32, the shape of `annotation`.

    Raises
    ------
    InputError
        If the tags are not one per class, or are no tags.

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
        refuse("tags must be one per class", expected=f"{len(config.classes)} for {', '.join(config.classes)}",
               received=f"shape {tags.shape}", remedy="give a 0 or 1 for each class of the config")  # fmt: skip
    known = ~np.isnan(tags)
    if not np.isin(tags[known], (0, 1)).all():
        refuse("a tag says yes or no", expected="0, 1 or NaN (not said)", received=tags.tolist(),
               remedy="turn counts or fractions into tags with a threshold")  # fmt: skip
    return Targets(np.where(known, tags, 0).astype(np.float32), known.astype(np.float32))
