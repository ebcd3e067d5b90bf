"""Tags: segment tissues after training on the names of the tissues in each patch (after HistoSegNet)."""

from ...deprecated import attributes

_NAMES = {
    "CRFConfig": ".config:CRFConfig",
    "Config": ".config:Config",
    "PRESETS": ".config:PRESETS",
    "Stages": ".inference:Stages",
    "TrainConfig": "hsn.config:TrainConfig",
    "all_stages": ".inference:all_stages",
    "fit": ".training:fit",
    "make_loss": ".losses:make_loss",
    "preset": ".config:preset",
    "segment": ".inference:segment",
    "stages": ".inference:stages",
    "make_targets": ".target_maps:make_targets",
}
_OLD_NAMES = {
    "Refinement": (".config:CRFConfig", "CRFConfig"),
    "loss": (".losses:make_loss", "make_loss"),
    "targets": (".target_maps:make_targets", "make_targets"),
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attributes(__name__, _NAMES, _OLD_NAMES)
