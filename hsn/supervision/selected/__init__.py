"""Selected: learn from outlines of all objects in a few chosen patches (after Lou et al., 2022)."""

from ...deprecated import attributes

_NAMES = {
    "Config": ".config:Config",
    "PRESETS": ".config:PRESETS",
    "Preset": "hsn.extras.singan.presets:Preset",
    "TrainConfig": "hsn.config:TrainConfig",
    "fit": ".training:fit",
    "make_loss": ".losses:make_loss",
    "preset": ".config:preset",
    "segment": ".inference:segment",
    "synthesize": "hsn.extras.singan.synthesis:synthesize",
    "make_targets": ".target_maps:make_targets",
}
_OLD_NAMES = {
    "published": (".config:lou2022", "preset('lou2022')"),
    "quick": (".config:cpu", "preset('cpu')"),
    "loss": (".losses:make_loss", "make_loss"),
    "targets": (".target_maps:make_targets", "make_targets"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
