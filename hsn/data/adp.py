"""The tuning patches of the Atlas of Digital Pathology: 50 patches with truth in two taxonomies.

Release hsn_v1 of HistoSegNet (Chan et al., ICCV 2019). Images are 224 x 224 at 1.214 um per pixel; their
masks are 1088 x 1088 at 0.25. ADP is for research only. Do not train a net on these and score it on them: 34
of the 50 are in the released net's own training list.
"""

from pathlib import Path

from .. import taxonomies
from ..errors import refuse
from .sample import Sample, image_paths, table_rows

MPP = 0.25 * 1088 / 224  # um per pixel of the images: patches of 1088 px at 0.25, shrunk to 224

# Where the files lie: (images, masks by taxonomy, tags), below the folder that the user names.
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


def tuning(folder):
    """List the tuning patches.

    Parameters
    ----------
    folder : path
        Either the release's working directory (`img/01_tuning_patch`, `gt/01_tuning_patch`), or a folder with
        `images_224`, `mask_morph_rgb` and `mask_func_rgb`.

    Returns
    -------
    list of Sample
        Sorted by name. Masks under "adp-morph" and "adp-func" where they are there; `group` is the slide.

    Raises
    ------
    InputError
        If neither layout is found, or the table of tags is damaged.

    Examples
    --------
    >>> tuning("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere holds no tuning patches; expected images in img/01_tuning_patch or \
images_224, received none; name the folder above these.
    """
    folder = Path(folder)
    for images, masks, tags in _LAYOUTS:
        paths = image_paths(folder / images)
        if paths:
            present = _tags(folder / tags)
            return [_sample(path, {k: folder / v for k, v in masks.items()}, present) for path in paths]
    refuse(f"{folder} holds no tuning patches", expected=f"images in {' or '.join(x[0] for x in _LAYOUTS)}",
           received="none", remedy="name the folder above these")  # fmt: skip


def _sample(path, mask_folders, tags):
    return Sample(
        name=path.name,
        image_path=path,
        mask_paths={k: v / path.name for k, v in mask_folders.items() if (v / path.name).is_file()},
        tags=tags.get(path.name, ()),
        group=path.name.partition(".png_crop_")[0],
        mpp=MPP,
    )


def _tags(path):
    """Names of the classes present, by image: from a table of 0 and 1, or of `class:fraction` words."""
    heading, *rows = table_rows(path) or [[]]
    tags = {}
    for number, row in enumerate(rows, start=2):
        if len(row) != len(heading):
            refuse(f"{path} is damaged", expected=f"{len(heading)} cells in row {number}", received=len(row),
                   remedy="export it again")  # fmt: skip
        if heading[-1] == "class:area_fraction":
            # Background and Other are in the masks, but an annotator tags tissue.
            inferred = {name for known in taxonomies.BUILT_IN.values() for name in known.inferred}
            found = (word.partition(":")[0] for word in row[-1].split())
            found = tuple(name for name in found if name not in inferred)
        else:
            found = tuple(name for name, cell in zip(heading[1:], row[1:], strict=True) if cell == "1")
        tags[row[0]] = tags.get(row[0], ()) + found
    return tags
