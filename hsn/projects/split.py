"""Divide the images of a study into training, validation and test images; groups are never divided."""

from collections.abc import Sequence
from dataclasses import replace

from ..annotations.annotation import Annotation, kinds_of
from ..annotations.qupath import read as read_drawn
from ..data.grouped_split import split_by_group
from ..errors import InputError
from .study import Study, StudyImage, add_history, read_tags, write_images


def split_study(
    study: Study, *, val: float = 0.2, test: float = 0.0, seed: int = 0, again: bool = False
) -> list[StudyImage]:
    """Assign images without a split to training, validation and test, and write the table of images.

    Each kind of annotation keeps an image on both sides if it is in two groups. Images without annotation train.

    Parameters
    ----------
    study : Study
    val, test : float
        Shares of the annotated images. Default: 0.2 and 0.
    seed : int
        Default: 0.
    again : bool
        Whether images that have a split get a new one. Default: False.

    Returns
    -------
    list of StudyImage
        All images, in the order of the table.

    Raises
    ------
    InputError
        "split-sizes" if `val` and `test` leave nothing to train on, "split-groups" if the annotated images are in too
        few groups.

    Examples
    --------
    >>> import tempfile
    >>> from .study import new_study
    >>> folder = tempfile.mkdtemp()
    >>> split_study(new_study(f"{folder}/mine"))
    []
    """
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise InputError("split-sizes", "`val` and `test` must be 0 or more, and below 1 together",
                         got=f"{val} and {test}",
                         hint="leave images to train on")  # fmt: skip
    images = study.images()
    kinds = _kinds_of_images(study, images)
    fixed = {image.group: image.split for image in images if image.split and image.group and not again}
    free = [k for k, image in enumerate(images) if again or not (image.split or image.group in fixed)]
    splits = [fixed.get(image.group or "", image.split) for image in images]
    for k in free:
        splits[k] = "train"
    for name, share in (("test", test), ("val", val)):
        left = [k for k in free if splits[k] == "train"]
        annotated = sum(bool(kinds[k]) for k in free)
        rest = sum(bool(kinds[k]) for k in left)
        if share and rest:
            for k in _hold_out(images, kinds, left, share * annotated / rest, seed):
                splits[k] = name
    rows = [replace(image, split=split) for image, split in zip(images, splits, strict=True)]
    write_images(study, rows)
    add_history(study, "split", val=val, test=test, seed=seed, images=len(free))
    return rows


def _hold_out(
    images: Sequence[StudyImage], kinds: Sequence[tuple[str, ...]], left: list[int], share: float, seed: int
) -> list[int]:
    """Return the indices of the held-out images among the remaining ones."""
    groups = [images[k].group for k in left]
    _, held_out, blocks = split_by_group([kinds[k] for k in left], groups, share, seed=seed)
    if blocks:
        raise InputError("split-groups", "the most precise annotation must be in two groups of images at least",
                         got="one group", hint="annotate an image of another patient or slide")  # fmt: skip
    return [left[k] for k in held_out.tolist()]


def _kinds_of_images(study: Study, images: Sequence[StudyImage]) -> list[tuple[str, ...]]:
    """Return the kinds of annotation of each image."""
    tags = read_tags(study, [image.path for image in images])
    tissues = study.kinds("tissue")
    found = []
    for image in images:
        files = study.annotation_of(image)
        drawn = Annotation()
        if files.drawn is not None:
            drawn = read_drawn(files.drawn, is_object=lambda name: name not in tissues)
        found.append(
            kinds_of(
                replace(
                    drawn,
                    objects=files.masks or drawn.objects,
                    tags=(*drawn.tags, *tags.get(image.path, ())),
                )
            )
        )
    return found
