"""Pairing: images and their annotations, found by name in a folder and in those below it."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from ..errors import refuse
from .label_files import RASTERS

PICTURES = (*RASTERS, ".jpg", ".jpeg")


class Pairs(NamedTuple):
    """Images with their annotations.

    Attributes
    ----------
    images, annotations : tuple of pathlib.Path
        In the same order.
    alone : tuple of (pathlib.Path, str)
        Files without a partner, and why.
    spare : tuple of pathlib.Path
        Annotations that are not used, because their image has a better one too.
    """

    images: tuple[Path, ...]
    annotations: tuple[Path, ...]
    alone: tuple[tuple[Path, str], ...]
    spare: tuple[Path, ...] = ()


class Words(NamedTuple):
    """What a kind of annotation is called where a folder of it is refused.

    Attributes
    ----------
    its, their : str
        What one image has, and what several have: "mask", "masks".
    files : str
        What holds them: "files of points".
    formats, example : str
        What such files are, and how the one of `a.png` might be named.
    """

    its: str
    their: str
    files: str
    formats: str
    example: str


def pair_by_name(
    folder, annotated, words, *, preferred=lambda annotations: (annotations, []), besides=(), least=1
):
    """Find the images and their annotations in a folder, and in those below it.

    Parameters
    ----------
    folder : path
    annotated : callable
        ``path -> name or None``: the name of the image that a file annotates, None if it is no annotation. It is
        given the path within the folder.
    words : Words
        For refusals.
    preferred : callable, optional
        ``annotations -> used, spare``: of all annotations of one image those that count, and the rest.
    besides : collection of str
        Files and folders within the folder that count for nothing.
    least : int
        With fewer pairs the folder is refused.

    Returns
    -------
    Pairs
        In natural order of names: 2 comes before 10. Hidden files count for nothing.

    Raises
    ------
    InputError
        If there is no such folder, or too few pairs in it; files that are alone are named.

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
        refuse(f"{folder} is no folder", expected=f"a folder of images and their {words.their}", received="none",
               remedy="mend the path")  # fmt: skip
    images, annotations = _sorted_out(folder, annotated, besides)
    together, alone, spare = [], [], []
    for key in sorted(images.keys() | annotations.keys(), key=_natural):
        of, (its, unused) = images.get(key, []), preferred(annotations.get(key, []))
        spare += unused
        if len(of) == len(its) == 1:
            together.append((of[0], its[0]))
            continue
        why = f"has no {words.its} of its name" if not its else "has no image of its name"
        why = f"{len(of)} images and {len(its)} {words.files} have this name" if of and its else why
        alone += [(path, why) for path in (*of, *its)]
    if len(together) < least:
        named = "; ".join(f"{path.name} {why}" for path, why in alone[:5]) or "no images"
        refuse(f"{folder} holds no image with its {words.its}", received=named,
               expected=f"images, and {words.formats} of the same names",
               remedy=f"name {words.their} like their images, as a.png and {words.example}")  # fmt: skip
    images, annotations = zip(*together, strict=True) if together else ((), ())
    return Pairs(images, annotations, tuple(alone), tuple(spare))


def _sorted_out(folder, annotated, besides):
    """Images and annotations by the name that they share."""
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


def _natural(name):
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
