"""Files of masks: a folder as people have it, images and whatever holds their objects, paired by name.

Known habits: label images beside the pictures or in a folder of their own, with an ending of their own
(`train_1_anno.bmp` of GlaS); Aperio XML (MoNuSeg); zips of ImageJ's regions (CryoNuSeg).
"""

import re
from pathlib import Path

import numpy as np

from ..errors import refuse
from . import aperio_xml as xml
from . import imagej
from .instances import objects_of
from .label_files import RASTERS, read_labels
from .pairing import Words, pair_by_name

OUTLINES = {".xml": xml.instances, ".zip": imagej.instances, ".roi": imagej.instances}
# What names of label images end in, and what their folders are called.
_WORDS = "anno|annotations?|labels?|masks?|instances?|gt|truth|rois?|binary|xml"
_ENDING = re.compile(rf"[ _-]({_WORDS})$", re.IGNORECASE)
_FOLDER = re.compile(rf"(^|[ _-])({_WORDS})([ _-]|$)", re.IGNORECASE)
_MASK = 255  # the one value of a binary mask
_SAID = Words("mask", "masks", "masks", "label images, XML or ROI zips", "a_mask.png")


def pair(folder, *, besides=(), least=1):
    """Find the images and their annotations in a folder, and in those below it.

    An annotation is an `.xml`, a `.zip` or `.roi`, or an image whose name ends like `_anno`, `_label` or `_mask`, or
    which lies in a folder called so. It belongs to the image of its name without that ending. Where an image has a
    label image and outlines, the label image counts: it says of every pixel what outlines leave to a rule.

    Parameters
    ----------
    folder : path
    besides : collection of str
        Files and folders within the folder that count for nothing.
    least : int
        With fewer pairs the folder is refused.

    Returns
    -------
    Pairs
        In natural order of names.

    Raises
    ------
    InputError
        If there is no such folder, or too few pairs in it; files that are alone are named.

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
    return pair_by_name(folder, _annotated, _SAID, preferred=preferred, besides=besides, least=least)


def preferred(annotations):
    """Of the annotations of one image those that count, label images before outlines, and the rest.

    Examples
    --------
    >>> preferred(["a.xml", "a_mask.png"]), preferred(["a.xml"])
    ((['a_mask.png'], ['a.xml']), (['a.xml'], []))
    """
    rasters = [path for path in annotations if is_raster(path)]
    return (rasters or annotations, [path for path in annotations if rasters and path not in rasters])


def read(path, shape):
    """Read the objects of one image, whatever file holds them.

    Parameters
    ----------
    path : path
        A label image, an Aperio XML, or regions of ImageJ.
    shape : (int, int) or None
        Height and width of the image; None takes a label image as large as it is.

    Returns
    -------
    int32 array, shape (H, W)
        0 background. Ids as they are stored; a binary mask, whose one value is 255, is cut into its parts.

    Raises
    ------
    InputError
        If the file cannot be read, or is not of that size.

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
        return OUTLINES[path.suffix.lower()](path, shape)
    stored = read_labels(path)
    if shape is not None and stored.shape != tuple(shape):
        refuse(f"{path} is not of the size of its image", expected=tuple(shape), received=stored.shape,
               remedy="export it again at full size")  # fmt: skip
    values = np.unique(stored)
    return objects_of(stored > 0) if values[-1] == _MASK and len(values[values > 0]) == 1 else stored


def is_raster(path):
    """Whether a file is a label image, and not a list of outlines.

    Examples
    --------
    >>> is_raster("a.png"), is_raster("a.xml")
    (True, False)
    """
    return Path(path).suffix.lower() not in OUTLINES


def _annotated(inner):
    """The name of the image that a file annotates by its ending, its own name or its folder's; None if none."""
    suffix = inner.suffix.lower()
    marked = _ENDING.search(inner.stem) or any(_FOLDER.search(part) for part in inner.parts[:-1])
    return _ENDING.sub("", inner.stem) if suffix in OUTLINES or (suffix in RASTERS and marked) else None
