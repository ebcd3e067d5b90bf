"""hsn segments H&E histology and learns from whatever annotation a lab has.

The front door is light: a name opens its room at first use, so `import hsn` and `hsn --help` load neither
Keras nor NumPy.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# public name -> where it is defined ("module:name"), or a module
_EXPORTS = {
    "fit": "hsn.workflows.fitting:fit",
    "segment": "hsn.workflows.segmentation:segment",
    "evaluate": "hsn.workflows.evaluation:evaluate",
    "select_patches": "hsn.workflows.selection:select_patches",
    "refine": "hsn.crf.dense_crf:refine",
    "load": "hsn.models:load",
    "read": "hsn.images.read:read",
    "synthesize": "hsn.extras.singan.synthesis:synthesize",
    "InputError": "hsn.errors:InputError",
    "Segmentation": "hsn.types:Segmentation",
    "Taxonomy": "hsn.taxonomies:Taxonomy",
    "masks": "hsn.supervision.masks",
    "points": "hsn.supervision.points",
    "selected": "hsn.supervision.selected",
    "tags": "hsn.supervision.tags",
    "taxonomies": "hsn.taxonomies",
}
__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'hsn' has no attribute {name!r}; it has {', '.join(_EXPORTS)}")
    room, _, inner = _EXPORTS[name].partition(":")
    value = importlib.import_module(room)
    value = getattr(value, inner) if inner else value
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
