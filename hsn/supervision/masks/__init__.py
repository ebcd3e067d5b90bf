"""Masks: an annotator outlines every object, and a net learns to tell them apart (FullNet + varCE, two U-Nets)."""

from .fit import fit
from .learning import Learning
from .loss import loss
from .recipe import TERNARY, Recipe, fullnet, small, unet
from .segment import objects, segment
from .targets import targets

__all__ = [
    "TERNARY",
    "Learning",
    "Recipe",
    "fit",
    "fullnet",
    "loss",
    "objects",
    "segment",
    "small",
    "targets",
    "unet",
]
