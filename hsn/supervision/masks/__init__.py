"""Masks: learn from outlines of all objects (after FullNet + varCE and two U-Nets)."""

from ...deprecated import attributes

_NAMES = {
    "Config": ".config:Config",
    "PRESETS": ".config:PRESETS",
    "TERNARY": ".config:TERNARY",
    "TrainConfig": "hsn.config:TrainConfig",
    "fit": ".training:fit",
    "make_loss": ".losses:make_loss",
    "preset": ".config:preset",
    "segment": ".inference:segment",
    "make_targets": ".target_maps:make_targets",
}
_OLD_NAMES = {
    "objects": ("hsn.objects.labeling:objects", "hsn.objects.labeling.label_instances"),
    "fullnet": (".config:fullnet", "preset('fullnet')"),
    "small": (".config:cpu", "preset('cpu')"),
    "unet": (".config:unet_cryonuseg", "preset('unet-cryonuseg')"),
    "loss": (".losses:make_loss", "make_loss"),
    "targets": (".target_maps:make_targets", "make_targets"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
