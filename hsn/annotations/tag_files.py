"""Read image-level tags from tables, file names or folders, and compute them from labels.

A tag is 1 (present), 0 (absent) or NaN (unknown). Three layouts are supported: a table with one column per class, such
as `gt_labels.csv` of HistoSegNet; file names that end in the tags, as in LUAD-HistoSeg ("x-[1 0 1 0].png") and
BCSS-WSSS ("x[1010].png"); one folder per class.
"""

import csv
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import from_csv_text
from ..notes import note
from .colors import as_labels
from .pairing import image_name

_VALUES = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1, "": np.nan, "nan": np.nan}
_IN_NAME = re.compile(r"\[([01](?:[ ,_]?[01])*)\]$")
_MAX_NAMED = 5  # files that an error message names before it counts the rest


class Tagged(NamedTuple):
    """Images with their tags.

    Attributes
    ----------
    paths : tuple of pathlib.Path
        Image files.
    tags : float32 (N, C)
        1 present, 0 absent, NaN unknown.
    classes : tuple of str
        Class of each column.
    """

    paths: tuple[Path, ...]
    tags: np.ndarray
    classes: tuple[str, ...]


def from_table(paths: Iterable[Path | str], table: Path | str) -> Tagged:
    """Read tags from a CSV table: a column of file names, then one column of 0 and 1 per class.

    Parameters
    ----------
    paths : sequence of path
        Images. A row belongs to the image with its file name; suffix and folders are optional in the table.
    table : path
        UTF-8, with commas, semicolons or tabs. The heading names the classes. An empty cell means unknown.

    Returns
    -------
    Tagged
        In the order of `paths`.

    Raises
    ------
    InputError
        "file-unreadable", "table-columns", "table-duplicate-row", "tag-value", or "tags-missing", "tags-ambiguous" and
        "images-missing" if rows and images do not match one to one.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "tags.csv"
    >>> _ = table.write_text("Patch Names,gland,fat\\na.png,1,0\\nb.png,0,\\n")
    >>> tagged = from_table(["b.png", "a.png"], table)
    >>> tagged.classes, tagged.tags.tolist()
    (('gland', 'fat'), [[0.0, nan], [1.0, 0.0]])
    """
    images, (classes, rows) = tuple(map(Path, paths)), read_table(table)
    keys = {path: row_of(path, rows) for path in images}
    untagged = [path for path, key in keys.items() if key is None]
    if untagged:
        raise InputError(
            "tags-missing",
            f"each image must have a row with its file name in {table}",
            got=f"none for {_name_some(untagged)}",
            hint="add rows, or leave these images out",
        )
    matched = {path: key for path, key in keys.items() if key is not None}
    uses = Counter(matched.values())
    shared = [key for key, count in uses.items() if count > 1]
    if shared:
        raise InputError(
            "tags-ambiguous",
            f"each row of {table} must match one image",
            got=f"several for {_name_some(shared)}",
            hint="write the folder into the table: folder/name.png",
        )
    unused = [key for key in rows if key not in uses]
    if unused:
        raise InputError(
            "images-missing",
            f"each row of {table} must have an image",
            got=f"none for {_name_some(unused)}",
            hint="give the folder that contains the images, or remove the rows",
        )
    return Tagged(images, np.array([rows[matched[path]] for path in images], np.float32), classes)


def from_names(paths: Iterable[Path | str], classes: Iterable[str]) -> Tagged:
    """Read tags from the ends of file names: "x-[1 0 1 0].png" or "x[1010].png".

    Parameters
    ----------
    paths : sequence of path
    classes : sequence of str
        Classes of the digits, in order.

    Returns
    -------
    Tagged

    Raises
    ------
    InputError
        "tags-not-in-name", or "tags-count" if the number of digits is not the number of classes.

    Examples
    --------
    >>> from_names(["x-[1 0].png", "y[11].png"], ("tumor", "stroma")).tags.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    images, classes = tuple(map(Path, paths)), tuple(classes)
    found = {path: _IN_NAME.search(path.stem) for path in images}
    untagged = [path for path, match in found.items() if match is None]
    if untagged:
        raise InputError(
            "tags-not-in-name",
            "each file name must end in its tags, as 'x-[1 0 1 0].png' or 'x[1010].png'",
            got=_name_some(untagged),
            hint="rename these files, or give the tags as a table",
        )
    digits = {path: re.findall("[01]", match[1]) for path, match in found.items() if match is not None}
    wrong = [path for path, tags in digits.items() if len(tags) != len(classes)]
    if wrong:
        raise InputError(
            "tags-count",
            f"each file name must have {len(classes)} digits, for {', '.join(classes)}",
            got=_name_some(wrong),
            hint="name the classes of the digits, in their order",
        )
    return Tagged(images, np.array([digits[path] for path in images], np.float32), classes)


def from_folders(paths: Iterable[Path | str]) -> Tagged:
    """Read tags from folder names: an image has the class of its folder.

    A copy of an image (same name, same bytes) in a second folder has both classes.

    Parameters
    ----------
    paths : sequence of path
        Images, each in the folder of its class.

    Returns
    -------
    Tagged
        Classes in alphabetical order; a copied image once, with its first path. Images beside the class folders are
        left out, with a note.

    Raises
    ------
    InputError
        "folders-too-few" if there are fewer than two folders, or "folders-nested" if a class folder holds another.

    Examples
    --------
    >>> from_folders(["data/stroma/1.png", "data/tumor/2.png"]).tags.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    images = _in_class_folders([Path(path) for path in paths])
    classes = tuple(sorted({path.parent.name for path in images}))
    if len(classes) < 2:
        raise InputError(
            "folders-too-few",
            "images must be in two or more folders, one per class",
            got=f"images in {', '.join(map(repr, classes)) or 'none'}",
            hint="sort the images into folders with the names of their classes",
        )
    counts = Counter(path.name for path in images)
    copies = defaultdict(list)
    for path in images:
        # Only files of the same name can be copies; hashing all files would take minutes.
        copies[path.name, _digest(path) if counts[path.name] > 1 else ""].append(path)
    tags = [[float(c in {path.parent.name for path in same}) for c in classes] for same in copies.values()]
    return Tagged(tuple(same[0] for same in copies.values()), np.array(tags, np.float32), classes)


def _in_class_folders(images: list[Path]) -> list[Path]:
    """Return the images in the class folders."""
    folders = {path.parent for path in images}
    above = {folder for folder in folders if any(folder in other.parents for other in folders)}
    stray = {
        folder for folder in above if all(folder == other or folder in other.parents for other in folders)
    }
    if above - stray:
        nested = sorted(above - stray)[0]
        raise InputError(
            "folders-nested",
            "a folder of a class must not hold folders with images",
            got=nested,
            hint="move the images, so that each folder has the images of one class",
        )
    left_out = [path for path in images if path.parent in stray]
    if left_out:
        note("images beside the folders of classes are left out", left_out[0], len(left_out))
    return [path for path in images if path.parent not in stray]


def tags_from_labels(
    labels: npt.ArrayLike,
    classes: int,
    *,
    min_fraction: float | Sequence[float],
    valid_mask: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the tags of a label image, as from an annotator who ignores small areas.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class indices below `classes`.
    classes : int
        Number of classes, C.
    min_fraction : float, or C floats
        Minimum fraction of the valid area, 0 to 1, of a present class. With 0 a single pixel is enough.
    valid_mask : bool array, shape (H, W), optional
        Where `labels` are known. Default: everywhere.

    Returns
    -------
    bool array, shape (C,)
        All False if no pixel is valid.

    Raises
    ------
    InputError
        "fraction-range", "labels-dtype" or "labels-range".

    Examples
    --------
    >>> tags_from_labels(np.array([[0, 0, 0, 1]]), 3, min_fraction=0.25).tolist()
    [True, True, False]
    """
    labels = as_labels(labels, classes)
    fraction = np.broadcast_to(np.asarray(min_fraction, float), (classes,))
    if not ((fraction >= 0) & (fraction <= 1)).all():
        raise InputError(
            "fraction-range", "`min_fraction` must be 0 to 1", got=min_fraction, hint="write 5 % as 0.05"
        )
    valid = labels.ravel() if valid_mask is None else labels[valid_mask]
    pixels = np.bincount(valid, minlength=classes)  # (C,)
    return (pixels > 0) & (pixels >= fraction * valid.size)


def read_table(table: Path | str) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    """Read the classes and rows of a table of tags.

    Parameters
    ----------
    table : path

    Returns
    -------
    classes : tuple of str
    rows : dict of str to list of float
        Tags by the name in the first column.

    Raises
    ------
    InputError
        "file-unreadable", "table-columns", "table-duplicate-row" or "tag-value".
    """
    table = Path(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t", key=first.count)
            cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "file-unreadable",
            f"{table} must be a CSV table in UTF-8",
            got=getattr(error, "strerror", None) or error,
            hint="export it again",
        ) from None
    heading, *cells = [row for row in cells if any(row)] or [[]]
    classes = tuple(heading[1:])
    if not classes or not all(classes) or len(set(classes)) < len(classes):
        raise InputError(
            "table-columns",
            f"{table} must have a heading: a column of file names, then each class once",
            got=heading,
            hint="write the class names into the first line",
        )
    rows: dict[str, list[float]] = {}
    for number, (name, *values) in enumerate(cells, start=1):
        name = unicodedata.normalize("NFC", from_csv_text(name))
        if name in rows:
            raise InputError(
                "table-duplicate-row",
                f"{table} must have one row per image",
                got=f"{name!r} twice",
                hint="keep one of the rows",
            )
        rows[name] = _parse_tags(values, classes, f"row {number} ({name!r}) of {table}")
    return classes, rows


def _parse_tags(cells: list[str], classes: tuple[str, ...], where: str) -> list[float]:
    values = [_VALUES.get(cell.lower()) for cell in cells]
    tags = [value for value in values if value is not None]
    if len(values) != len(classes) or len(tags) < len(values):
        wrong = f"{len(values)} cells" if len(values) != len(classes) else repr(cells[values.index(None)])
        raise InputError(
            "tag-value",
            f"{where} must have {len(classes)} cells with 0, 1 or nothing",
            got=wrong,
            hint="correct the row",
        )
    return tags


def has_tags(path: Path | str) -> bool:
    """Return whether a file name ends in tags.

    Examples
    --------
    >>> has_tags(Path("x-[1 0].png")), has_tags(Path("x.png"))
    (True, False)
    """
    return _IN_NAME.search(Path(path).stem) is not None


def row_of(path: Path, rows: Iterable[str]) -> str | None:
    """Return the name of the row for `path`, or None; rows may name folders, and leave out the suffix."""
    parts = PurePosixPath(unicodedata.normalize("NFC", path.as_posix())).parts
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[-length:])
        stem = name.removesuffix(path.suffix)
        for key in (name, stem, image_name(stem)):
            if key in rows:
                return key
    return None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            "file-unreadable",
            f"{path} must be an image file",
            got=error.strerror,
            hint="check the path and its permissions",
        ) from None


def _name_some(items: Sequence[Path | str]) -> str:
    """Name the first few items and count the rest."""
    named = ", ".join(str(getattr(item, "name", item)) for item in items[:_MAX_NAMED])
    rest = len(items) - _MAX_NAMED
    return f"{named} and {rest} more" if rest > 0 else named
