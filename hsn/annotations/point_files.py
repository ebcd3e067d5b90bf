"""Find the point files of images: a CSV or GeoJSON per image, or point images.

Point images have a name ending such as `_label_point.png` (Qu et al., IEEE TMI 2020), or are in a folder such as
`points`.
"""

from pathlib import Path

from .pairing import NamePattern, Pairs, Words, pair_by_name
from .points import TEXTS

_PATTERN = NamePattern("label[ _-]points?|points?|clicks?|centres|centers|centroids", separators=" ._-")
_WORDS = Words("points", "points", "files of points", "CSV, GeoJSON or point images", "a.csv")


def pair(folder: Path | str) -> Pairs:
    """Find images and their point files in a folder and its subfolders.

    A point file is a `.csv`, `.tsv`, `.txt`, `.geojson` or `.json`, or an image with an ending such as `_label_point`,
    `_points` or `_clicks`, or in a folder of such a name. It belongs to the image with the same name without the
    ending. QuPath's names are supported: `a.png.geojson` belongs to `a.png`.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Pairs
        In natural order of names; `annotations` are the point files.

    Raises
    ------
    InputError
        "folder-missing" or "pairs-missing".

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
    return pair_by_name(folder, _image_name, _WORDS, pattern=_PATTERN)


def _image_name(path: Path) -> str | None:
    return _PATTERN.image_name(path, TEXTS)
