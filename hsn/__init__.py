"""hsn segments H&E histology and learns from whatever annotation a lab has.

The front door is light: a name opens its room at first use, so `import hsn` and `hsn --help` load neither
Keras nor NumPy.
"""

import importlib

__version__ = "0.1.0"

# public name -> the room it lives in ("room:name"), or the room itself
_DOORS = {
    "segment": "hsn.supervision:segment",
    "refine": "hsn.refinement.crf:refine",
    "load": "hsn.weights:load",
    "read": "hsn.images.read:read",
    "synthesise": "hsn.supervision.selected.synthesise:synthesise",
    "Refusal": "hsn._refuse:Refusal",
    "Segmentation": "hsn.types:Segmentation",
    "Taxonomy": "hsn.taxonomies:Taxonomy",
    "masks": "hsn.supervision.masks",
    "points": "hsn.supervision.points",
    "selected": "hsn.supervision.selected",
    "tags": "hsn.supervision.tags",
    "taxonomies": "hsn.taxonomies",
}
__all__ = ["__version__", *_DOORS]


def __getattr__(name):
    if name not in _DOORS:
        raise AttributeError(f"module 'hsn' has no attribute {name!r}; it has {', '.join(_DOORS)}")
    room, _, inner = _DOORS[name].partition(":")
    value = importlib.import_module(room)
    value = getattr(value, inner) if inner else value
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
