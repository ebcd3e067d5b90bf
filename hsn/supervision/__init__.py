"""Four siblings of one shape: what an annotator gave becomes something that a net can learn.

`segment` is the front door to all of them: the card of a trained net says which sibling runs it.
"""

import importlib
import os
from functools import lru_cache
from pathlib import Path

from .. import weights
from .._refuse import refuse
from ..images.read import read

SIBLINGS = ("tags", "points", "selected", "masks")


def segment(image, model, *, taxonomy=None, mpp=None):
    """Segment an image with a trained net.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3), or path
        RGB of an H&E-stained section, of any size.
    model : str, path or hsn.weights.Model
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
    Refusal
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
    sibling, recipe = sibling_of(model)
    return sibling.segment(model.net, pixels, recipe, taxonomy=taxonomy, mpp=mpp)


def open_model(model):
    """A `Model` as it is; one named or given by path is loaded, and kept for the next call."""
    if isinstance(model, weights.Model):
        return model
    card = weights.find(model) / "card.json"
    return _loaded(card.parent, card.stat().st_mtime_ns if card.exists() else 0)


@lru_cache(maxsize=4)
def _loaded(folder: Path, version: int):
    """`version` is when the card was written: a net that was trained anew is loaded anew."""
    return weights.load(folder)


def sibling_of(model):
    """The sibling that runs a model, and the model's recipe as that sibling's own `Recipe`."""
    kind = model.card.supervision
    if kind not in SIBLINGS:
        refuse("this net cannot be run by this version of hsn", expected=f"one that learned from {SIBLINGS[0]}",
               received=f"one that learned from {kind}", remedy="install a newer hsn")  # fmt: skip
    sibling = importlib.import_module(f".{kind}", __name__)
    return sibling, sibling.Recipe.from_dict(model.recipe)
