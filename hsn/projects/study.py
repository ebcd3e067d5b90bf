"""A study: a folder with `study.toml`, a table of images, annotations, masks, tags, and a history.

| file | content |
|---|---|
| `study.toml` | name, mpp, annotator, classes (name, color, kind "object" or "tissue") |
| `images.csv` | image, mpp, group, split; paths are absolute or relative to the study |
| `annotations/NAME.geojson` | everything drawn on an image in QuPath, in pixels of the image |
| `masks/NAME.png` or `.tif` | label image of its objects |
| `tags.csv` | file, then one column of 1, 0 or nothing for each class |
| `models/NAME/` | trained folders |
| `history.jsonl` | one line for each event: what was done, by whom, when (UTC), with checksums |
"""

import csv
import datetime
import getpass
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations import tag_files
from ..annotations.annotation import Tag
from ..checks import as_mpp, one_of
from ..data.discovery import Found
from ..data.image_files import find_images
from ..data.mixture import AnnotationFiles
from ..data.setup import taxonomy_of
from ..errors import InputError
from ..files import atomic_write, csv_text, from_csv_text, read_text

STUDY, IMAGES, TAGS, HISTORY = "study.toml", "images.csv", "tags.csv", "history.jsonl"
ANNOTATIONS, MASKS, MODELS = "annotations", "masks", "models"
SPLITS = ("", "train", "val", "test")
_COLUMNS = ("image", "mpp", "group", "split")
_TABLE_BYTES = 2**26


@dataclass(frozen=True)
class StudyClass:
    """A class of a study: its name, its color (RGB, 0..255), and "object" or "tissue"."""

    name: str
    color: tuple[int, int, int]
    kind: str


@dataclass(frozen=True)
class StudyImage:
    """A row of the table of images.

    Attributes
    ----------
    path : pathlib.Path
    mpp : float or None
        Micrometers per pixel; None: that of the study.
    group : str or None
        Patient or slide.
    split : {"", "train", "val", "test"}
    """

    path: Path
    mpp: float | None = None
    group: str | None = None
    split: str = ""


@dataclass(frozen=True)
class Study:
    """A study folder.

    Attributes
    ----------
    folder : pathlib.Path
    name : str
    mpp : float or None
        Micrometers per pixel of images without their own.
    annotator : str
    classes : tuple of StudyClass
    """

    folder: Path
    name: str
    mpp: float | None = None
    annotator: str = ""
    classes: tuple[StudyClass, ...] = ()

    def images(self) -> list[StudyImage]:
        """Read the table of images.

        Raises
        ------
        InputError
            "study-table" for a wrong column, scale or split, or an image that is listed twice.
        """
        path = self.folder / IMAGES
        rows = list(csv.DictReader(read_text(path, max_bytes=_TABLE_BYTES).splitlines()))
        images = [self._parse_row(row, number, path) for number, row in enumerate(rows, 2)]
        paths = [image.path for image in images]
        if len(set(paths)) < len(paths):
            twice = next(p for p in paths if paths.count(p) > 1)
            raise InputError(
                "study-table", f"{path} must list each image once", got=twice, hint="remove a row"
            )
        return images

    def _parse_row(self, row: Mapping[str, Any], number: int, path: Path) -> StudyImage:
        cells = {name: from_csv_text((row.get(name) or "").strip()) for name in _COLUMNS}
        if not cells["image"] or None in row or cells["split"] not in SPLITS:
            raise InputError("study-table", f"row {number} of {path} must have the columns {', '.join(_COLUMNS)}",
                             got=dict(row), hint="the split is train, val, test or empty")  # fmt: skip
        try:
            mpp = as_mpp(float(cells["mpp"])) if cells["mpp"] else self.mpp
        except ValueError:
            raise InputError("study-table", f"`mpp` in row {number} of {path} must be a number or empty",
                             got=cells["mpp"], hint="write micrometers per pixel, as 0.25") from None  # fmt: skip
        return StudyImage(self.folder / cells["image"], mpp, cells["group"] or None, cells["split"])

    def annotation_of(self, image: StudyImage) -> AnnotationFiles:
        """Return the annotation files of an image, without its tags."""
        stem = image.path.stem
        drawn = self.folder / ANNOTATIONS / f"{stem}.geojson"
        masks = [self.folder / MASKS / f"{stem}{suffix}" for suffix in (".png", ".tif", ".tiff")]
        return AnnotationFiles(
            masks=next((path for path in masks if path.is_file()), None),
            drawn=drawn if drawn.is_file() else None,
            group=image.group,
            mpp=image.mpp,
        )

    def kinds(self, kind: str) -> tuple[str, ...]:
        """Return the names of the classes of a kind, "object" or "tissue"."""
        return tuple(each.name for each in self.classes if each.kind == kind)


def read_study(folder: Path | str) -> Study:
    """Read `study.toml` of a study.

    Raises
    ------
    InputError
        "study-missing", or "study-invalid" for a missing or wrong entry.

    Examples
    --------
    >>> import tempfile
    >>> study = new_study(Path(tempfile.mkdtemp()) / "mine", classes={"Nucleus": "object", "Stroma": "tissue"})
    >>> read_study(study.folder).kinds("tissue")
    ('Stroma',)
    """
    folder = Path(folder)
    path = folder / STUDY
    if not path.is_file():
        raise InputError("study-missing", f"{folder} must hold {STUDY}", got="none",
                         hint="make it: hsn project new FOLDER")  # fmt: skip
    try:
        data = tomllib.loads(read_text(path))
        classes = tuple(
            StudyClass(
                c["name"],
                tuple(c.get("color", (200, 60, 60))),
                one_of("kind", c["kind"], ("object", "tissue")),
            )
            for c in data.get("classes", ())
        )
        mpp = data.get("mpp")
        return Study(
            folder,
            str(data["name"]),
            None if mpp is None else as_mpp(mpp),
            data.get("annotator", ""),
            classes,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, InputError) as error:
        raise InputError("study-invalid", f"{path} must have a name and classes with name and kind", got=error,
                         hint="correct the file") from None  # fmt: skip


def new_study(
    folder: Path | str,
    *,
    images: Sequence[Path | str] = (),
    classes: Mapping[str, str] | None = None,
    mpp: float | None = None,
    annotator: str = "",
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> Study:
    """Make a study folder.

    Parameters
    ----------
    folder : path
        A new or empty folder; its name is the name of the study.
    images : sequence of path
        Image files and folders of images for the table. They are not copied.
    classes : dict of str to {"object", "tissue"}
        Default: one class of objects, "Nucleus".
    mpp : float, optional
        Micrometers per pixel of the images.
    annotator : str
        Who annotates. Default: empty.
    colors : sequence of (int, int, int), optional
        Color of each class. Default: evenly spaced hues.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        "study-exists" if the folder holds a study.
    """
    folder, kinds = Path(folder), classes or {"Nucleus": "object"}
    if (folder / STUDY).exists():
        raise InputError(
            "study-exists", f"{folder} must not hold a study", got=STUDY, hint="choose another folder"
        )
    for kind in kinds.values():
        one_of("kind", kind, ("object", "tissue"))
    colors = taxonomy_of(list(kinds), "study").colors if colors is None else colors
    lines = [f"name = {json.dumps(folder.name)}", f"annotator = {json.dumps(annotator)}"]
    lines += [] if mpp is None else [f"mpp = {as_mpp(mpp)}"]
    for (name, kind), color in zip(kinds.items(), colors, strict=True):
        lines += [
            "",
            "[[classes]]",
            f"name = {json.dumps(name)}",
            f"kind = {json.dumps(kind)}",
            f"color = {list(color)}",
        ]
    for name in (ANNOTATIONS, MASKS, MODELS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    found = _find(images)
    with atomic_write(folder / STUDY) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = read_study(folder)
    write_images(study, [StudyImage(path.resolve()) for path in found])
    add_history(study, "new", images=len(found))
    return study


def add_images(
    study: Study,
    images: Sequence[Path | str],
    *,
    group: str | None = None,
    mpp: float | None = None,
    split: str = "",
) -> list[StudyImage]:
    """Add images to the table of a study; images that it lists already stay as they are.

    Parameters
    ----------
    study : Study
    images : sequence of path
        Image files and folders of images. They are not copied.
    group : str, optional
        Patient or slide of these images.
    mpp : float, optional
        Micrometers per pixel of these images. Default: that of the study.
    split : {"", "train", "val", "test"}
        Default: none yet.

    Returns
    -------
    list of StudyImage
        The added images.

    Raises
    ------
    InputError
        "data-missing" for a path without images, "split-unknown", or an error of `mpp`.
    """
    one_of("split", split, SPLITS)
    rows = study.images()
    listed = {row.path.resolve() for row in rows}
    scale = None if mpp is None else as_mpp(mpp)
    paths = [path.resolve() for path in _find(images)]
    added = [StudyImage(path, scale, group, split) for path in paths if path not in listed]
    write_images(study, [*rows, *added])
    add_history(study, "added", images=len(added))
    return added


def _find(images: Sequence[Path | str]) -> list[Path]:
    found, failures = find_images([Path(path) for path in images]) if images else ([], [])
    if failures:
        raise InputError("data-missing", "`images` must be images or folders of images", got=failures[0][1],
                         hint="correct the paths")  # fmt: skip
    return found


def write_images(study: Study, images: Sequence[StudyImage]) -> None:
    """Write the table of images of a study, with relative paths in it and without the scale of the study."""
    with (
        atomic_write(study.folder / IMAGES) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for image in images:
            inside = image.path.is_relative_to(study.folder)
            path = image.path.relative_to(study.folder) if inside else image.path.absolute()
            mpp = "" if image.mpp in (None, study.mpp) else image.mpp
            cells = (path.as_posix(), mpp, image.group or "", image.split)
            table.writerow([csv_text(str(cell)) for cell in cells])


def add_history(study: Study, event: str, *, files: Sequence[Path] = (), **values: Any) -> None:
    """Append an event to the history of a study.

    Parameters
    ----------
    study : Study
    event : str
        What was done: "annotated", "trained", "predicted".
    files : sequence of path
        Files whose checksums are recorded.
    **values
        Further values.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    checksums = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    row = {
        "event": event,
        "time": now,
        "by": study.annotator or getpass.getuser(),
        **values,
        "sha256": checksums,
    }
    with (study.folder / HISTORY).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def find_study(study: Study, *, splits: Sequence[str] = ("", "train", "val")) -> Found:
    """Find the images of a study and their annotation files, for training.

    Parameters
    ----------
    study : Study
    splits : sequence of str
        Splits to use. Default: all but "test".

    Returns
    -------
    Found
        Of the kind "mixed". Missing images are in `left_out`.
    """
    images = [image for image in study.images() if image.split in splits]
    used = [image for image in images if image.path.is_file()]
    missing = tuple((str(image.path), "does not exist") for image in images if image not in used)
    tags = read_tags(study, [image.path for image in used])
    files = []
    for image in used:
        drawn = study.annotation_of(image)
        files.append(
            AnnotationFiles(drawn.masks, None, drawn.drawn, tags.get(image.path, ()), image.group, image.mpp)
        )
    return Found("mixed", [image.path for image in used], files, missing)


def read_tags(study: Study, images: Sequence[Path]) -> dict[Path, tuple[Tag, ...]]:
    """Read the tags of images of a study; empty cells are unknown."""
    table = study.folder / TAGS
    if not table.is_file():
        return {}
    classes, rows = tag_files.read_table(table)
    found = {}
    for path in images:
        key = tag_files.row_of(path, rows)
        if key is not None:
            pairs = zip(classes, rows[key], strict=True)
            found[path] = tuple(Tag(name, bool(value)) for name, value in pairs if not np.isnan(value))
    return found
