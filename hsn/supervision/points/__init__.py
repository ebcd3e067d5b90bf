"""Points: learn to segment all nuclei from clicks on some (after Qu et al., TMI 2020)."""

from ...deprecated import attributes

_NAMES = {
    "Config": ".config:Config",
    "Given": ".target_maps:Given",
    "PRESETS": ".config:PRESETS",
    "TrainConfig": "hsn.config:TrainConfig",
    "fit": ".training:fit",
    "loss": ".losses:loss",
    "objects": ".inference:objects",
    "preset": ".config:preset",
    "radius_of": ".config:radius_of",
    "segment": ".inference:segment",
    "targets": ".target_maps:targets",
}
_OLD_NAMES = {
    "published": (".config:qu2020", "preset('qu2020')"),
    "quick": (".config:quick", "preset('cpu'), and `for_mpp`"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
