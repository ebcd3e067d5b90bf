"""Five methods with the same functions: make targets from annotations, train a net, segment images.

`segment` runs the method that is named in the card of a trained net.
"""

import importlib
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from .. import models
from ..errors import InputError
from ..images.read import read

METHODS = ("tags", "points", "selected", "masks", "mixed")


def segment(image, model, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image with a trained net.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3), or path
        RGB of an H&E-stained section, of any size.
    model : str, path or hsn.models.Model
        Name of an installed net, a trained folder, or a loaded model.
    taxonomy : str, optional
        Label space of the net. Default: its first.
    mpp : float, optional
        Micrometers per pixel of the image. Default: the value for the training images of the net.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch of tiles.

    Returns
    -------
    Segmentation
        `labels`, `probabilities`, `scores`, `taxonomy`, `image`, and `instances` if the net separates objects.

    Raises
    ------
    InputError
        "image-dtype", "image-too-small", "image-too-large", "mpp-positive", "taxonomy-unknown", or the codes of
        `hsn.load`.

    Examples
    --------
    >>> from skimage.data import immunohistochemistry
    >>> result = segment(immunohistochemistry()[:64, :64], "glas-tags")
    >>> result.labels.shape, result.taxonomy.names
    ((64, 64), ('Other', 'G.O'))
    """
    model = open_model(model)
    pixels = read(image) if isinstance(image, str | os.PathLike) else image
    method, config = method_of(model)
    result = method.segment(model.net, pixels, config, taxonomy=taxonomy, mpp=mpp, progress=progress)
    return replace(result, image=pixels)


def open_model(model):
    """Return a `Model` unchanged; load a name or a path, and keep the net for the next call."""
    if isinstance(model, models.Model):
        return model
    card = models.find(model) / "card.json"
    return _load(card.parent, card.stat().st_mtime_ns if card.exists() else 0)


@lru_cache(maxsize=4)
def _load(folder: Path, version: int):
    """Load a folder; `version` is the time of its card, so that a changed folder is loaded again."""
    return models.load(folder)


def method_of(model):
    """Return the method of a model, and the model's config as the method's `Config`.

    Raises
    ------
    InputError
        "method-unknown" for a net of a newer version.
    """
    kind = model.card.method
    if kind not in METHODS:
        raise InputError(
            "method-unknown",
            f"the net's method must be one of {', '.join(METHODS)}",
            got=kind,
            hint="install a newer hsn",
        )
    method = importlib.import_module(f".{kind}", __name__)
    return method, method.Config.from_dict(model.config)
