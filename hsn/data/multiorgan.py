"""MultiOrgan: nuclei of seven organs (Kumar et al., IEEE TMI 2017), the 30 training images of MoNuSeg.

H&E at 40x, 1000 x 1000 pixels, every nucleus outlined; CC BY-NC-SA 4.0. The split is that of FullNet: 12 images for
training, 4 for validation, 8 of the same organs and 6 of other organs for testing.
"""

from collections.abc import Collection
from pathlib import Path

from ..annotations.mask_files import OUTLINES
from ..checks import one_of
from ..errors import InputError
from .sample import Sample, image_paths, nuclei_sample

MPP = 0.25  # um per pixel, nominal for 40x

_ORGANS: dict[str, dict[str, tuple[str, ...]]] = {
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

# Folders of images and truth; the second layout is Kumar's archive.
_LAYOUTS = (("images", "labels_instance"), ("Tissue Images", "Annotations"))


def list_samples(folder: Path | str, split: str = "train") -> list[Sample]:
    """List the images of one split.

    Parameters
    ----------
    folder : path
        Folder with `images` and `labels_instance`, or `Tissue Images` and `Annotations`. Truth is a label image or XML
        file with the name of the image.
    split : {"train", "validation", "testA", "testB", "test", "all"}
        Split of FullNet; "test" is both test sets. Default: "train". The first twelve letters of a file name identify
        the patient.

    Returns
    -------
    list of Sample
        In the order of the split; `group` is the organ.

    Raises
    ------
    InputError
        "split-unknown", or "samples-missing" if any image of the split is missing.

    Examples
    --------
    >>> list_samples("nowhere", "validation")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere must contain the 4 images of MultiOrgan's split 'validation'; got none of \
TCGA-AR-A1AS, ...
    """
    folder = Path(folder)
    one_of("split", split, PARTS)
    organ_of = {p: organ for part in PARTS[split] for organ, ps in _ORGANS[part].items() for p in ps}
    paths, truth = _find(folder, organ_of)
    missing = [patient for patient in organ_of if patient not in paths]
    if missing:
        raise InputError(
            "samples-missing",
            f"{folder} must contain the {len(organ_of)} images of MultiOrgan's split '{split}'",
            got=f"none of {', '.join(missing)}",
            hint="give the folder that contains images, and copy the missing ones",
        )
    suffixes = (".png", ".tif", *OUTLINES)
    return [
        nuclei_sample(path, [truth / f"{path.stem}{suffix}" for suffix in suffixes], organ=organ, mpp=MPP)
        for path, organ in ((paths[patient], organ) for patient, organ in organ_of.items())
    ]


def _find(folder: Path, patients: Collection[str]) -> tuple[dict[str, Path], Path]:
    """Return the images by patient in the first layout with any image, and the folder of their truth."""
    for pictures, truth in _LAYOUTS:
        found = {
            path.name[:12]: path for path in image_paths(folder / pictures) if path.name[:12] in patients
        }
        if found:
            return found, folder / truth
    return {}, folder
