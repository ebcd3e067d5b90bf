"""Points: an annotator clicks on some nuclei, and a net learns to segment all of them (Qu et al., TMI 2020)."""

from .config import Config, TrainConfig, published, quick, radius_of
from .inference import objects, segment
from .losses import loss
from .target_maps import Given, targets
from .training import fit

__all__ = [
    "Config",
    "Given",
    "TrainConfig",
    "fit",
    "loss",
    "objects",
    "published",
    "quick",
    "radius_of",
    "segment",
    "targets",
]
