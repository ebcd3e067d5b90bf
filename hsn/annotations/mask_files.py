"""Find and read mask files: label images, Aperio XML (MoNuSeg), or zips of ImageJ regions (CryoNuSeg).

Label images have a name ending such as `_anno` (`train_1_anno.bmp` of GlaS), or are in a folder such as `labels`.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import aperio_xml, imagej
from .instances import label_components
from .label_files import read_labels
from .pairing import NamePattern, Pairs, Words, pair_by_name

OUTLINES = {".xml": aperio_xml.read_instances, ".zip": imagej.read_instances, ".roi": imagej.read_instances}
_PATTERN = NamePattern("anno|annotations?|labels?|masks?|instances?|gt|truth|rois?|binary|xml")
_BINARY_FOREGROUND = 255  # the only value of a binary mask besides 0
_WORDS = Words("mask", "masks", "masks", "label images, XML or ROI zips", "a_mask.png")


def pair(folder: Path | str, *, besides: Collection[str] = (), least: int = 1) -> Pairs:
    """Find images and their masks in a folder and its subfolders.

    A mask is an `.xml`, `.zip` or `.roi` file, or an image with an ending such as `_anno`, `_label` or `_mask`, or in a
    folder of such a name. It belongs to the image with the same name without the ending. If an image has a label image
    and outlines, the label image is used.

    Parameters
    ----------
    folder : path
    besides : collection of str
        Files and folders directly in the folder to ignore.
    least : int
        Minimum number of pairs. Default: 1.

    Returns
    -------
    Pairs
        In natural order of names.

    Raises
    ------
    InputError
        "folder-missing" or "pairs-missing".

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a_anno.png", "b.png"):
    ...     (folder / name).touch()
    >>> pairs = pair(folder)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a_anno.png', 'b.png')
    """
    return pair_by_name(folder, _image_name, _WORDS, preferred=preferred, besides=besides, least=least)


def preferred(annotations: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split the annotations of one image into used and spare: label images before outlines.

    Examples
    --------
    >>> preferred(["a.xml", "a_mask.png"]), preferred(["a.xml"])
    ((['a_mask.png'], ['a.xml']), (['a.xml'], []))
    """
    rasters = [path for path in annotations if is_raster(path)]
    return rasters or list(annotations), [path for path in annotations if rasters and path not in rasters]


def read(path: Path | str, shape: tuple[int, int] | None) -> np.ndarray:
    """Read the instances of one image from a mask file.

    Parameters
    ----------
    path : path
        A label image, Aperio XML, or ImageJ regions.
    shape : (int, int) or None
        Height and width of the image. None: use the size of the label image.

    Returns
    -------
    int32 array, shape (H, W)
        0 background; ids as stored. A binary mask, with 255 as the only other value, is split into connected
        components.

    Raises
    ------
    InputError
        "shape-mismatch", "shape-missing" for outlines without `shape`, or an error of the file's reader.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.annotations.label_files import write_labels
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> write_labels(path, np.array([[255, 0, 255]]))
    >>> read(path, (1, 3)).tolist()
    [[1, 0, 2]]
    """
    path = Path(path)
    if path.suffix.lower() in OUTLINES:
        if shape is None:
            raise InputError(
                "shape-missing",
                f"`shape` must be the height and width of the image of {path}",
                got=None,
                hint="outlines do not store the size of their image",
            )
        return OUTLINES[path.suffix.lower()](path, shape)
    stored = read_labels(path)
    if shape is not None and stored.shape != tuple(shape):
        raise InputError(
            "shape-mismatch",
            f"{path} must have the size of its image, {tuple(shape)}",
            got=stored.shape,
            hint="export it again at full size",
        )
    values = np.unique(stored)
    binary = values[-1] == _BINARY_FOREGROUND and len(values[values > 0]) == 1
    return label_components(stored > 0) if binary else stored


def is_raster(path: Path | str) -> bool:
    """Return whether a mask file is a label image, and not a list of outlines.

    Examples
    --------
    >>> is_raster("a.png"), is_raster("a.xml")
    (True, False)
    """
    return Path(path).suffix.lower() not in OUTLINES


def is_annotation_folder(name: str) -> bool:
    """Return whether a folder of this name contains label images.

    Examples
    --------
    >>> is_annotation_folder("labels"), is_annotation_folder("tumor")
    (True, False)
    """
    return _PATTERN.is_folder(name)


def _image_name(path: Path) -> str | None:
    return _PATTERN.image_name(path, OUTLINES)
