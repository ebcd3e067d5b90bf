"""hsn segments H&E histology and trains nets from the annotations that a lab has.

    model = hsn.fit("study/", mpp=0.5, out="mine")
    result = hsn.segment("image.png", model)

A public name is imported at its first use: `import hsn` and `hsn --help` load neither Keras nor NumPy.
"""

from .deprecated import attributes

__version__ = "0.1.0"

# Public name -> "module:name", or a module.
_EXPORTS = {
    "fit": "hsn.workflows.fitting:fit",
    "segment": "hsn.workflows.segmentation:segment",
    "export": "hsn.workflows.exporting:export",
    "evaluate": "hsn.workflows.evaluation:evaluate",
    "plan": "hsn.workflows.planning:plan",
    "select_patches": "hsn.workflows.selection:select_patches",
    "refine": "hsn.crf.dense_crf:refine",
    "import_annotation": "hsn.workflows.importing:import_annotation",
    "read_objects": "hsn.exports.read:read_objects",
    "load": "hsn.models:load",
    "open_slide": "hsn.images.slide:open_slide",
    "read": "hsn.images.read:read",
    "synthesize": "hsn.extras.singan.synthesis:synthesize",
    "ObjectTable": "hsn.objects.table:ObjectTable",
    "InputError": "hsn.errors:InputError",
    "Segmentation": "hsn.types:Segmentation",
    "Taxonomy": "hsn.taxonomies:Taxonomy",
    "masks": "hsn.supervision.masks",
    "mixed": "hsn.supervision.mixed",
    "points": "hsn.supervision.points",
    "selected": "hsn.supervision.selected",
    "tags": "hsn.supervision.tags",
    "taxonomies": "hsn.taxonomies",
}
# Names of 0.1 that work for one more release.
_OLD_NAMES = {
    "Refusal": ("hsn.errors:InputError", "hsn.InputError"),
    "synthesise": ("hsn.extras.singan.synthesis:synthesize", "hsn.synthesize"),
}
__all__ = ["__version__", *_EXPORTS]
__getattr__, _ = attributes(__name__, _EXPORTS, _OLD_NAMES)


def __dir__() -> list[str]:
    return sorted(__all__)
