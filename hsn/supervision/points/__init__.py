"""Points: segment all nuclei after training on clicks on some (after Qu et al., TMI 2020)."""

from ...deprecated import method_attributes

_NAMES = {
    "PointAnnotation": ".target_maps:PointAnnotation",
    "radius_of": ".config:radius_of",
}
_OLD_NAMES = {
    "Given": (".target_maps:PointAnnotation", "PointAnnotation"),
    "objects": ("hsn.objects.labeling:objects", "hsn.objects.labeling.label_instances"),
    "published": (".config:qu2020", "preset('qu2020')"),
    "quick": (".config:quick", "preset('resunet18'), and `for_mpp`"),
}
__getattr__, __dir__ = method_attributes(__name__, _NAMES, _OLD_NAMES)
__all__ = __dir__()
