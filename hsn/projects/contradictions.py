"""Check a study: contradictions in its annotation, with file and feature, and what training does about them.

Training uses a stated precedence: ignored regions, then outlines, scribbles, clicks, boxes, absent tags.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotations import qupath
from ..annotations.annotation import Annotation, Shape, fill
from ..annotations.mask_files import read as read_masks
from ..errors import InputError
from ..images.read import read
from ..progress import Progress, track
from .study import TAGS, Study, read_tags

_OVERLAP = 0.05  # share of the smaller of two shapes that may overlap, as drawn by hand


@dataclass(frozen=True)
class Problem:
    """A contradiction in the annotation of a study.

    Attributes
    ----------
    code : str
        "object-ignored", "tag-contradicted", "classes-overlap", "class-unknown", "group-divided", or the code of an
        error.
    file : pathlib.Path
    features : tuple of str
        Ids of the features in the file.
    message : str
        One sentence.
    """

    code: str
    file: Path
    features: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        names = f" ({', '.join(self.features)})" if self.features else ""
        return f"{self.file}{names}: {self.message}"


def check_study(study: Study, *, progress: Progress | None = None) -> list[Problem]:
    """Check the annotation of a study.

    Parameters
    ----------
    study : Study
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    list of Problem
        In the order of the images; empty if nothing is wrong.
    """
    images = study.images()
    problems = list(_check_groups(study))
    tags = read_tags(study, [image.path for image in images])
    names = set(study.kinds("object")) | set(study.kinds("tissue"))
    for image in track(images, progress, "checking"):
        files = study.annotation_of(image)
        try:
            shape = read(image.path).shape[:2]
            drawn = Annotation()
            if files.drawn is not None:
                drawn = qupath.read(files.drawn, is_object=lambda name: name not in study.kinds("tissue"))
                problems += _check_drawn(drawn, shape, files.drawn, names)
            masked = files.masks is not None and bool(np.any(read_masks(files.masks, shape)))
        except InputError as error:
            problems.append(Problem(error.code, files.drawn or image.path, (), str(error)))
            continue
        absent = {tag.name for tag in (*tags.get(image.path, ()), *drawn.tags) if not tag.present}
        problems += _check_tags(
            drawn, masked, absent, files.drawn or files.masks or study.folder / TAGS, study
        )
    return problems


def _check_groups(study: Study) -> Iterator[Problem]:
    splits: dict[str, set[str]] = {}
    for image in study.images():
        if image.group is not None and image.split:
            splits.setdefault(image.group, set()).add(image.split)
    for group, found in splits.items():
        if len(found) > 1:
            yield Problem("group-divided", study.folder / "images.csv", (),
                          f"group {group} is divided between {' and '.join(sorted(found))}")  # fmt: skip


def _check_drawn(drawn: Annotation, shape: tuple[int, int], file: Path, names: set[str]) -> Iterator[Problem]:
    """Yield the contradictions of what was drawn on one image."""
    outlines = drawn.objects if isinstance(drawn.objects, tuple) else ()
    ignored = fill(drawn.ignore, shape)
    for each in (*outlines, *drawn.scribbles):
        pixels = fill((each,), shape)
        if pixels.any() and ignored[pixels].mean() > 1 - _OVERLAP:
            yield Problem("object-ignored", file, _ids(each), "lies in an ignored region and is not used")
        if (
            names
            and each.label is not None
            and each.label not in names
            and each.label.lower() != "background"
        ):
            yield Problem(
                "class-unknown",
                file,
                _ids(each),
                f"has the class {each.label}, which the study does not have",
            )
    for one, other in _overlapping((*outlines, *drawn.scribbles), shape):
        yield Problem("classes-overlap", file, (*_ids(one), *_ids(other)),
                      f"{one.label} and {other.label} overlap; outlines of objects override areas, and later shapes "
                      "earlier ones")  # fmt: skip


def _overlapping(shapes: tuple[Shape, ...], shape: tuple[int, int]) -> Iterator[tuple[Shape, Shape]]:
    """Yield pairs of polygons of different classes over the same pixels."""
    numbers = np.full(shape, -1, np.int32)
    for number, each in enumerate(shapes):
        pixels = fill((each,), shape)
        below, counts = np.unique(numbers[pixels], return_counts=True)
        for k, count in zip(below.tolist(), counts.tolist(), strict=True):
            if k >= 0 and shapes[k].label != each.label and count > _OVERLAP * pixels.sum():
                yield shapes[k], each
        numbers[pixels] = number


def _check_tags(
    drawn: Annotation, masked: bool, absent: set[str], file: Path, study: Study
) -> Iterator[Problem]:
    """Yield the classes that are tagged as absent, but drawn."""
    outlines = drawn.objects if isinstance(drawn.objects, tuple) else ()
    for each in (*outlines, *drawn.scribbles, *drawn.boxes):
        if each.label in absent:
            yield Problem(
                "tag-contradicted", file, _ids(each), f"{each.label} is tagged as absent; the shape is used"
            )
    clicked = {point.label for point in drawn.points}
    objects = set(study.kinds("object"))
    for name in sorted(absent & (clicked | (objects if masked and len(objects) == 1 else set()))):
        yield Problem("tag-contradicted", file, (), f"{name} is tagged as absent; its objects are used")


def _ids(shape: Shape) -> tuple[str, ...]:
    return () if shape.feature is None else (shape.feature,)
