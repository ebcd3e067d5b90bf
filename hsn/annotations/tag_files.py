"""Files of tags: what a lab wrote down about its patches, as a table, in their names, or in their folders.

A tag is 1 (present), 0 (absent) or NaN (not said). Three habits of the field are read: a table with a column per
class, as the Atlas of Digital Pathology and HistoSegNet's `gt_labels.csv`; names that end in the tags, as
LUAD-HistoSeg ("x-[1 0 1 0].png") and BCSS-WSSS ("x[1010].png"); a folder per class.
"""

import csv
import hashlib
import re
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ..errors import refuse

_SAID = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1, "": np.nan, "nan": np.nan}
_IN_NAME = re.compile(r"\[([01](?:[ ,_]?[01])*)\]$")
_MOST_NAMED = 5  # how many culprits a error names before it only counts


class Tagged(NamedTuple):
    """Patches with their tags.

    Attributes
    ----------
    paths : tuple of pathlib.Path
        Image files.
    tags : float32 (N, C)
        1 present, 0 absent, NaN not said.
    classes : tuple of str
    """

    paths: tuple[Path, ...]
    tags: np.ndarray
    classes: tuple[str, ...]


def from_table(paths, table):
    """Read tags from a CSV table: a column of file names, then a column of 0 and 1 per class.

    Parameters
    ----------
    paths : sequence of path
        The images. A row belongs to the image whose file name it gives, with or without suffix or folders.
    table : path
        Commas, semicolons or tabs; UTF-8. The heading names the classes. An empty cell says nothing.

    Returns
    -------
    Tagged
        In the order of `paths`.

    Raises
    ------
    InputError
        If the table cannot be read, a cell is no tag, or images and rows do not belong together one to one; the
        first few of each are named.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "tags.csv"
    >>> _ = table.write_text("Patch Names,gland,fat\\na.png,1,0\\nb.png,0,\\n")
    >>> tagged = from_table(["b.png", "a.png"], table)
    >>> tagged.classes, tagged.tags.tolist()
    (('gland', 'fat'), [[0.0, nan], [1.0, 0.0]])
    """
    paths, (classes, rows) = tuple(map(Path, paths)), _rows(Path(table))
    of = {path: _key(path, rows) for path in paths}
    without = [path for path in paths if of[path] is None]
    if without:
        refuse("each image needs a row of tags", expected=f"its file name in {table}",
               received=f"none for {_some(without)}", remedy="add rows, or leave these images out")  # fmt: skip
    uses = Counter(of.values())
    shared = [key for key, count in uses.items() if count > 1]
    if shared:
        refuse("each row of tags speaks of one image", expected=f"one image a row of {table}",
               received=f"several for {_some(shared)}",
               remedy="write the folder into the table: folder/name.png")  # fmt: skip
    unused = [key for key in rows if key not in uses]
    if unused:
        refuse("each row of tags needs an image", expected="a file for every row",
               received=f"none for {_some(unused)}",
               remedy=f"give the folder that holds them, or take the rows out of {table}")  # fmt: skip
    return Tagged(paths, np.array([rows[of[path]] for path in paths], np.float32), classes)


def from_names(paths, classes):
    """Read tags from the ends of file names: "x-[1 0 1 0].png" or "x[1010].png".

    Parameters
    ----------
    paths : sequence of path
    classes : sequence of str
        What the digits stand for, in order.

    Returns
    -------
    Tagged

    Raises
    ------
    InputError
        If names have no such end, or another number of digits than there are classes.

    Examples
    --------
    >>> from_names(["x-[1 0].png", "y[11].png"], ("tumour", "stroma")).tags.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    paths, classes = tuple(map(Path, paths)), tuple(classes)
    found = {path: _IN_NAME.search(path.stem) for path in paths}
    without = [path for path, match in found.items() if match is None]
    if without:
        refuse("each file name must end in its tags", expected="names like 'x-[1 0 1 0].png' or 'x[1010].png'",
               received=_some(without), remedy="rename these, or give the tags as a table")  # fmt: skip
    digits = {path: [int(digit) for digit in match[1] if digit in "01"] for path, match in found.items()}
    odd = [path for path, tags in digits.items() if len(tags) != len(classes)]
    if odd:
        refuse("each file name must tell a tag per class",
               expected=f"{len(classes)} digits, for {', '.join(classes)}",
               received=_some(odd), remedy="name the classes that the digits stand for, in their order")  # fmt: skip
    return Tagged(paths, np.array([digits[path] for path in paths], np.float32), classes)


def from_folders(paths):
    """Read tags from folders: an image shows the class whose folder it lies in, and no other.

    A copy of an image (same name, same bytes) in a second folder tags it with both classes.

    Parameters
    ----------
    paths : sequence of path
        Images, each in the folder of its class.

    Returns
    -------
    Tagged
        Classes in alphabetical order; a copied image once, by its first path.

    Raises
    ------
    InputError
        If there are fewer than two folders.

    Examples
    --------
    >>> from_folders(["data/stroma/1.png", "data/tumour/2.png"]).tags.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    paths = tuple(map(Path, paths))
    classes = tuple(sorted({path.parent.name for path in paths}))
    if len(classes) < 2:
        refuse("tags from folders need a folder per class", expected="two folders or more",
               received=f"images in {', '.join(map(repr, classes)) or 'none'}",
               remedy="sort the images into folders named like their classes")  # fmt: skip
    named = Counter(path.name for path in paths)
    copies = defaultdict(list)
    for path in paths:
        # Only files of one name can be copies; reading all to see would cost minutes for nothing.
        copies[path.name, _digest(path) if named[path.name] > 1 else ""].append(path)
    tags = [[float(c in {path.parent.name for path in same}) for c in classes] for same in copies.values()]
    return Tagged(tuple(same[0] for same in copies.values()), np.array(tags, np.float32), classes)


def _rows(table):
    """Classes, and tags by the name in each row."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t", key=first.count)
            cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        refuse(f"{table} cannot be read as a table of tags", expected="a CSV file in UTF-8",
               received=getattr(error, "strerror", None) or str(error), remedy="export it again")  # fmt: skip
    heading, *cells = [row for row in cells if any(row)] or [[]]
    classes = tuple(heading[1:])
    if not classes or not all(classes) or len(set(classes)) < len(classes):
        refuse(f"{table} needs a heading that names each class once",
               expected="a column of file names, then one per class", received=heading,
               remedy="write the class names into the first line")  # fmt: skip
    rows = {}
    for number, (name, *said) in enumerate(cells, start=1):
        if name in rows:
            refuse(f"{table} must speak of each image once", expected="one row an image",
                   received=f"{name!r} twice", remedy="keep one of the rows")  # fmt: skip
        rows[name] = _tags(said, classes, f"row {number} ({name!r}) of {table}")
    return classes, rows


def _tags(said, classes, where):
    """Tags of one row; an empty cell is NaN."""
    values = [_SAID.get(cell.lower()) for cell in said]
    if len(values) != len(classes) or None in values:
        odd = f"{len(values)} cells" if len(values) != len(classes) else repr(said[values.index(None)])
        refuse(f"{where} must say yes or no of each class", expected=f"{len(classes)} cells of 0, 1 or nothing",
               received=odd, remedy="mend the row")  # fmt: skip
    return values


def _key(path, rows):
    """The row that speaks of `path`: by as many of its folders as the table writes, with or without suffix."""
    parts = PurePosixPath(path.as_posix()).parts
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[-length:])
        for key in (name, name.removesuffix(path.suffix)):
            if key in rows:
                return key
    return None


def _digest(path):
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse(f"{path} cannot be read", expected="an image file", received=error.strerror,
               remedy="check the path and its permissions")  # fmt: skip


def _some(culprits):
    """The first few by name, the rest by number."""
    named = ", ".join(str(getattr(c, "name", c)) for c in culprits[:_MOST_NAMED])
    rest = len(culprits) - _MOST_NAMED
    return f"{named} and {rest} more" if rest > 0 else named
