"""Tags: an annotator names the tissues in a patch, and a net learns where they are (after HistoSegNet)."""

from .config import Config, Refinement, TrainConfig
from .inference import Stages, all_stages, segment, stages
from .losses import loss
from .target_maps import targets
from .training import fit

__all__ = [
    "Config",
    "Refinement",
    "Stages",
    "TrainConfig",
    "all_stages",
    "fit",
    "loss",
    "segment",
    "stages",
    "targets",
]
