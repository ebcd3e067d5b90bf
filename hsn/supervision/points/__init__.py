"""Points: learn to segment all nuclei from clicks on some (after Qu et al., TMI 2020)."""

from ...deprecated import attributes

_NAMES = {
    "Config": ".config:Config",
    "Given": ".target_maps:Given",
    "PRESETS": ".config:PRESETS",
    "TrainConfig": "hsn.config:TrainConfig",
    "fit": ".training:fit",
    "make_loss": ".losses:make_loss",
    "preset": ".config:preset",
    "radius_of": ".config:radius_of",
    "segment": ".inference:segment",
    "make_targets": ".target_maps:make_targets",
}
_OLD_NAMES = {
    "objects": ("hsn.objects.labeling:objects", "hsn.objects.labeling.label_instances"),
    "published": (".config:qu2020", "preset('qu2020')"),
    "quick": (".config:quick", "preset('cpu'), and `for_mpp`"),
    "loss": (".losses:make_loss", "make_loss"),
    "targets": (".target_maps:make_targets", "make_targets"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
