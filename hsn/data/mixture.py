"""Find images with several kinds of annotation in one folder, and images without annotation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations import mask_files, point_files, tag_files
from ..annotations.annotation import Tag
from ..annotations.pairing import Pairs
from ..errors import InputError
from ..notes import note

GEOJSON = (".geojson", ".json")


@dataclass(frozen=True)
class AnnotationFiles:
    """Files and tags of one image.

    Attributes
    ----------
    masks : pathlib.Path or None
        Label image, Aperio XML or ImageJ zip.
    points : pathlib.Path or None
        Table of points, or point image.
    drawn : pathlib.Path or None
        GeoJSON of QuPath.
    tags : tuple of Tag
    group : str or None
    mpp : float or None
    """

    masks: Path | None = None
    points: Path | None = None
    drawn: Path | None = None
    tags: tuple[Tag, ...] = ()
    group: str | None = None
    mpp: float | None = None

    @property
    def empty(self) -> bool:
        """True for an image without annotation."""
        return not (self.masks or self.points or self.drawn or self.tags)


def pair_files(
    folder: Path, images: Sequence[Path], table: Path | None
) -> tuple[list[Path], list[AnnotationFiles], list[tuple[str, str]]]:
    """Collect the annotation files of each image of a folder.

    Parameters
    ----------
    folder : path
    images : sequence of path
        All images in the folder and below; label images are recognized and left out.
    table : path or None
        Table of tags.

    Returns
    -------
    images : list of pathlib.Path
    files : list of AnnotationFiles
    left_out : list of (str, str)
        Annotation files without an image, and the reasons.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a_mask.png", "b.png", "b.csv", "c.png"):
    ...     (folder / name).touch()
    >>> found, files, _ = pair_files(folder, sorted(folder.glob("*.png")), None)
    >>> [path.name for path in found], files[1].points.name, files[2].empty
    (['a.png', 'b.png', 'c.png'], 'b.csv', True)
    """
    masks, points = (pairs_or_none(module.pair, folder) for module in (mask_files, point_files))
    used = {*masks.annotations, *masks.spare, *points.annotations, *points.spare}
    stray = {path: reason for path, reason in (*masks.alone, *points.alone) if "no image" in reason}
    found = [path for path in images if path not in used and path not in stray]
    mask_of, point_of = (dict(zip(pairs.images, pairs.annotations, strict=True)) for pairs in (masks, points))
    tags = _tags(table, found)
    files = [_files(mask_of.get(path), point_of.get(path), tags.get(path, ())) for path in found]
    left_out = [(str(path), reason) for path, reason in stray.items() if path not in used]
    left_out += [
        (str(path), reason) for path, reason in (*masks.alone, *points.alone) if "ambiguous" in reason
    ]
    return found, files, list(dict.fromkeys(left_out))


def _files(mask: Path | None, point: Path | None, tags: tuple[Tag, ...]) -> AnnotationFiles:
    drawn = point if point is not None and point.suffix.lower() in GEOJSON else None
    return AnnotationFiles(mask, None if drawn else point, drawn, tags)


def _tags(table: Path | None, images: Sequence[Path]) -> dict[Path, tuple[Tag, ...]]:
    """Return the tags of images in a table, dict of path to tuple of Tag; empty cells are unknown."""
    if table is None:
        return {}
    classes, rows = tag_files.read_table(table)
    keys = {path: tag_files.row_of(path, rows) for path in images}
    found = {
        path: tuple(
            Tag(name, bool(value))
            for name, value in zip(classes, rows[key], strict=True)
            if not np.isnan(value)
        )
        for path, key in keys.items()
        if key is not None
    }
    unused = rows.keys() - set(keys.values())
    if unused:
        note("rows of the table of tags have no image", table, len(unused))
    return found


def pairs_or_none(pair: Callable[..., Pairs], folder: Path, **options: Any) -> Pairs:
    """Return the pairs of a folder; none if it holds no such pair."""
    try:
        return pair(folder, **options)
    except InputError:
        return Pairs((), (), ())
