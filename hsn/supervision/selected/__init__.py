"""Selected: segment objects after training on masks of a few selected patches (after Lou et al., 2022)."""

from ...deprecated import method_attributes

_NAMES = {
    "Preset": "hsn.extras.singan.presets:Preset",
    "synthesize": "hsn.extras.singan.synthesis:synthesize",
}
_OLD_NAMES = {
    "published": (".config:lou2022", "preset('lou2022')"),
    "quick": (".config:cpu", "preset('cpu')"),
}
__getattr__, __dir__ = method_attributes(__name__, _NAMES, _OLD_NAMES)
__all__ = __dir__()
