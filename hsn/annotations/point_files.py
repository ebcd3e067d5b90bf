"""Find the point files of images: a CSV or GeoJSON per image, or point images.

Point images have a name ending such as `_label_point.png` (Qu et al., IEEE TMI 2020), or are in a folder such as
`points`.
"""

from pathlib import Path

from .mask_files import is_mask_file
from .pairing import NamePattern, Pairs, Words, pair_by_name
from .points import TEXTS

_PATTERN = NamePattern(
    "label[ _-]points?|points?|clicks?|detections?|coords?|coordinates?|centres|centers|centroids",
    separators=" ._-",
)
_WORDS = Words("points", "points", "files of points", "CSV, GeoJSON or point images", "a.csv")


def pair(folder: Path | str) -> Pairs:
    """Find images and their point files in a folder and its subfolders.

    A point file is a `.csv`, `.tsv`, `.txt`, `.geojson` or `.json`, or an image with an ending such as `_label_point`,
    `_points` or `_clicks`, or in a folder of such a name. It belongs to the image with the same name without the
    ending. QuPath's names are supported: `a.png.geojson` belongs to `a.png`.

    Parameters, result and errors are those of `hsn.annotations.mask_files.pair`; `annotations` are the point files.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.png").touch(), (folder / "a.csv").touch()
    (None, None)
    >>> [path.name for path in pair(folder).annotations]
    ['a.csv']
    """

    def annotated(inner: Path) -> str | None:
        json_of_masks = inner.suffix.lower() in (".json", ".geojson") and is_mask_file(Path(folder) / inner)
        return None if json_of_masks else _image_name(inner)

    return pair_by_name(folder, annotated, _WORDS, pattern=_PATTERN)


def _image_name(path: Path) -> str | None:
    return _PATTERN.image_name(path, TEXTS)
