"""Files of points: a folder as people have it, images and whatever holds their clicks, paired by name.

Known habits: a CSV or GeoJSON beside each image; point images in a folder of their own, with an ending of their own
(`_label_point.png` of Qu et al., IEEE TMI 2020).
"""

import re
from collections import defaultdict
from pathlib import Path

from .._refuse import refuse
from .mask_files import PICTURES, Pairs, _natural
from .points import RASTERS, TEXTS

# What names of files of points end in, and what their folders are called.
_WORDS = "label[ _-]points?|points?|clicks?|centres|centers|centroids"
_ENDING = re.compile(rf"[ ._-]({_WORDS})$", re.IGNORECASE)
_FOLDER = re.compile(rf"(^|[ _-])({_WORDS}|labels[ _-]points?)([ _-]|$)", re.IGNORECASE)
_IMAGE_ENDING = re.compile(r"\.(ome\.)?(png|bmp|tiff?|jpe?g)$", re.IGNORECASE)


def pair(folder):
    """Find the images and their points in a folder, and in those below it.

    A file of points is a `.csv`, `.tsv`, `.txt`, `.geojson` or `.json`, or an image whose name ends like
    `_label_point`, `_points` or `_clicks`, or which lies in a folder called so. It belongs to the image of its name
    without that ending (`a.png.geojson` to `a.png`, as QuPath names them).

    Parameters
    ----------
    folder : path

    Returns
    -------
    Pairs
        In natural order of names; `annotations` are the files of points.

    Raises
    ------
    Refusal
        If there is no such folder, or no pair in it; files that are alone are named.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a.csv", "b.png"):
    ...     (folder / name).touch()
    >>> pairs = pair(folder)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a.csv', 'b.png')
    """
    folder = Path(folder)
    if not folder.is_dir():
        refuse(f"{folder} is no folder", expected="a folder of images and their points", received="none",
               remedy="mend the path")  # fmt: skip
    images, points = _sorted_out(folder)
    together, alone = [], []
    for key in sorted(images.keys() | points.keys(), key=_natural):
        of, its = images.get(key, []), points.get(key, [])
        if len(of) == len(its) == 1:
            together.append((of[0], its[0]))
            continue
        why = "has no points of its name" if not its else "has no image of its name"
        why = f"{len(of)} images and {len(its)} files of points have this name" if of and its else why
        alone += [(path, why) for path in (*of, *its)]
    if not together:
        named = "; ".join(f"{path.name} {why}" for path, why in alone[:5]) or "no images"
        refuse(f"{folder} holds no image with its points", received=named,
               expected="images, and CSV, GeoJSON or point images of the same names",
               remedy="name points like their images, as a.png and a.csv")  # fmt: skip
    return Pairs(*zip(*together, strict=True), tuple(alone))


def _sorted_out(folder):
    """Images and files of points by the name that they share."""
    images, points = defaultdict(list), defaultdict(list)
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if any(part[0] == "." for part in inner.parts) or not path.is_file():
            continue
        suffix = path.suffix.lower()
        marks = _ENDING.search(inner.stem) or any(_FOLDER.search(part) for part in inner.parts[:-1])
        if suffix in TEXTS or (suffix in RASTERS and marks):
            points[_ENDING.sub("", _IMAGE_ENDING.sub("", path.stem))].append(path)
        elif suffix in PICTURES:
            images[path.stem].append(path)
    return images, points
