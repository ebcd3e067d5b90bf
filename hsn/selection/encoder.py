"""Encoders of patches: what `hsn.data.embedding` needs of a net, or of features without weights."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import texture


@dataclass(frozen=True)
class Encoder:
    """Converts patches to vectors.

    Attributes
    ----------
    name : str
        Unique name, with a digest of the weights: vectors of two encoders are never mixed.
    embed : callable
        uint8 (n, px, px, 3) -> float32 (n, d), for any n and px.
    standardize : bool
        Whether features have different units, so that each must be divided by its standard deviation.
    """

    name: str
    embed: Callable[[np.ndarray], np.ndarray]
    standardize: bool


def texture_encoder() -> Encoder:
    """Return the encoder without weights: the features of `hsn.selection.texture`.

    Examples
    --------
    >>> texture_encoder().embed(np.zeros((2, 64, 64, 3), np.uint8)).shape
    (2, 43)
    """
    return Encoder("texture", texture.describe, standardize=True)
