"""Four methods of one shape: how an annotation becomes something that a net can learn, and how the net is run.

The card of a trained net names its method. Methods do not import each other.
"""

import importlib
import os
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import models
from ..checks import one_of
from ..images.read import read
from ..models import Model
from ..types import Segmentation

METHODS = ("tags", "points", "selected", "masks")


def segment(
    image: np.ndarray | str | os.PathLike,
    model: str | os.PathLike | Model,
    *,
    taxonomy: str | None = None,
    mpp: float | None = None,
) -> Segmentation:
    """Segment one image with a trained net; `hsn.segment` also takes folders.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3), or path
    model : str, path or hsn.models.Model
    taxonomy : str, optional
        Label space of the net. Default: its first.
    mpp : float, optional
        Micrometers per pixel of the image. Default: that of the net's training images.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        If the image, the net or the taxonomy cannot be used.

    Examples
    --------
    >>> from skimage.data import immunohistochemistry
    >>> segment(immunohistochemistry()[:64, :64], "glas-tags").taxonomy.names
    ('Other', 'G.O')
    """
    opened = open_model(model)
    pixels = read(image) if isinstance(image, str | os.PathLike) else image
    method, config = method_of(opened)
    return method.segment(opened.net, pixels, config, taxonomy=taxonomy, mpp=mpp)


def open_model(model: str | os.PathLike | Model) -> Model:
    """Return a `Model` unchanged; load one by name or folder, and keep it for the next call."""
    if isinstance(model, Model):
        return model
    card = models.find(model) / "card.json"
    return _loaded(card.parent, card.stat().st_mtime_ns if card.exists() else 0)


@lru_cache(maxsize=4)
def _loaded(folder: Path, version: int) -> Model:
    """Load a folder; `version` is the time of its card, so that a net that was trained again is loaded again."""
    return models.load(folder)


def method_of(model: Model) -> tuple[ModuleType, Any]:
    """Return the method that runs a model, and the model's config as `Config` of that method.

    Raises
    ------
    InputError
        "method-unknown" if this version does not have the method.
    """
    kind = one_of("method", model.card.method, METHODS, hint="install a newer hsn")
    method = importlib.import_module(f".{kind}", __name__)
    return method, method.Config.from_dict(model.config)
