"""CryoNuSeg: nuclei in frozen sections of ten organs (Mahbod et al., Computers in Biology and Medicine 2021).

H&E at 40x, 512 x 512 pixels; CC BY-NC-SA 4.0. The split is that of the two U-Nets of C. Eichner (Histology-NucleiSeg,
2022), which use 28 of the 30 images, the last six for validation.
"""

from pathlib import Path

from ..checks import one_of
from ..errors import InputError
from .sample import Sample, image_paths, nuclei_sample

MPP = 0.25  # um per pixel, nominal for 40x; slide properties give 0.2265 to 0.254

VALIDATION = ("Larynx_03", "AdrenalGland_02", "Pleura_02", "Testes_01", "AdrenalGland_03", "Mediastinum_01")
LEFT_OUT = ("LymphNodes_03", "ThyroidGland_01")  # images that this split does not use
SPLITS = ("train", "validation", "all")

# Folder names: instance ids before binary masks.
_MASKS = ("labels_instance", "label masks modify", "mask_binary", "mask binary")
_PICTURES = ("images", "tissue_images", "tissue images")


def list_samples(folder: Path | str, split: str = "train") -> list[Sample]:
    """List the images of one split.

    Parameters
    ----------
    folder : path
        With `images` (or `tissue images`) and `mask_binary`, or label images in `label masks modify`.
    split : {"train", "validation", "all"}
        Default: "train".

    Returns
    -------
    list of Sample
        `group` is the organ. If there are only binary masks, `instances()` returns their connected components, which
        merge a third of the nuclei.

    Raises
    ------
    InputError
        "split-unknown" or "samples-missing".

    Examples
    --------
    >>> list_samples("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere must contain CryoNuSeg images of split 'train', with names like Human_Larynx_03; \
got none; give the folder that contains images and mask_binary.
    """
    folder = Path(folder)
    one_of("split", split, SPLITS)
    paths = [path for inner in _PICTURES for path in image_paths(folder / inner) if _is_in_split(path, split)]
    if not paths:
        raise InputError(
            "samples-missing",
            f"{folder} must contain CryoNuSeg images of split '{split}', with names like Human_Larynx_03",
            got="none",
            hint="give the folder that contains images and mask_binary",
        )
    return [_sample(path, folder) for path in paths]


def _is_in_split(path: Path, split: str) -> bool:
    name = path.stem.removeprefix("Human_")
    if not path.stem.startswith("Human_") or (split != "all" and name in LEFT_OUT):
        return False
    return split == "all" or (name in VALIDATION) == (split == "validation")


def _sample(path: Path, folder: Path) -> Sample:
    masks = [folder / inner / f"{path.stem}{suffix}" for inner in _MASKS for suffix in (".png", ".tif")]
    return nuclei_sample(path, masks, organ=path.stem.split("_")[1], mpp=MPP)
