"""The tuning patches of the Atlas of Digital Pathology: 50 patches with truth in two taxonomies.

Release hsn_v1 of HistoSegNet (Chan et al., ICCV 2019). Images have 224 x 224 pixels at 1.214 um per pixel; masks have
1088 x 1088 at 0.25. ADP is for research only. Do not train a net on these patches and evaluate it on them: 34 of the 50
are in the training list of the released net.
"""

from pathlib import Path

from .. import taxonomies
from ..errors import InputError
from .sample import Sample, image_paths, table_rows

MPP = 0.25 * 1088 / 224  # um per pixel of the images: patches of 1088 px at 0.25, shrunk to 224

# Folder layouts: (images, masks by taxonomy, tags).
_LAYOUTS = (
    (
        "img/01_tuning_patch",
        {"adp-morph": "gt/01_tuning_patch/morph", "adp-func": "gt/01_tuning_patch/func"},
        "gt/01_tuning_patch/gt_labels.csv",
    ),
    (
        "images_224",
        {"adp-morph": "mask_morph_rgb", "adp-func": "mask_func_rgb"},
        "image_level_tags_from_masks.csv",
    ),
)


def list_samples(folder: Path | str) -> list[Sample]:
    """List the tuning patches.

    Parameters
    ----------
    folder : path
        The working directory of the release (`img/01_tuning_patch`, `gt/01_tuning_patch`), or a folder with
        `images_224`, `mask_morph_rgb` and `mask_func_rgb`.

    Returns
    -------
    list of Sample
        In natural order of names. Masks for "adp-morph" and "adp-func" if the files exist; `group` is the slide.

    Raises
    ------
    InputError
        "samples-missing", or "table-malformed" if the table of tags is damaged.

    Examples
    --------
    >>> list_samples("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere must contain images in img/01_tuning_patch or images_224; got none; \
give the folder above these.
    """
    folder = Path(folder)
    for images, masks, tags in _LAYOUTS:
        paths = image_paths(folder / images)
        if paths:
            present = _read_tags(folder / tags)
            return [_sample(path, {k: folder / v for k, v in masks.items()}, present) for path in paths]
    raise InputError(
        "samples-missing",
        f"{folder} must contain images in {' or '.join(images for images, _, _ in _LAYOUTS)}",
        got="none",
        hint="give the folder above these",
    )


def _sample(path: Path, mask_folders: dict[str, Path], tags: dict[str, tuple[str, ...]]) -> Sample:
    return Sample(
        name=path.name,
        image_path=path,
        mask_paths={k: v / path.name for k, v in mask_folders.items() if (v / path.name).is_file()},
        tags=tags.get(path.name, ()),
        group=path.name.partition(".png_crop_")[0],
        mpp=MPP,
    )


def _read_tags(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the classes of each image, from a table of 0 and 1, or of `class:fraction` words."""
    heading, *rows = table_rows(path) or [[]]
    inferred = {name for taxonomy in taxonomies.BUILT_IN.values() for name in taxonomy.inferred}
    tags: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, start=2):
        if len(row) != len(heading):
            raise InputError(
                "table-malformed",
                f"row {number} of {path} must have {len(heading)} cells",
                got=len(row),
                hint="export it again",
            )
        if heading[-1] == "class:area_fraction":
            # Background and Other are in the masks, but annotators tag only tissue.
            names = (word.partition(":")[0] for word in row[-1].split())
            present = tuple(name for name in names if name not in inferred)
        else:
            present = tuple(name for name, cell in zip(heading[1:], row[1:], strict=True) if cell == "1")
        tags[row[0]] = tags.get(row[0], ()) + present
    return tags
