"""Contours: instances as three classes, so that a net keeps touching objects apart, and back again.

Class 0 is background, 1 the inside of objects, 2 the contour between and around them. Written after FullNet
(Qu et al., MICCAI 2019), whose published label files are of the first kind and whose training labels of the
second.
"""

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter, minimum_filter
from skimage.morphology import disk
from skimage.segmentation import expand_labels

from ..errors import refuse
from ..instances import renumber

BACKGROUND, INSIDE, CONTOUR = 0, 1, 2
# Pure red, green and blue in FullNet's label files.
_COLORS = np.array([[0, 0, 255], [255, 0, 0], [0, 255, 0]], np.uint8)


def ternary(instances, *, radius_px=1):
    """Turn instances into background, inside and contour.

    Each object loses a rim inside and gains one outside; both rims are contour. Touching objects come apart.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    radius_px : int
        Width of either rim: 1 in FullNet's files for nuclei, 2 in those for glands.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour. The end of the image takes no rim.

    Raises
    ------
    InputError
        If `instances` are no label image, or the radius is below 1.

    Examples
    --------
    >>> ternary(np.array([[0, 0, 1, 1, 1, 1, 2, 2, 2]])).tolist()
    [[0, 2, 2, 1, 1, 2, 2, 1, 1]]
    """
    instances, footprint = renumber(instances)[0], _disk(radius_px)
    lowest = minimum_filter(instances, footprint=footprint, mode="nearest")
    highest = maximum_filter(instances, footprint=footprint, mode="nearest")
    inside = (lowest == highest) & (instances > 0)
    return np.where(inside, INSIDE, np.where(highest > 0, CONTOUR, BACKGROUND)).astype(np.int32)


def encode(inside, *, erosion_px=1):
    """Turn the inside of objects into the classes that FullNet trains on.

    Parameters
    ----------
    inside : bool array (H, W)
        Where an object is not cut away by its contour; after augmentation.
    erosion_px : int
        How far the contour reaches into objects: 1 for nuclei, 2 for glands. It reaches 1 outside.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour. Small objects may be all contour. The end of the image takes no rim.

    Raises
    ------
    InputError
        If `inside` is no mask, or the erosion is below 1.

    Examples
    --------
    >>> encode(np.array([[0, 0, 1, 1, 1, 1]], bool)).tolist()
    [[0, 2, 2, 1, 1, 1]]
    """
    inside = np.asarray(inside)
    if inside.ndim != 2 or inside.dtype != bool:
        refuse("`inside` must be a mask", expected="bool (height, width)",
               received=f"{inside.dtype} {inside.shape}", remedy="compare labels with 1")  # fmt: skip
    core = binary_erosion(inside, _disk(erosion_px), border_value=1)
    return np.where(core, INSIDE, np.where(binary_dilation(inside), CONTOUR, BACKGROUND)).astype(np.int32)


def to_colors(classes):
    """Colour the three classes as FullNet's label files do: inside red, contour green, background blue.

    Examples
    --------
    >>> to_colors(np.array([[0, 1, 2]])).tolist()
    [[[0, 0, 255], [255, 0, 0], [0, 255, 0]]]
    """
    classes = np.asarray(classes)
    if (
        classes.dtype.kind not in "iu"
        or classes.size == 0
        or not 0 <= classes.min() <= classes.max() <= CONTOUR
    ):
        refuse("There are three classes", expected="0 background, 1 inside, 2 contour",
               received=f"{classes.dtype}, {np.unique(classes)[:5].tolist()}",
               remedy="make them with `ternary`")  # fmt: skip
    return _COLORS[classes]


def from_colors(image):
    """Read the classes of a label file coloured so; each channel above half is set, as FullNet reads it.

    Parameters
    ----------
    image : uint8 (H, W, 3)
        RGB, as hsn.images.read gives it.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour.

    Raises
    ------
    InputError
        If a pixel is neither red, green nor blue: a label image of ids, say, which would give no object.

    Examples
    --------
    >>> from_colors(np.array([[[255, 0, 0], [0, 0, 255], [3, 250, 0]]], np.uint8)).tolist()
    [[1, 0, 2]]
    """
    image = np.asarray(image)
    channels = image > 127
    if image.dtype != np.uint8 or image.shape[2:] != (3,) or not (channels.sum(axis=2) == 1).all():
        other = image.reshape(-1, image.shape[-1])[(channels.sum(axis=-1) != 1).ravel()][:1].tolist()
        refuse("This is no coloured label file", expected="red inside, green contour, blue background",
               received=f"{image.dtype} {image.shape}, {other}",
               remedy="read a file of ids with hsn.annotations.label_files.read_labels")  # fmt: skip
    return np.array([INSIDE, CONTOUR, BACKGROUND], np.int32)[channels.argmax(axis=2)]


def grow(instances, *, radius_px, meet="nearest"):
    """Give objects back the rim that the contour took.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    radius_px : float
        How far they grow: 2 for nuclei and 4 for glands in FullNet's test, where `meet` is "larger".
    meet : {"nearest", "larger"}
        Who has the pixels that two can reach: the nearer object, with no object losing any of its own; or, as
        in FullNet's release, the one with the larger id, over pixels of others too.

    Returns
    -------
    int32 (H, W)

    Raises
    ------
    InputError
        If `instances` are no label image, the radius is negative, or there is no such rule.

    Examples
    --------
    >>> grow(np.array([[1, 0, 0, 0, 0, 2]]), radius_px=1).tolist()
    [[1, 1, 0, 0, 2, 2]]
    >>> grow(np.array([[1, 0, 2]]), radius_px=2, meet="larger").tolist()
    [[2, 2, 2]]
    """
    numbers, ids = renumber(instances)
    if not radius_px >= 0 or meet not in ("nearest", "larger"):
        refuse("Objects cannot grow so", expected="`radius_px` of 0 or more, `meet` 'nearest' or 'larger'",
               received=f"{radius_px} and {meet!r}", remedy="use radius_px=2 for nuclei at 40x")  # fmt: skip
    if meet == "nearest":
        grown = expand_labels(numbers, distance=radius_px)
    else:
        grown = maximum_filter(numbers, footprint=disk(int(radius_px)), mode="nearest")
    return np.append(0, ids).astype(np.int32)[grown]


def _disk(radius_px):
    if not radius_px >= 1:
        refuse("A contour has some width", expected="a radius of 1 pixel or more", received=radius_px,
               remedy="use 1 for nuclei, 2 for glands")  # fmt: skip
    return disk(int(radius_px))
