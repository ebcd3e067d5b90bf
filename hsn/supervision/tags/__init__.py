"""Tags: segment tissues after training on the names of the tissues in each patch (after HistoSegNet)."""

from ...deprecated import method_attributes

_NAMES = {
    "CRFConfig": ".config:CRFConfig",
    "Stages": ".inference:Stages",
    "all_stages": ".inference:all_stages",
    "stages": ".inference:stages",
}
_OLD_NAMES = {"Refinement": (".config:CRFConfig", "CRFConfig")}
__getattr__, __dir__ = method_attributes(__name__, _NAMES, _OLD_NAMES)
__all__ = __dir__()
