"""Separate touching objects by watersheds, and compute distances inside of objects.

The connected components of a mask merge touching nuclei: about a third of the nuclei in CryoNuSeg. Nuclei are roughly
convex. Their distance transform therefore has one maximum each, with a saddle where two nuclei touch (Beucher and
Lantuejoul 1979; h-maxima after Soille, Morphological Image Analysis, chapter 6).
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from ..checks import as_mask, one_of, positive, same_shape
from ..errors import InputError
from ..instances import renumber
from ..strips import look_up, strips
from .cleaning import label_components

Box = tuple[slice, slice]


def distance_watershed(mask: np.ndarray, *, h_px: float = 0.5, sigma_px: float = 1.0) -> np.ndarray:
    """Separate touching objects of a mask by a watershed on its distance transform.

    Parameters
    ----------
    mask : bool array (H, W)
        Foreground.
    h_px : float
        Height h of the h-maxima, in pixels, above 0: a maximum becomes a marker if it is more than h above the saddle
        to a higher one. Larger values separate fewer objects. Default: 0.5.
    sigma_px : float
        Gaussian blur of the distance transform, in pixels; 0 for none. Default: 1.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n. Every foreground pixel belongs to an object.

    Raises
    ------
    InputError
        "mask-dtype", "h-px-positive" or "sigma-px-negative".

    Examples
    --------
    >>> mask = np.ones((7, 14), bool)
    >>> mask[[0, 1, 5, 6], 6:8] = False
    >>> distance_watershed(mask)[3].tolist()
    [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    """
    positive("h_px", h_px)
    if not sigma_px >= 0:
        raise InputError("sigma-px-negative", "`sigma_px` must be 0 or more", got=sigma_px, hint="use 1")
    parts = label_components(mask)
    depth = _distance_to_background(parts > 0)
    depth = gaussian_filter(depth, sigma_px) * (parts > 0) if sigma_px else depth
    return marker_watershed(_markers(depth, parts, h_px), parts > 0, depth=depth)


def marker_watershed(markers: np.ndarray, mask: np.ndarray, *, depth: np.ndarray | None = None) -> np.ndarray:
    """Grow markers inside of a mask until they touch.

    Parameters
    ----------
    markers : int array (H, W)
        0 no marker; any positive ids. Example: the components of the inside class.
    mask : bool array (H, W)
        Limit of the growth. Components without a marker become background.
    depth : float array (H, W), optional
        Order of the growth: larger values first. Default: distance to the background.

    Returns
    -------
    int32 (H, W)
        0 background, 1..n in the order of the ids.

    Raises
    ------
    InputError
        "label-image-invalid", "mask-dtype" or "shape-mismatch".

    Examples
    --------
    >>> marker_watershed(np.array([[5, 0, 0, 0, 0, 9]]), np.array([[1, 1, 1, 0, 1, 1]], bool)).tolist()
    [[1, 1, 1, 0, 2, 2]]
    """
    mask, markers = as_mask(mask), renumber(markers)[0]
    depth = _distance_to_background(mask) if depth is None else np.asarray(depth)
    same_shape("mask", mask.shape, "markers", markers.shape, hint="resize one to the other first")
    same_shape("mask", mask.shape, "depth", depth.shape, hint="resize one to the other first")
    return flood(markers, mask, lambda box: depth[box])


def flood(markers: np.ndarray, mask: np.ndarray, depth_of: Callable[[Box], np.ndarray]) -> np.ndarray:
    """Grow markers as `marker_watershed` does; `markers` are 1..n, and `depth_of` returns the depth of a box.

    Examples
    --------
    >>> flood(np.array([[2, 0, 1]]), np.ones((1, 3), bool), lambda box: np.array([[0, 2, 1]])[box]).tolist()
    [[2, 1, 1]]
    """
    islands = label_components(mask)
    # An island with one marker is one object. The others are flooded one by one: the order in which skimage visits
    # pixels of equal depth depends on everything else in its image.
    island_of, marker_of = _pairs(islands, markers)
    count = np.bincount(island_of, minlength=islands.max(initial=0) + 1)
    only = np.zeros(len(count), np.int32)
    only[island_of] = marker_of
    flooded = look_up(np.where(count == 1, only, 0).astype(np.int32), islands)
    for number, box in _boxes(islands, count > 1):
        own = islands[box] == number
        flooded[box][own] = watershed(-depth_of(box), markers[box], connectivity=2, mask=own)[own]
    del islands
    return renumber(flooded)[0]


def distance_map(instances: np.ndarray, *, relative_to: str | None = "image") -> np.ndarray:
    """Compute the distance of every pixel to the nearest pixel outside of its object.

    Such maps are regression targets for nets that find centers (Mahbod et al., CryoNuSeg, Computers in Biology and
    Medicine 2021).

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids. Touching objects are outside of each other.
    relative_to : {"image", "object", None}
        Scale: "image" divides by the maximum of the image, as in CryoNuSeg; "object" by the maximum of each object;
        None keeps pixels. Default: "image".

    Returns
    -------
    float32 (H, W)
        0 on the background. The image border is not outside.

    Raises
    ------
    InputError
        "label-image-invalid" or "relative-to-unknown".

    Examples
    --------
    >>> distance_map(np.array([[0, 7, 7, 7, 9, 0]]), relative_to=None).tolist()
    [[0.0, 1.0, 2.0, 1.0, 1.0, 0.0]]
    >>> distance_map(np.array([[0, 7, 7, 7, 9, 0]])).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.5, 0.0]]
    """
    numbers, _ = renumber(instances)
    one_of("relative_to", relative_to, ("image", "object", None))
    distances = np.zeros(numbers.shape, np.float32)
    for number, (rows, columns) in enumerate(find_objects(numbers), 1):
        # A margin of one pixel is enough: it holds the nearest pixel outside of the object.
        box = slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1)
        mask = numbers[box] == number
        # An object that fills the image has no outside; the image border replaces it.
        own = _distance_to_background(mask) if mask.all() else distance_transform_edt(mask)
        distances[box][mask] = (own / own.max() if relative_to == "object" else own)[mask]
    return distances / max(distances.max(initial=0), 1) if relative_to == "image" else distances


def _distance_to_background(mask: np.ndarray) -> np.ndarray:
    """Return the distance transform; pixels outside of the image count as background."""
    return distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def _markers(depth: np.ndarray, parts: np.ndarray, h_px: float) -> np.ndarray:
    """Return one marker for each h-maximum; every component has at least one.

    A component with a single maximum is its own marker. Each other component is processed in its own box.
    """
    peaks = label_components(local_maxima(depth, connectivity=2) & (parts > 0))
    part_of, _ = _pairs(parts, peaks)
    several = np.bincount(part_of, minlength=parts.max(initial=0) + 1) > 1
    marked = (parts > 0) & ~look_up(several, parts)
    for number, box in _boxes(parts, several):
        own = np.pad(parts[box] == number, 1)
        height = np.where(own, np.pad(depth[box], 1), -h_px - 1)  # the background is deeper than every seed
        lowered = reconstruction(np.where(own, height - h_px, -h_px - 1), height, method="dilation")
        maxima = local_maxima(lowered, connectivity=2) & own
        # A component that is shallower than h is one object.
        marked[box] |= (maxima if maxima.any() else own)[1:-1, 1:-1]
    return label_components(marked)


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of ids above 0 that share a pixel, as two int arrays (n,), sorted."""
    size = int(second.max(initial=0)) + 1
    found = [np.zeros(0, np.int64)]
    for rows in strips(first.shape):
        both = (first[rows] > 0) & (second[rows] > 0)
        found.append(np.unique(first[rows][both].astype(np.int64) * size + second[rows][both]))
    pairs = np.unique(np.concatenate(found))
    return pairs // size, pairs % size


def _boxes(labels: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, Box]]:
    """Yield the ids of a label image that are chosen, bool (n + 1,), and the box of each."""
    for number, box in enumerate(find_objects(labels), 1):
        if box is not None and chosen[number]:
            yield number, box
