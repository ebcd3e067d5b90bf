"""Masks: segment objects after training on masks of all objects (after FullNet + varCE and two U-Nets)."""

from ...deprecated import method_attributes

_NAMES = {"TERNARY": ".config:TERNARY"}
_OLD_NAMES = {
    "objects": ("hsn.objects.labeling:objects", "hsn.objects.labeling.label_instances"),
    "fullnet": (".config:fullnet", "preset('fullnet')"),
    "small": (".config:cpu", "preset('cpu')"),
    "unet": (".config:unet_cryonuseg", "preset('unet-cryonuseg')"),
}
__getattr__, __dir__ = method_attributes(__name__, _NAMES, _OLD_NAMES)
__all__ = __dir__()
