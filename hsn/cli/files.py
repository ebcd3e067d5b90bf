"""Files of the command line: what a person names, and how results are named after it."""

from collections import Counter, defaultdict
from pathlib import Path

from ..annotations.mask_files import OUTLINES, preferred
from ..errors import InputError
from ..images.read import SUFFIXES, list_images


def images_of(places, *, deep=False):
    """All images that files and folders name, each once, and what could not be found.

    Parameters
    ----------
    places : sequence of path
    deep : bool
        Whether the folders inside folders count.

    Returns
    -------
    found : list of pathlib.Path
    failures : list of (str, str)
    """
    found, failures = {}, []
    for place in places:
        try:
            for folder in (_with_images(place) if deep else None) or [place]:
                found |= dict.fromkeys(list_images(folder))
        except InputError as error:
            failures.append((str(place), str(error)))
    return list(found), failures


def _with_images(place):
    """Folders in and below `place` that hold images."""
    files = (path for path in Path(place).rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(
        {path.parent for path in files if not any(part[0] == "." for part in path.parts if part != "..")}
    )


def distinct_names(found):
    """A name for the results of each image: its stem, with as much more as tells it from the others.

    Examples
    --------
    >>> distinct_names([Path("a/x.png"), Path("b/x.png"), Path("b/y.png")])
    ['a_x', 'b_x', 'y']
    """
    options = [
        (path.stem, f"{path.parent.name}_{path.stem}", f"{path.parent.name}_{path.stem}_{path.suffix[1:]}")
        for path in found
    ]
    counts = [Counter(level) for level in zip(*options, strict=True)]
    names = {}
    for number, each in enumerate(options, start=1):
        unique = (name for name, count in zip(each, counts, strict=True) if count[name] == 1)
        name = next((name for name in unique if name not in names), f"{each[0]}_{number}")
        while name in names:
            name += "_"
        names[name] = number
    return list(names)


def pairs(first, second, *, suffix="", outlines=False):
    """Pair the images of two folders by name, whatever their kind of file.

    Parameters
    ----------
    first, second : path
    suffix : str
        What names in `second` add: with "_anno", `a.png` and `a_anno.bmp` are a pair.
    outlines : bool
        Whether XML and regions of ImageJ count too; of a name that has a label image, they do not.

    Returns
    -------
    together : list of (pathlib.Path, pathlib.Path)
    alone : list of pathlib.Path
        Files without a partner, and those whose name another file of the same folder has as well.
    """
    sides = [_with_outlines(folder) if outlines else list_images(folder) for folder in (first, second)]
    keys = [[path.stem for path in sides[0]], [path.stem.removesuffix(suffix) for path in sides[1]]]
    if Path(first) == Path(second) and suffix:  # one folder holds both: the ending tells them apart
        sides = [
            [p for p in sides[0] if not p.stem.endswith(suffix)],
            [p for p in sides[1] if p.stem.endswith(suffix)],
        ]
        keys = [[path.stem for path in sides[0]], [path.stem.removesuffix(suffix) for path in sides[1]]]
    counts = [Counter(side) for side in keys]
    partner = dict(zip(keys[1], sides[1], strict=True))
    both = {key for key in counts[0] if counts[0][key] == counts[1][key] == 1}
    together = [(path, partner[key]) for key, path in zip(keys[0], sides[0], strict=True) if key in both]
    alone = [
        p
        for key, side in zip(keys, sides, strict=True)
        for k, p in zip(key, side, strict=True)
        if k not in both
    ]
    return together, alone


def _with_outlines(folder):
    """Label images and outlines; of a name that has both, the label image."""
    by_name = defaultdict(list)
    for path in list_images(folder, suffixes=(*SUFFIXES, *OUTLINES)):
        by_name[path.stem].append(path)
    return [path for its in by_name.values() for path in preferred(its)[0]]
