"""Convert instances to the classes background, inside and contour, and back.

A net that predicts contours can separate touching objects. The classes follow FullNet (Qu et al., MICCAI 2019):
`instances_to_classes` makes its published label files, `inside_to_classes` its training labels.
"""

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter, minimum_filter
from skimage.morphology import disk
from skimage.segmentation import expand_labels

from ..checks import as_mask, one_of
from ..errors import InputError
from ..instances import renumber

BACKGROUND, INSIDE, CONTOUR = 0, 1, 2
# Pure blue, red and green in FullNet's label files.
_COLORS = np.array([[0, 0, 255], [255, 0, 0], [0, 255, 0]], np.uint8)


def instances_to_classes(instances: np.ndarray, *, radius_px: int = 1) -> np.ndarray:
    """Convert instances to background, inside and contour.

    The contour of an object covers `radius_px` on both sides of its boundary. It separates touching objects.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    radius_px : int
        Width of each side of the contour, in pixels. FullNet's files have 1 for nuclei and 2 for glands. Default: 1.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour. The image border does not create a contour.

    Raises
    ------
    InputError
        "label-image-invalid" or "contour-width-invalid".

    Examples
    --------
    >>> instances_to_classes(np.array([[0, 0, 1, 1, 1, 1, 2, 2, 2]])).tolist()
    [[0, 2, 2, 1, 1, 2, 2, 1, 1]]
    """
    instances, footprint = renumber(instances)[0], _disk("radius_px", radius_px)
    lowest = minimum_filter(instances, footprint=footprint, mode="nearest")
    highest = maximum_filter(instances, footprint=footprint, mode="nearest")
    inside = (lowest == highest) & (instances > 0)
    return np.where(inside, INSIDE, np.where(highest > 0, CONTOUR, BACKGROUND)).astype(np.int32)


def inside_to_classes(inside: np.ndarray, *, erosion_px: int = 1) -> np.ndarray:
    """Convert the inside of objects to the classes that FullNet is trained on.

    Parameters
    ----------
    inside : bool array (H, W)
        The inside class of `instances_to_classes`, after augmentation.
    erosion_px : int
        Width of the contour inside of objects: 1 for nuclei, 2 for glands. Its outer width is 1. Default: 1.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour. Small objects can be all contour. The image border does not create a
        contour.

    Raises
    ------
    InputError
        "mask-dtype" or "contour-width-invalid".

    Examples
    --------
    >>> inside_to_classes(np.array([[0, 0, 1, 1, 1, 1]], bool)).tolist()
    [[0, 2, 2, 1, 1, 1]]
    """
    inside = as_mask(inside, "inside")
    core = binary_erosion(inside, _disk("erosion_px", erosion_px), border_value=1)
    return np.where(core, INSIDE, np.where(binary_dilation(inside), CONTOUR, BACKGROUND)).astype(np.int32)


def classes_to_colors(classes: np.ndarray) -> np.ndarray:
    """Convert classes to the colors of FullNet's label files: inside red, contour green, background blue.

    Examples
    --------
    >>> classes_to_colors(np.array([[0, 1, 2]])).tolist()
    [[[0, 0, 255], [255, 0, 0], [0, 255, 0]]]
    """
    classes = np.asarray(classes)
    valid = classes.dtype.kind in "iu" and classes.size > 0
    if not valid or not 0 <= classes.min() <= classes.max() <= CONTOUR:
        raise InputError(
            "contour-classes-invalid",
            "`classes` must hold 0 for background, 1 for inside and 2 for contour",
            got=f"{classes.dtype}, {np.unique(classes)[:5].tolist()}",
            hint="make them with `instances_to_classes`",
        )
    return _COLORS[classes]


def colors_to_classes(image: np.ndarray) -> np.ndarray:
    """Convert a color label file of FullNet to classes. A channel is set if its value is above 127.

    Parameters
    ----------
    image : uint8 (H, W, 3)
        RGB, as read by hsn.images.read.

    Returns
    -------
    int32 (H, W)
        0 background, 1 inside, 2 contour.

    Raises
    ------
    InputError
        "contour-colors-invalid" if a pixel is neither red, green nor blue, as in a label image of ids.

    Examples
    --------
    >>> colors_to_classes(np.array([[[255, 0, 0], [0, 0, 255], [3, 250, 0]]], np.uint8)).tolist()
    [[1, 0, 2]]
    """
    image = np.asarray(image)
    channels = image > 127
    if image.dtype != np.uint8 or image.shape[2:] != (3,) or not (channels.sum(axis=2) == 1).all():
        other = image.reshape(-1, image.shape[-1])[(channels.sum(axis=-1) != 1).ravel()][:1].tolist()
        raise InputError(
            "contour-colors-invalid",
            "a color label file must hold red for inside, green for contour and blue for background",
            got=f"{image.dtype} {image.shape}, {other}",
            hint="read a file of ids with hsn.annotations.label_files.read_labels",
        )
    return np.array([INSIDE, CONTOUR, BACKGROUND], np.int32)[channels.argmax(axis=2)]


def grow_objects(instances: np.ndarray, *, radius_px: float, overlap: str = "nearest") -> np.ndarray:
    """Grow objects by the width that their contour took.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    radius_px : float
        Growth in pixels. FullNet uses 2 for nuclei and 4 for glands, with ``overlap="larger"``.
    overlap : {"nearest", "larger"}
        Owner of pixels that two objects reach. "nearest": the nearer object; no object loses pixels. "larger": the
        object with the larger id, which also takes pixels of other objects, as in FullNet's code. Default: "nearest".

    Returns
    -------
    int32 (H, W)

    Raises
    ------
    InputError
        "label-image-invalid", "growth-invalid" or "overlap-unknown".

    Examples
    --------
    >>> grow_objects(np.array([[1, 0, 0, 0, 0, 2]]), radius_px=1).tolist()
    [[1, 1, 0, 0, 2, 2]]
    >>> grow_objects(np.array([[1, 0, 2]]), radius_px=2, overlap="larger").tolist()
    [[2, 2, 2]]
    """
    numbers, ids = renumber(instances)
    one_of("overlap", overlap, ("nearest", "larger"))
    if not radius_px >= 0:
        raise InputError(
            "growth-invalid", "`radius_px` must be 0 or more", got=radius_px, hint="use 2 for nuclei at 40x"
        )
    if overlap == "nearest":
        grown = expand_labels(numbers, distance=radius_px)
    else:
        grown = maximum_filter(numbers, footprint=disk(int(radius_px)), mode="nearest")
    return np.append(0, ids).astype(np.int32)[grown]


def _disk(name: str, radius_px: float) -> np.ndarray:
    if not radius_px >= 1:
        raise InputError(
            "contour-width-invalid",
            f"`{name}` must be 1 or more",
            got=radius_px,
            hint="use 1 for nuclei, 2 for glands",
        )
    return disk(int(radius_px))
