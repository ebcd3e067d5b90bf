"""GlaS: colon H&E with every gland outlined (Sirinukunwattana et al., Medical Image Analysis 2017).

MICCAI 2015 challenge (Warwick-QU): 165 images at 0.620 um per pixel, most 775 x 522; train 85, testA 60, testB 20. For
research only.
"""

from pathlib import Path

from ..checks import one_of
from ..errors import InputError
from .sample import Sample, image_paths, table_rows

MPP = 0.620  # um per pixel

# Validation part of the 85 training images: the 18 images of patients 3, 5, 7, 14 and 15, nine benign and nine
# malignant. The other 67 (28 benign, 39 malignant) are from other patients.
VALIDATION = (
    "train_2", "train_4", "train_6", "train_7", "train_17", "train_19",
    "train_21", "train_34", "train_35", "train_47", "train_48", "train_49",
    "train_52", "train_55", "train_58", "train_75", "train_76", "train_84",
)  # fmt: skip

SPLITS = ("train", "learn", "validation", "testA", "testB", "all")

# Folder layouts: images, instances and their file names, color masks. The challenge's archive has images and truth in
# one folder.
_LAYOUTS = (
    ("img/02_glas_full", "gt/02_glas_full/glas_multi_gland", "{}.bmp", "gt/02_glas_full/glas"),
    ("images", "labels_instance", "{}_anno.png", None),
    (".", ".", "{}_anno.bmp", None),
)


def list_samples(folder: Path | str, split: str = "train", *, truth: str = "objects") -> list[Sample]:
    """List the images of one split.

    Parameters
    ----------
    folder : path
        The working directory of HistoSegNet's release (`img/02_glas_full`, `gt/02_glas_full`), a folder with `images`
        and `labels_instance`, or the challenge's folder with `train_1.bmp` and `train_1_anno.bmp`.
    split : {"train", "learn", "validation", "testA", "testB", "all"}
        "learn" and "validation" divide "train" by patient (see `VALIDATION`). "all" takes every image. Default:
        "train".
    truth : {"objects", "colors"}
        Source of "G.O" and "Other". "objects" (default): the full-size gland map. "colors": the 396 x 267 color masks
        of HistoSegNet's release, which reproduce its scores; they stretch 14 images and differ on 1.45 % of pixels.

    Returns
    -------
    list of Sample
        In natural order. `group` is the patient and `grade` is "benign" or "malignant" if `Grade.csv` exists.

    Raises
    ------
    InputError
        "split-unknown", "truth-unknown", "samples-missing", or "table-malformed" if `Grade.csv` is damaged.

    Examples
    --------
    >>> list_samples("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere must contain GlaS images of split 'train', with names like train_1 or testA_1; \
got none; give the folder that contains img/02_glas_full, images or the images themselves.
    """
    folder = Path(folder)
    one_of("split", split, SPLITS)
    one_of("truth", truth, ("objects", "colors"))
    patients = _read_patients(folder)
    for pictures, *layout in _LAYOUTS:
        paths = [path for path in image_paths(folder / pictures) if _is_in_split(path.stem, split)]
        if paths:
            return [_sample(path, folder, layout, truth, patients) for path in paths]
    raise InputError(
        "samples-missing",
        f"{folder} must contain GlaS images of split '{split}', with names like train_1 or testA_1",
        got="none",
        hint="give the folder that contains img/02_glas_full, images or the images themselves",
    )


def _sample(
    path: Path, folder: Path, layout: list, truth: str, patients: dict[str, tuple[str, str]]
) -> Sample:
    instances, file_name, masks = layout
    glands = folder / instances / file_name.format(path.stem)
    colors = folder / masks / f"{path.stem}.png" if masks else None
    patient, grade = patients.get(path.stem, (None, None))
    outlined = glands.is_file()
    # Each kind of truth replaces the other if its file is missing.
    use_colors = colors is not None and colors.is_file() and (truth == "colors" or not outlined)
    return Sample(
        name=path.stem,
        image_path=path,
        mask_paths={"glas": colors} if colors is not None and use_colors else {},
        instances_path=glands if outlined else None,
        instances_of="G.O" if outlined else None,
        group=patient,
        grade=grade,
        mpp=MPP,
    )


def _is_in_split(stem: str, split: str) -> bool:
    """Return whether an image belongs to a split, by its name."""
    part, _, number = stem.partition("_")
    if split == "all":
        return not stem.endswith("_anno")
    if split in ("learn", "validation"):
        return part == "train" and number.isdigit() and (stem in VALIDATION) == (split == "validation")
    return part == split and number.isdigit()


def _read_patients(folder: Path) -> dict[str, tuple[str, str]]:
    """Read patient and grade by image name from `Grade.csv` (columns: name, patient, grade, detailed grade)."""
    rows = table_rows(folder / "Grade.csv")[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) < 3:
            raise InputError(
                "table-malformed",
                f"row {number} of {folder / 'Grade.csv'} must have at least 3 cells",
                got=len(row),
                hint="copy it again from the challenge's archive",
            )
    return {row[0]: (row[1], row[2]) for row in rows}
