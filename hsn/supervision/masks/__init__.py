"""Masks: learn from outlines of all objects (after FullNet + varCE and two U-Nets)."""

from ...deprecated import attributes

_NAMES = {
    "Config": ".config:Config",
    "PRESETS": ".config:PRESETS",
    "TERNARY": ".config:TERNARY",
    "TrainConfig": "hsn.config:TrainConfig",
    "fit": ".training:fit",
    "loss": ".losses:loss",
    "objects": ".inference:objects",
    "preset": ".config:preset",
    "segment": ".inference:segment",
    "targets": ".target_maps:targets",
}
_OLD_NAMES = {
    "fullnet": (".config:fullnet", "preset('fullnet')"),
    "small": (".config:cpu", "preset('cpu')"),
    "unet": (".config:unet_cryonuseg", "preset('unet-cryonuseg')"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
