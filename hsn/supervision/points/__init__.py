"""Points: an annotator clicks on some nuclei, and a net learns to segment all of them (Qu et al., TMI 2020)."""

from .fit import fit
from .loss import loss
from .recipe import Learning, Recipe, published, quick, radius_of
from .segment import objects, segment
from .targets import Given, targets

__all__ = [
    "Given",
    "Learning",
    "Recipe",
    "fit",
    "loss",
    "objects",
    "published",
    "quick",
    "radius_of",
    "segment",
    "targets",
]
