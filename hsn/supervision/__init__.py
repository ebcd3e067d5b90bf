"""Four methods of one shape: what an annotator gave becomes something that a net can learn.

`segment` is the front door to all of them: the card of a trained net says which method runs it.
"""

import importlib
import os
from functools import lru_cache
from pathlib import Path

from .. import models
from ..errors import refuse
from ..images.read import read

METHODS = ("tags", "points", "selected", "masks")


def segment(image, model, *, taxonomy=None, mpp=None):
    """Segment an image with a trained net.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3), or path
        RGB of an H&E-stained section, of any size.
    model : str, path or hsn.models.Model
        Name of a shipped or imported net, a trained folder, or a net already loaded.
    taxonomy : str, optional
        Which of the net's label spaces; its first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `labels`, `evidence`, `scores`, `taxonomy`, and `instances` where the net tells objects apart.

    Raises
    ------
    InputError
        If the image cannot be used, or there is no such net or taxonomy.

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
    return method.segment(model.net, pixels, config, taxonomy=taxonomy, mpp=mpp)


def open_model(model):
    """A `Model` as it is; one named or given by path is loaded, and kept for the next call."""
    if isinstance(model, models.Model):
        return model
    card = models.find(model) / "card.json"
    return _loaded(card.parent, card.stat().st_mtime_ns if card.exists() else 0)


@lru_cache(maxsize=4)
def _loaded(folder: Path, version: int):
    """`version` is when the card was written: a net that was trained anew is loaded anew."""
    return models.load(folder)


def method_of(model):
    """The method that runs a model, and the model's config as that method's own `Config`."""
    kind = model.card.method
    if kind not in METHODS:
        refuse("this net cannot be run by this version of hsn", expected=f"one that learned from {METHODS[0]}",
               received=f"one that learned from {kind}", remedy="install a newer hsn")  # fmt: skip
    method = importlib.import_module(f".{kind}", __name__)
    return method, method.Config.from_dict(model.config)
