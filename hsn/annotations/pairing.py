"""Pair images and their annotation files by name."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .label_files import RASTERS

PICTURES = (*RASTERS, ".jpg", ".jpeg")


class Pairs(NamedTuple):
    """Images with their annotations.

    Attributes
    ----------
    images, annotations : tuple of pathlib.Path
        Same length and order.
    alone : tuple of (pathlib.Path, str)
        Files without a partner, and the reason.
    spare : tuple of pathlib.Path
        Annotations that are not used, because their image has a preferred one.
    """

    images: tuple[Path, ...]
    annotations: tuple[Path, ...]
    alone: tuple[tuple[Path, str], ...]
    spare: tuple[Path, ...] = ()


class Words(NamedTuple):
    """Words for a kind of annotation in messages.

    Attributes
    ----------
    singular, plural : str
        "mask", "masks".
    files : str
        Name of its files: "files of points".
    formats, example : str
        File formats, and the file name for an image `a.png`.
    """

    singular: str
    plural: str
    files: str
    formats: str
    example: str


class NamePattern:
    """Rule for annotation file names: suffix, ending of the name, or name of the folder.

    Parameters
    ----------
    words : str
        Alternatives of a regular expression, for endings of file names and for folder names.
    separators : str
        Characters between the name of the image and the ending. Default: space, hyphen, underscore.
    """

    def __init__(self, words: str, separators: str = " _-") -> None:
        self._ending = re.compile(rf"[{separators}]({words})$", re.IGNORECASE)
        self._folder = re.compile(rf"(^|[ _-])({words})([ _-]|$)", re.IGNORECASE)

    def is_folder(self, name: str) -> bool:
        """Return whether a folder of this name contains annotations."""
        return self._folder.search(name) is not None

    def image_name(self, path: Path, suffixes: Collection[str]) -> str | None:
        """Return the name of the image that a file annotates, None if it is not an annotation.

        Files with one of `suffixes` always are annotations; label images need the ending or the folder name.
        """
        suffix = path.suffix.lower()
        marked = self._ending.search(path.stem) or any(map(self.is_folder, path.parts[:-1]))
        return self.strip(path.stem) if suffix in suffixes or (suffix in RASTERS and marked) else None

    def strip(self, stem: str) -> str:
        """Remove the ending from a file name without suffix."""
        return self._ending.sub("", stem)


def pair_by_name(
    folder: Path | str,
    annotated: Callable[[Path], str | None],
    words: Words,
    *,
    preferred: Callable[[list[Path]], tuple[list[Path], list[Path]]] = lambda annotations: (annotations, []),
    besides: Collection[str] = (),
    least: int = 1,
) -> Pairs:
    """Find images and their annotations in a folder and its subfolders.

    Parameters
    ----------
    folder : path
    annotated : callable
        ``path -> str or None``: returns the name of the image that a file annotates, None if it is not an annotation.
        The path is relative to the folder.
    words : Words
        Words for messages.
    preferred : callable, optional
        ``annotations -> (used, spare)``: chooses among several annotations of one image. Default: use all.
    besides : collection of str
        Files and folders directly in the folder to ignore.
    least : int
        Minimum number of pairs. Default: 1.

    Returns
    -------
    Pairs
        In natural order of names: 2 comes before 10. Hidden files are ignored.

    Raises
    ------
    InputError
        "folder-missing", or "pairs-missing" if there are too few pairs.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a.txt", "b.png"):
    ...     (folder / name).touch()
    >>> words = Words("note", "notes", "notes", "text", "a.txt")
    >>> pairs = pair_by_name(folder, lambda path: path.stem if path.suffix == ".txt" else None, words)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a.txt', 'b.png')
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            "folder-missing",
            f"{folder} must be a folder of images and their {words.plural}",
            got="no folder",
            hint="check the path",
        )
    images, annotations = _group_by_name(folder, annotated, besides)
    pairs, alone, spare = [], [], []
    for name in sorted(images.keys() | annotations.keys(), key=natural_key):
        pictures, (used, unused) = images.get(name, []), preferred(annotations.get(name, []))
        spare += unused
        if len(pictures) == len(used) == 1:
            pairs.append((pictures[0], used[0]))
            continue
        reason = "has no image of its name" if used else f"has no {words.singular} of its name"
        if pictures and used:
            reason = f"{len(pictures)} images and {len(used)} {words.files} have this name"
        alone += [(path, reason) for path in (*pictures, *used)]
    if len(pairs) < least:
        raise InputError(
            "pairs-missing",
            f"{folder} must contain images, and {words.formats} with the same names",
            got="; ".join(f"{path.name} {reason}" for path, reason in alone[:5]) or "no images",
            hint=f"name {words.plural} like their images, as a.png and {words.example}",
        )
    return Pairs(
        tuple(image for image, _ in pairs),
        tuple(annotation for _, annotation in pairs),
        tuple(alone),
        tuple(spare),
    )


def _group_by_name(
    folder: Path, annotated: Callable[[Path], str | None], besides: Collection[str]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Return the images and the annotations, grouped by the name that they share."""
    images, annotations = defaultdict(list), defaultdict(list)
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if any(part[0] == "." for part in inner.parts) or inner.parts[0] in besides or not path.is_file():
            continue
        name = annotated(inner)
        if name is not None:
            annotations[name].append(path)
        elif path.suffix.lower() in PICTURES:
            images[path.stem].append(path)
    return images, annotations


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key for natural order.

    Examples
    --------
    >>> sorted(["train_10.png", "train_2.png"], key=natural_key)
    ['train_2.png', 'train_10.png']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
