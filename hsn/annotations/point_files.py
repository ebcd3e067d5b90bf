"""Files of points: a folder as people have it, images and whatever holds their clicks, paired by name.

Known habits: a CSV or GeoJSON beside each image; point images in a folder of their own, with an ending of their own
(`_label_point.png` of Qu et al., IEEE TMI 2020).
"""

import re

from .label_files import RASTERS
from .pairing import Words, pair_by_name
from .points import TEXTS

# What names of files of points end in, and what their folders are called.
_WORDS = "label[ _-]points?|points?|clicks?|centres|centers|centroids"
_ENDING = re.compile(rf"[ ._-]({_WORDS})$", re.IGNORECASE)
_FOLDER = re.compile(rf"(^|[ _-])({_WORDS}|labels[ _-]points?)([ _-]|$)", re.IGNORECASE)
_IMAGE_ENDING = re.compile(r"\.(ome\.)?(png|bmp|tiff?|jpe?g)$", re.IGNORECASE)
_SAID = Words("points", "points", "files of points", "CSV, GeoJSON or point images", "a.csv")


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
    InputError
        If there is no such folder, or no pair in it; files that are alone are named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a.csv", "b.png"):
    ...     (folder / name).touch()
    >>> pairs = pair(folder)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a.csv', 'b.png')
    """
    return pair_by_name(folder, _annotated, _SAID)


def _annotated(inner):
    """The name of the image whose points a file holds, by its ending, its own name or its folder's; None if none."""
    suffix = inner.suffix.lower()
    marked = _ENDING.search(inner.stem) or any(_FOLDER.search(part) for part in inner.parts[:-1])
    return (
        _ENDING.sub("", _IMAGE_ENDING.sub("", inner.stem))
        if suffix in TEXTS or (suffix in RASTERS and marked)
        else None
    )
