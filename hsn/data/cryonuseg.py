"""CryoNuSeg: nuclei in frozen sections of ten organs (Mahbod et al., Computers in Biology and Medicine 2021).

H&E at 40x, 512 x 512 pixels; CC BY-NC-SA 4.0. The split by name is that of the two U-Nets (C. Eichner,
Histology-NucleiSeg, 2022), which had 28 of the 30 images and took its last six to validate on.
"""

from pathlib import Path

from ..errors import refuse
from .sample import Sample, image_paths

MPP = 0.25  # um per pixel, nominal for 40x; 0.2265 to 0.254 in the slides' own words

VALIDATION = ("Larynx_03", "AdrenalGland_02", "Pleura_02", "Testes_01", "AdrenalGland_03", "Mediastinum_01")
LEFT_OUT = ("LymphNodes_03", "ThyroidGland_01")  # of the 30, in neither part of that split
SPLITS = ("train", "validation", "all")

# Where masks lie, below the folder that the user names: ids first, which tell nuclei apart, then binary.
_MASKS = ("labels_instance", "label masks modify", "mask_binary", "mask binary")
_PICTURES = ("images", "tissue_images", "tissue images")


def images(folder, split="train"):
    """List the images of one split.

    Parameters
    ----------
    folder : path
        With `images` (or `tissue images`) and `mask_binary`, or label images in `label masks modify`.
    split : {"train", "validation", "all"}

    Returns
    -------
    list of Sample
        `group` is the organ. Where there are binary masks only, `instances()` gives their connected parts, which
        merge a third of the nuclei.

    Raises
    ------
    InputError
        If there is no such split, or no image of it.

    Examples
    --------
    >>> images("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere holds no CryoNuSeg images of split 'train'; expected names like \
Human_Larynx_03, received none; name the folder that holds images and mask_binary.
    """
    folder = Path(folder)
    if split not in SPLITS:
        refuse("CryoNuSeg has no such split", expected=f"one of {', '.join(SPLITS)}", received=repr(split),
               remedy="mend the name")  # fmt: skip
    pictures = [path for inner in _PICTURES for path in image_paths(folder / inner) if _in_split(path, split)]
    if not pictures:
        refuse(f"{folder} holds no CryoNuSeg images of split '{split}'", expected="names like Human_Larynx_03",
               received="none", remedy="name the folder that holds images and mask_binary")  # fmt: skip
    return [_sample(path, folder) for path in pictures]


def _in_split(path, split):
    name = path.stem.removeprefix("Human_")
    if not path.stem.startswith("Human_") or (split != "all" and name in LEFT_OUT):
        return False
    return split == "all" or (name in VALIDATION) == (split == "validation")


def _sample(path, folder):
    options = [folder / inner / f"{path.stem}{suffix}" for inner in _MASKS for suffix in (".png", ".tif")]
    mask = next((option for option in options if option.is_file()), None)
    organ = path.stem.split("_")[1]
    told = None if mask is None else "Nucleus"
    return Sample(
        name=path.stem, image_path=path, instances_path=mask, instances_of=told, group=organ, mpp=MPP
    )
