"""Pair the images of a folder with the truth in another folder, by name."""

from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path

from ..annotations import mask_files
from ..annotations.pairing import CASE_NOTE, image_name, pair_but_case
from ..images.read import SUFFIXES, list_images
from ..notes import note

Alone = list[tuple[Path, str]]  # files without a partner, and why
NO_PARTNER = "has no partner of its name in the other folder"
_AMBIGUOUS = "has an ambiguous partner: files of its name in the two folders are"


def pair_folders(
    first: str | Path, second: str | Path, *, suffix: str = "", outlines: bool = False
) -> tuple[list[tuple[Path, Path]], Alone, Alone]:
    """Pair the files of two folders by their stems.

    Parameters
    ----------
    first, second : path
        Two folders; equal with a suffix.
    suffix : str
        What names in `second` add. Default: a usual ending of label images, or nothing. With "_anno", `a.png` and
        `a_anno.bmp` are a pair.
    outlines : bool
        Whether to include XML and ImageJ zips; a label image of the same name takes precedence. Default: False.

    Returns
    -------
    pairs : list of (pathlib.Path, pathlib.Path)
    first_alone, second_alone : lists of (pathlib.Path, str)
        Files without a partner, or with an ambiguous one, and why.
    """
    sides = [_with_outlines(folder) if outlines else list_images(folder) for folder in (first, second)]
    if Path(first) == Path(second) and suffix:  # the suffix separates the files of one folder
        sides = [
            [p for p in sides[0] if not p.stem.endswith(suffix)],
            [p for p in sides[1] if p.stem.endswith(suffix)],
        ]
    keys = [
        [image_name(path.stem) for path in sides[0]],
        [image_name(path.stem.removesuffix(suffix)) for path in sides[1]],
    ]
    if not suffix:
        known = set(keys[0])
        keys[1] = [
            key if key in known else _without_ending(path, key, known)
            for key, path in zip(keys[1], sides[1], strict=True)
        ]
    names, others = (list(dict.fromkeys(side)) for side in keys)
    same = pair_but_case(
        [name for name in others if name not in names], [n for n in names if n not in others]
    )
    for name, path in zip(keys[1], sides[1], strict=True):
        if name in same:
            note(CASE_NOTE, path)
    keys[1] = [same.get(name, name) for name in keys[1]]
    counts = [Counter(side) for side in keys]
    partner = dict(zip(keys[1], sides[1], strict=True))
    both = {key for key in counts[0] if counts[0][key] == counts[1][key] == 1}
    pairs = [(path, partner[key]) for key, path in zip(keys[0], sides[0], strict=True) if key in both]
    first_alone, second_alone = (
        [
            (path, _why_alone(counts[0][name], counts[1][name]))
            for name, path in zip(keys[k], sides[k], strict=True)
            if name not in both
        ]
        for k in (0, 1)
    )
    return pairs, first_alone, second_alone


def _why_alone(first: int, second: int) -> str:
    """Return why a file has no single partner, from the numbers of files of its name in both folders."""
    return f"{_AMBIGUOUS} {first} and {second}" if first and second else NO_PARTNER


def _without_ending(path: Path, key: str, names: Collection[str]) -> str:
    """Return the name of a truth file without an ending like "_mask", if that is one of `names`."""
    stripped = mask_files.strip_ending(path.stem)
    if stripped not in names:
        return key
    note("truth files are paired without the ending of their name", path)
    return stripped


def _with_outlines(folder: str | Path) -> list[Path]:
    """Return label images and outlines; of several for one image, a label image takes precedence."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    suffixes = (*SUFFIXES, *mask_files.OUTLINES, *mask_files.ARRAYS)
    for path in list_images(folder, suffixes=suffixes):
        if mask_files.is_mask_file(path):
            by_name[mask_files.strip_ending(path.stem)].append(path)
    return [path for files in by_name.values() for path in mask_files.preferred(files)[0]]
