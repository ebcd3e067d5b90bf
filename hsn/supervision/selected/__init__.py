"""Selected: an annotator outlines all objects of a few chosen patches, and a net learns to tell them all (Lou 2022)."""

from .fit import fit
from .loss import loss
from .recipe import Recipe, published, quick
from .segment import segment
from .synthesis_presets import Preset
from .synthesise import synthesise
from .targets import targets

__all__ = ["Preset", "Recipe", "fit", "loss", "published", "quick", "segment", "synthesise", "targets"]
