"""GlaS: colon H&E with every gland outlined (Sirinukunwattana et al., Medical Image Analysis 2017).

MICCAI 2015 challenge, Warwick-QU, 165 images at 0.620 um per pixel, most 775 x 522: train 85, testA 60, testB
20. For research only.
"""

from pathlib import Path

from ..errors import refuse
from .sample import Sample, image_paths, table_rows

MPP = 0.620  # um per pixel

# Part of the 85 training images to choose nets and thresholds by: all 18 images of patients 3, 5, 7, 14 and
# 15, nine benign and nine malignant. The other 67 (28 benign, 39 malignant) are of other patients.
VALIDATION = (
    "train_2", "train_4", "train_6", "train_7", "train_17", "train_19",
    "train_21", "train_34", "train_35", "train_47", "train_48", "train_49",
    "train_52", "train_55", "train_58", "train_75", "train_76", "train_84",
)  # fmt: skip

SPLITS = ("train", "learn", "validation", "testA", "testB", "all")

# Where the files lie, below the folder that the user names: images, instances with the ending of their file
# names, colour masks. The challenge's own archive keeps images and truth in one folder.
_LAYOUTS = (
    ("img/02_glas_full", "gt/02_glas_full/glas_multi_gland", "{}.bmp", "gt/02_glas_full/glas"),
    ("images", "labels_instance", "{}_anno.png", None),
    (".", ".", "{}_anno.bmp", None),
)


def images(folder, split="train", *, truth="objects"):
    """List the images of one split.

    Parameters
    ----------
    folder : path
        The release's working directory of HistoSegNet (`img/02_glas_full`, `gt/02_glas_full`), or a folder
        with `images` and `labels_instance`, or the challenge's own with `train_1.bmp` beside
        `train_1_anno.bmp`.
    split : {"train", "learn", "validation", "testA", "testB", "all"}
        "learn" and "validation" divide "train" by patient; see `VALIDATION`. "all" takes every image,
        whatever its name.
    truth : {"objects", "colors"}
        Where "G.O" and "Other" come from. "objects" is the full-size gland map. "colors" is the 396 x 267
        picture of HistoSegNet's release, which stretches 14 images and disagrees on 1.45 % of pixels; it
        reproduces its scores.

    Returns
    -------
    list of Sample
        In natural order. `group` is the patient and `grade` is "benign" or "malignant" where `Grade.csv` is
        there.

    Raises
    ------
    InputError
        If there is no such split, or no image of it in any layout.

    Examples
    --------
    >>> images("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere holds no GlaS images of split 'train'; expected names like train_1 or \
testA_1, received none; name the folder that holds img/02_glas_full, images or the pictures.
    """
    folder = Path(folder)
    for name, value, values in (("split", split, SPLITS), ("kind of truth", truth, ("objects", "colors"))):
        if value not in values:
            refuse(f"GlaS has no such {name}", expected=f"one of {', '.join(values)}", received=repr(value),
                   remedy="mend the name")  # fmt: skip
    about = _patients(folder)
    for pictures, *layout in _LAYOUTS:
        paths = [path for path in image_paths(folder / pictures) if _in_split(path.stem, split)]
        if paths:
            return [_sample(path, folder, layout, truth, about) for path in paths]
    refuse(f"{folder} holds no GlaS images of split '{split}'",
           expected="names like train_1 or testA_1", received="none",
           remedy="name the folder that holds img/02_glas_full, images or the pictures")  # fmt: skip


def _sample(path, folder, layout, truth, about):
    objects, ending, masks = layout
    glands = folder / objects / ending.format(path.stem)
    colors = folder / masks / f"{path.stem}.png" if masks else None
    patient, grade = about.get(path.stem, (None, None))
    colored = colors is not None and colors.is_file()
    outlined = glands.is_file()
    # Either truth stands in where the wanted one is missing, as in a copy of which half was kept.
    use_colors = colored and (truth == "colors" or not outlined)
    return Sample(
        name=path.stem,
        image_path=path,
        mask_paths={"glas": colors} if use_colors else {},
        instances_path=glands if outlined else None,
        instances_of="G.O" if outlined else None,
        group=patient,
        grade=grade,
        mpp=MPP,
    )


def _in_split(stem, split):
    """Whether an image belongs to a split, by its name."""
    part, _, number = stem.partition("_")
    if split == "all":
        return not stem.endswith("_anno")
    if split in ("learn", "validation"):
        return part == "train" and number.isdigit() and (stem in VALIDATION) == (split == "validation")
    return part == split and number.isdigit()


def _patients(folder):
    """Patient and grade by image name, from `Grade.csv` (columns: name, patient, grade, finer grade)."""
    rows = table_rows(folder / "Grade.csv")[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) < 3:
            refuse(f"{folder / 'Grade.csv'} is damaged", expected=f"at least 3 cells in row {number}",
                   received=len(row), remedy="copy it again from the challenge's archive")  # fmt: skip
    return {row[0]: (row[1], row[2]) for row in rows}
