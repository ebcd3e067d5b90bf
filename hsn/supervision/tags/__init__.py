"""Tags: an annotator names the tissues in a patch, and a net learns where they are (after HistoSegNet)."""

from .fit import fit
from .loss import loss
from .recipe import Learning, Recipe, Refinement
from .segment import Stages, all_stages, segment, stages
from .targets import targets

__all__ = [
    "Learning",
    "Recipe",
    "Refinement",
    "Stages",
    "all_stages",
    "fit",
    "loss",
    "segment",
    "stages",
    "targets",
]
