"""Masks: an annotator outlines every object, and a net learns to tell them apart (FullNet + varCE, two U-Nets)."""

from .config import TERNARY, Config, fullnet, small, unet
from .inference import objects, segment
from .losses import loss
from .target_maps import targets
from .train_config import TrainConfig
from .training import fit

__all__ = [
    "TERNARY",
    "Config",
    "TrainConfig",
    "fit",
    "fullnet",
    "loss",
    "objects",
    "segment",
    "small",
    "targets",
    "unet",
]
