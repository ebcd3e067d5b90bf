"""Selected: an annotator outlines all objects of a few chosen patches, and a net learns to tell them all (Lou 2022)."""

from ...extras.singan.presets import Preset
from ...extras.singan.synthesis import synthesize
from .config import Config, published, quick
from .inference import segment
from .losses import loss
from .target_maps import targets
from .training import fit

__all__ = ["Config", "Preset", "fit", "loss", "published", "quick", "segment", "synthesize", "targets"]
