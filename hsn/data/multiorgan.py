"""MultiOrgan: nuclei of seven organs (Kumar et al., IEEE TMI 2017), the 30 training images of MoNuSeg.

H&E at 40x, 1000 x 1000 pixels, every nucleus outlined; CC BY-NC-SA 4.0. The split is FullNet's: 12 images to learn
from, 4 to choose by, 8 of the same organs and 6 of other organs to test on.
"""

from pathlib import Path

from ..annotations.mask_files import OUTLINES
from ..errors import refuse
from .sample import Sample, image_paths

MPP = 0.25  # um per pixel, nominal for 40x

_ORGANS = {
    "train": {
        "Breast": ("TCGA-A7-A13E", "TCGA-A7-A13F", "TCGA-AR-A1AK"),
        "Kidney": ("TCGA-B0-5711", "TCGA-HE-7128", "TCGA-HE-7129"),
        "Liver": ("TCGA-18-5592", "TCGA-38-6178", "TCGA-49-4488"),
        "Prostate": ("TCGA-G9-6336", "TCGA-G9-6348", "TCGA-G9-6356"),
    },
    "validation": {"Breast": ("TCGA-AR-A1AS",), "Kidney": ("TCGA-HE-7130",), "Liver": ("TCGA-50-5931",),
                   "Prostate": ("TCGA-G9-6363",)},
    "testA": {
        "Breast": ("TCGA-E2-A1B5", "TCGA-E2-A14V"),
        "Kidney": ("TCGA-B0-5698", "TCGA-B0-5710"),
        "Liver": ("TCGA-21-5784", "TCGA-21-5786"),
        "Prostate": ("TCGA-CH-5767", "TCGA-G9-6362"),
    },
    "testB": {
        "Bladder": ("TCGA-DK-A2I6", "TCGA-G2-A2EK"),
        "Colon": ("TCGA-AY-A8YK", "TCGA-NH-A8F7"),
        "Stomach": ("TCGA-KB-A93J", "TCGA-RD-A8N9"),
    },
}  # fmt: skip
PARTS = {split: (split,) for split in _ORGANS} | {"test": ("testA", "testB"), "all": tuple(_ORGANS)}

# Pictures and truth, below the folder that the user names; the second is Kumar's own archive.
_LAYOUTS = (("images", "labels_instance"), ("Tissue Images", "Annotations"))


def images(folder, split="train"):
    """List the images of one split.

    Parameters
    ----------
    folder : path
        With `images` and `labels_instance`, or `Tissue Images` and `Annotations`. Truth is a label image or an XML of
        the image's name.
    split : {"train", "validation", "testA", "testB", "test", "all"}
        FullNet's; "test" is both. A patient is told by the first twelve letters of the name.

    Returns
    -------
    list of Sample
        In the order of the split; `group` is the organ.

    Raises
    ------
    InputError
        If there is no such split, or images of it are missing; these are named.

    Examples
    --------
    >>> images("nowhere", "validation")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere lacks images of MultiOrgan's split 'validation'; expected 4, received none of \
TCGA-AR-A1AS, ...
    """
    folder = Path(folder)
    if split not in PARTS:
        refuse("MultiOrgan has no such split", expected=f"one of {', '.join(PARTS)}", received=repr(split),
               remedy="mend the name")  # fmt: skip
    organ_of = {p: organ for part in PARTS[split] for organ, ps in _ORGANS[part].items() for p in ps}
    found, truth = _find(folder, organ_of)
    missing = [patient for patient in organ_of if patient not in found]
    if missing:
        refuse(f"{folder} lacks images of MultiOrgan's split '{split}'", expected=len(organ_of),
               received=f"none of {', '.join(missing)}",
               remedy="name the folder that holds images, and copy the rest")  # fmt: skip
    return [_sample(found[patient], truth, organ) for patient, organ in organ_of.items()]


def _find(folder, patients):
    """Images by patient in the first layout that has any, and the folder of their truth."""
    for pictures, truth in _LAYOUTS:
        found = {
            path.name[:12]: path for path in image_paths(folder / pictures) if path.name[:12] in patients
        }
        if found:
            return found, folder / truth
    return {}, folder


def _sample(path, truth, organ):
    options = [truth / f"{path.stem}{suffix}" for suffix in (".png", ".tif", *OUTLINES)]
    objects = next((option for option in options if option.is_file() and option != path), None)
    told = None if objects is None else "Nucleus"
    return Sample(
        name=path.stem, image_path=path, instances_path=objects, instances_of=told, group=organ, mpp=MPP
    )
