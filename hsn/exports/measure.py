"""Measure the objects of a label image: position, shape, stain and neighbors.

Shapes are computed from runs: a run is a row of pixels of one object. Sums over runs replace loops over objects, so
that 100,000 nuclei take seconds. Values that scikit-image's `regionprops` has are equal to its values.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from skimage.measure import label

from ..checks import as_image, as_mpp, same_shape
from ..instances import renumber
from ..objects.outlines import trace_outlines
from ..objects.table import ObjectTable
from ..stains.density import HEMATOXYLIN_EOSIN, complete_basis, optical_density
from ..taxonomies import Taxonomy
from ..types import Segmentation

RING_UM = 3.0  # width of the ring around an object
_SCORE_DIGITS = 6
_ROWS = 1024  # rows of pixels that are measured at once
_STAINS = ("hematoxylin", "eosin")


def measure_objects(
    instances: npt.ArrayLike,
    *,
    labels: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    image: np.ndarray | None = None,
    taxonomy: Taxonomy | None = None,
    mpp: float | None = None,
    origin: tuple[int, int] = (0, 0),
    image_shape: tuple[int, int] | None = None,
    outlines: bool = True,
) -> ObjectTable:
    """Measure the objects of a label image.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.
    labels : int array (H, W), optional
        Class index of each pixel into `taxonomy`. The first pixel of an object decides.
    probabilities : float array (H, W, C), optional
        Per class of `taxonomy`; the score of an object is the mean over its pixels.
    scores : float array (n,), optional
        Scores of the objects instead of `probabilities`.
    image : uint8 array (H, W, 3), optional
        RGB, for the optical densities.
    taxonomy : Taxonomy, optional
        Names and colors of the classes.
    mpp : float, optional
        Micrometers per pixel. Default: unknown; lengths are in pixels, and rings are left out.
    origin : (int, int)
        Row and column of the first pixel in the whole image, for a part of a slide. Default: (0, 0).
    image_shape : (int, int), optional
        Height and width of the whole image. Default: that of `instances`.
    outlines : bool
        Whether to trace the outlines. Default: True.

    Returns
    -------
    ObjectTable
        In the order of the ids; see Notes for the columns.

    Raises
    ------
    InputError
        "label-image-invalid", "shape-mismatch", "image-dtype" or "mpp-range".

    Notes
    -----
    With an unknown scale, `_um` and `_um2` are `_px` and `_px2`, and the columns of the ring are left out.

    ========================================  =====================================================================
    column                                    meaning
    ========================================  =====================================================================
    id                                        as in the label image
    class, score                              class; mean probability of the class in the object
    centroid_x_px, centroid_y_px              center in level-0 pixels; the center of the first pixel is (0.5, 0.5)
    centroid_x_um, centroid_y_um              the same in micrometers
    area_um2, perimeter_um                    pixels; weighted border pixels as in `skimage.measure.perimeter`
    major_axis_um, minor_axis_um              of the ellipse with the same second moments
    eccentricity, solidity                    of this ellipse; area divided by the area of the convex hull
    hematoxylin_mean_od, eosin_mean_od        mean optical density (base 10) of each stain in the object
    hematoxylin_ring_mean_od, ...             the same in a ring of 3 um around it, without other objects
    nearest_neighbor_um                       distance between centroids; NaN for a single object
    tissue_id                                 piece of tissue in which the center is, 0 outside (slides)
    touches_border                            whether the object touches the border of the image
    too_large                                 whether the object was cut, because it is too large (slides)
    ========================================  =====================================================================

    Examples
    --------
    >>> table = measure_objects(np.array([[0, 0, 0, 0], [0, 7, 7, 0], [0, 7, 7, 0], [0, 0, 0, 0]]), mpp=0.5)
    >>> table["id"].tolist(), table["centroid_x_px"].tolist(), table["area_um2"].tolist()
    ([7], [2.0], [1.0])
    """
    numbers, ids = renumber(instances)
    if mpp is not None:
        as_mpp(mpp)
    shape = numbers.shape if image_shape is None else image_shape
    runs = find_runs(numbers)
    anchors = runs.first(len(ids))
    columns: dict[str, np.ndarray] = {"id": ids.astype(np.int64)}
    columns |= _classes(numbers, anchors, labels, probabilities, taxonomy)
    if scores is not None:
        columns["score"] = scores
    columns |= _shapes(numbers, runs, len(ids), origin, mpp)
    if image is not None:
        same_shape("instances", numbers.shape, "image", np.shape(image))
        columns |= stain_densities(numbers, len(ids), as_image(image), mpp)
    unit, scale = ("px", 1.0) if mpp is None else ("um", mpp)
    centers = np.column_stack([columns["centroid_x_px"], columns["centroid_y_px"]])
    columns[f"nearest_neighbor_{unit}"] = nearest_distances(centers) * scale
    columns["touches_border"] = runs.touching(len(ids), origin, shape)
    columns["too_large"] = np.zeros(len(ids), bool)
    columns["anchor_x_px"], columns["anchor_y_px"] = anchors[:, 1] + origin[1], anchors[:, 0] + origin[0]
    colors = {} if taxonomy is None else {tissue.name: tissue.color for tissue in taxonomy.classes}
    traced = trace_outlines(numbers).moved(origin[1], origin[0]) if outlines else None
    return ObjectTable(columns, traced, colors, mpp)


def objects_of(result: Segmentation, *, scores: np.ndarray | None = None) -> ObjectTable:
    """Return the objects of a segmentation; without instances, the 4-connected parts of each class.

    Classes without a net output, such as background, give no objects.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> result = Segmentation(np.array([[0, 1, 0, 1]]), None, np.ones((1, 4, 2)), np.ones(2), GLAS)
    >>> objects_of(result)["class"].tolist()
    ['G.O', 'G.O']
    """
    taxonomy, instances = result.taxonomy, result.instances
    if instances is None:
        instances = class_parts(result.labels, taxonomy)
    return measure_objects(
        instances,
        labels=result.labels,
        probabilities=result.probabilities,
        scores=scores,
        image=result.image,
        taxonomy=taxonomy,
        mpp=result.mpp,
    ).named(result.name)


def class_parts(labels: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """Number the 4-connected parts of each class; classes without a net output, such as background, give none.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> class_parts(np.array([[1, 0, 1]]), GLAS).tolist()
    [[1, 0, 2]]
    """
    hidden = np.isin(labels, [taxonomy.index(name) for name in taxonomy.inferred])
    numbers: np.ndarray = label(np.where(hidden, 0, labels + 1), background=0, connectivity=1)
    return numbers


def find_pieces(x: np.ndarray, y: np.ndarray, tissue: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the number of the piece of tissue at each position, int64 (n,): 1..k, 0 outside of the tissue.

    Parameters
    ----------
    x, y : float array (n,)
        In pixels of the image; the first pixel covers 0 to 1.
    tissue : bool array (h, w)
        Mask of the tissue, at any scale.
    size : (int, int)
        Width and height of the image in pixels.

    Examples
    --------
    >>> find_pieces(np.array([1.0, 5.0, 9.0]), np.zeros(3), np.array([[True, False, True]]), (10, 3)).tolist()
    [1, 0, 2]
    """
    pieces = label(tissue, connectivity=2)
    row, col = (
        np.clip((position / full * side).astype(np.int64), 0, side - 1)
        for position, full, side in zip((y, x), size[::-1], pieces.shape, strict=True)
    )
    return np.asarray(pieces[row, col], np.int64)


def nearest_distances(centers: np.ndarray) -> np.ndarray:
    """Return the distance of each point to the nearest other point, float64 (n,); NaN for a single point.

    Examples
    --------
    >>> nearest_distances(np.array([[0, 0], [3, 4], [3, 5]])).tolist()
    [5.0, 1.0, 1.0]
    """
    if len(centers) < 2:
        return np.full(len(centers), np.nan)
    return np.asarray(cKDTree(centers).query(centers, k=2)[0][:, 1])


# --- Runs ----------------------------------------------------------------------------------------------------------


class Runs(NamedTuple):
    """Rows of pixels of one object, in raster order.

    Attributes
    ----------
    label, row, start, stop : int64 arrays (R,)
        Number of the object from 1, row, first column, and column after the last.
    """

    label: np.ndarray
    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def sums(self, values: np.ndarray, count: int) -> np.ndarray:
        """Return the sum of values of runs per object, float64 (count,)."""
        return np.bincount(self.label - 1, values, count)

    def first(self, count: int) -> np.ndarray:
        """Return row and column of the first pixel of each object, int64 (count, 2)."""
        anchors = np.empty((count, 2), np.int64)
        anchors[self.label[::-1] - 1] = np.column_stack([self.row, self.start])[::-1]
        return anchors

    def touching(self, count: int, origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
        """Return which objects touch the border of the whole image, bool (count,)."""
        row, start, stop = self.row + origin[0], self.start + origin[1], self.stop + origin[1]
        at_border = (row == 0) | (row == shape[0] - 1) | (start == 0) | (stop == shape[1])
        touches = np.zeros(count, bool)
        touches[self.label[at_border] - 1] = True
        return touches


def find_runs(numbers: np.ndarray) -> Runs:
    """Find the runs of a label image, int (H, W).

    Examples
    --------
    >>> find_runs(np.array([[0, 1, 1, 2]]))
    Runs(label=array([1, 2]), row=array([0, 0]), start=array([1, 3]), stop=array([3, 4]))
    """
    height, width = numbers.shape
    parts = []
    for top in range(0, height, _ROWS):
        band = np.zeros((min(_ROWS, height - top), width + 1), numbers.dtype)
        band[:, :-1] = numbers[top : top + _ROWS]
        flat = band.ravel()  # the last column is background, so that no run goes on in the next row
        changes = np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))
        owner, stops = flat[changes], np.append(changes[1:], len(flat))
        kept = owner > 0
        row, start = np.divmod(changes[kept], width + 1)
        stop = start + stops[kept] - changes[kept]
        parts.append((owner[kept].astype(np.int64), row + top, start, stop))
    return Runs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


# --- Shape ---------------------------------------------------------------------------------------------------------


def _classes(
    numbers: np.ndarray,
    anchors: np.ndarray,
    labels: np.ndarray | None,
    probabilities: np.ndarray | None,
    taxonomy: Taxonomy | None,
) -> dict[str, np.ndarray]:
    """Return the columns class and score."""
    if labels is None:
        return {}
    same_shape("instances", numbers.shape, "labels", labels.shape)
    indices = np.asarray(labels)[anchors[:, 0], anchors[:, 1]].astype(np.int64)
    names = indices.astype(str) if taxonomy is None else np.array([*taxonomy.names], dtype=str)[indices]
    columns = {"class": names}
    if probabilities is not None:
        columns["score"] = mean_scores(numbers, indices, probabilities)
    return columns


def mean_scores(numbers: np.ndarray, indices: np.ndarray, probabilities: Any) -> np.ndarray:
    """Return the mean probability of its class in each object, float64 (n,), rounded to six digits.

    Parameters
    ----------
    numbers : int array (H, W)
        0 background, 1..n.
    indices : int array (n,)
        Class index of each object.
    probabilities : float array (H, W, C)

    Examples
    --------
    >>> mean_scores(np.array([[0, 1, 1]]), np.array([1]), np.array([[[1, 0], [0.5, 0.5], [0, 1]]])).tolist()
    [0.75]
    """
    same_shape("instances", numbers.shape, "probabilities", probabilities.shape)
    count, lookup = len(indices), np.append(0, indices)
    sums, areas = np.zeros(count + 1), np.zeros(count + 1)
    for top in range(0, len(numbers), _ROWS):
        rows, cols = np.nonzero(numbers[top : top + _ROWS])
        owner = numbers[rows + top, cols]
        value = np.asarray(probabilities[top : top + _ROWS])[rows, cols, lookup[owner]]
        sums += np.bincount(owner, value, count + 1)
        areas += np.bincount(owner, minlength=count + 1)
    return np.round(sums[1:] / areas[1:], _SCORE_DIGITS)


def _shapes(
    numbers: np.ndarray, runs: Runs, count: int, origin: tuple[int, int], mpp: float | None
) -> dict[str, np.ndarray]:
    """Return the columns of position and shape."""
    unit, scale = ("px", 1.0) if mpp is None else ("um", mpp)
    length = (runs.stop - runs.start).astype(float)
    area = runs.sums(length, count)
    middle = (runs.start + runs.stop - 1) / 2
    row, col = runs.sums(runs.row * length, count) / area, runs.sums(middle * length, count) / area
    # Second moments around the centroid; within a run of length n, columns vary by (n^2 - 1) / 12.
    down, right = runs.row - row[runs.label - 1], middle - col[runs.label - 1]
    rr = runs.sums(down**2 * length, count) / area
    cc = runs.sums((right**2 + (length**2 - 1) / 12) * length, count) / area
    rc = runs.sums(down * right * length, count) / area
    mean, spread = (rr + cc) / 2, np.sqrt(((rr - cc) / 2) ** 2 + rc**2)
    large, small = mean + spread, np.maximum(mean - spread, 0)
    x, y = col + 0.5 + origin[1], row + 0.5 + origin[0]
    position = {"centroid_x_px": x, "centroid_y_px": y}
    if mpp is not None:
        position |= {"centroid_x_um": x * mpp, "centroid_y_um": y * mpp}
    return position | {
        f"area_{unit}2": area * scale**2,
        f"perimeter_{unit}": _perimeters(numbers, count) * scale,
        f"major_axis_{unit}": 4 * np.sqrt(large) * scale,
        f"minor_axis_{unit}": 4 * np.sqrt(small) * scale,
        "eccentricity": np.sqrt(1 - np.divide(small, large, out=np.ones(count), where=large > 0)),
        "solidity": area / hull_areas(runs, count),
    }


def _perimeters(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return the perimeters in pixels as `skimage.measure.perimeter` computes them, float64 (count,).

    A pixel at the border of its object counts by its neighbors at the border: 10 for each diagonal one, 2 for each
    other one, 1 for itself.
    """
    weights = np.zeros(50)
    weights[[5, 7, 15, 17, 25, 27]] = 1
    weights[[21, 33]] = np.sqrt(2)
    weights[[13, 23]] = (1 + np.sqrt(2)) / 2
    total = np.zeros(count)
    for top in range(0, len(numbers), _ROWS):
        # Two more rows on each side: border pixels of the row outside are neighbors, too.
        part = np.zeros((min(_ROWS, len(numbers) - top) + 4, numbers.shape[1] + 2), numbers.dtype)
        first = max(0, top - 2)
        inner = numbers[first : top + len(part) - 2]
        part[first - top + 2 : first - top + 2 + len(inner), 1:-1] = inner
        center = part[1:-1, 1:-1]
        border = center > 0
        border &= (
            (part[:-2, 1:-1] != center) | (part[2:, 1:-1] != center)
            | (part[1:-1, :-2] != center) | (part[1:-1, 2:] != center)
        )  # fmt: skip
        marked = np.zeros(part.shape, numbers.dtype)
        marked[1:-1, 1:-1] = np.where(border, center, 0)
        rows, cols = np.nonzero(marked[2:-2])
        rows += 2
        owner, code = marked[rows, cols], np.ones(len(rows), np.int64)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if down or right:
                    code += (10 if down and right else 2) * (marked[rows + down, cols + right] == owner)
        total += np.bincount(owner - 1, weights[code], count)
    return total


def hull_areas(runs: Runs, count: int) -> np.ndarray:
    """Return the number of pixels in the convex hull of each object, int64 (count,), as scikit-image counts them.

    The hull is that of the middles of the pixels' edges. A pixel belongs to it if its center does.
    """
    if not count:
        return np.zeros(0, np.int64)
    # Coordinates are doubled, so that the middles of edges are whole numbers.
    x = np.concatenate([2 * runs.start - 1, 2 * runs.stop - 1, *[2 * runs.start, 2 * runs.stop - 2] * 2])
    y = np.concatenate([*[2 * runs.row] * 2, *[2 * runs.row - 1] * 2, *[2 * runs.row + 1] * 2])
    owner = np.tile(runs.label, 6)
    order = np.argsort(owner, kind="stable")
    points = np.column_stack([x, y]).astype(np.int32)[order]
    ends = np.searchsorted(owner[order], np.arange(1, count + 1), "right")
    starts = np.append(0, ends[:-1])
    hulls = [
        cv2.convexHull(points[start:end])[:, 0]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    here = np.concatenate(hulls).astype(np.int64)
    sizes = np.array([len(hull) for hull in hulls])
    following = np.arange(1, len(here) + 1)
    lasts = np.cumsum(sizes)
    following[lasts - 1] = np.append(0, lasts[:-1])
    return _centers_inside(here, here[following], np.repeat(np.arange(count), sizes), count)


def _centers_inside(here: np.ndarray, there: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Count the points with even coordinates in convex polygons, from their edges; points on edges count."""
    forward = here[:, 1] < there[:, 1]
    low, high = np.where(forward[:, None], here, there), np.where(forward[:, None], there, here)
    first, last = -(-low[:, 1] // 2), high[:, 1] // 2  # rows of pixels that the edge crosses
    last = np.where(low[:, 1] == high[:, 1], first - 1, last)
    # A row through the upper end of an edge is counted by the next edge.
    last -= (last * 2 == high[:, 1]) & (last >= first)
    crossed = np.maximum(last - first + 1, 0)
    edge = np.repeat(np.arange(len(low)), crossed)
    row = np.repeat(first - np.cumsum(crossed) + crossed, crossed) + np.arange(len(edge))
    width, height = (high - low)[edge].T
    at = (2 * row - low[edge, 1]) * width + low[edge, 0] * height  # x of the edge in this row, times `height`
    # A pixel's center has the doubled coordinate 2 * column.
    left = -(-at // (2 * height))
    right = at // (2 * height) + 1
    # Each row is crossed twice: the left edge gives the first column, the right one the column after the last.
    is_left = _left_edges(here, there)[edge]
    signed = np.where(is_left, -left, right)
    return np.bincount(owner[edge], signed, count).astype(np.int64)


def _left_edges(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return which edges of the hulls of OpenCV, which run one way round, are on the left side."""
    return there[:, 1] < here[:, 1]


# --- Stain ---------------------------------------------------------------------------------------------------------


def stain_densities(
    numbers: np.ndarray, count: int, image: np.ndarray, mpp: float | None
) -> dict[str, np.ndarray]:
    """Return the mean optical density of hematoxylin and eosin in each object, and in the ring around it.

    Parameters
    ----------
    numbers : int array (H, W)
        0 background, 1..count.
    count : int
        Number of objects.
    image : uint8 array (H, W, 3)
    mpp : float or None
        Micrometers per pixel; None: no ring.

    Returns
    -------
    dict of str to float64 array (count,)
        NaN for an object without a ring.
    """
    unmix = _unmixing()
    radius = None if mpp is None else RING_UM / mpp
    margin = 0 if radius is None else int(np.ceil(radius)) + 2
    inside, ring = np.zeros((3, count + 1)), np.zeros((3, count + 1))
    for top in range(0, len(numbers), _ROWS):
        first = max(0, top - margin)
        window = numbers[first : top + _ROWS + margin]
        rows = slice(top - first, top - first + min(_ROWS, len(numbers) - top))
        density = cv2.transform(optical_density(image[top : top + _ROWS]), unmix)
        inside += _sums(window[rows], density, count)
        if radius is not None:
            ring += _sums(_rings(window, radius)[rows], density, count)
    means = {"": inside}
    if radius is not None:
        means["_ring"] = ring
    with np.errstate(invalid="ignore"):
        return {
            f"{stain}{place}_mean_od": sums[1 + k, 1:] / sums[0, 1:]
            for place, sums in means.items()
            for k, stain in enumerate(_STAINS)
        }


def _unmixing() -> np.ndarray:
    """Return the matrix from the density of RGB (base e) to that of both stains (base 10), float32 (2, 3)."""
    directions = HEMATOXYLIN_EOSIN / np.linalg.norm(HEMATOXYLIN_EOSIN, axis=1, keepdims=True)
    inverse = np.linalg.inv(complete_basis(directions))[:, :2]  # rows of densities times this
    return (inverse.T / np.log(10)).astype(np.float32)


def _sums(owner: np.ndarray, density: np.ndarray, count: int) -> np.ndarray:
    """Return number of pixels and sums of both densities per object, float64 (3, count + 1)."""
    at = np.flatnonzero(owner)
    owner, density = owner.ravel()[at], density.reshape(-1, 2)[at]
    return np.stack([
        np.bincount(owner, minlength=count + 1),
        *(np.bincount(owner, density[:, k], count + 1) for k in range(2)),
    ])  # fmt: skip


def _rings(numbers: np.ndarray, radius: float) -> np.ndarray:
    """Return the object whose ring a pixel belongs to, 0 elsewhere: the nearest object within `radius` pixels."""
    background = (numbers == 0).astype(np.uint8)
    if background.all():
        return np.zeros_like(numbers)
    distance, nearest = cv2.distanceTransformWithLabels(
        background, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owners = np.zeros(nearest.max() + 1, numbers.dtype)
    owners[nearest[background == 0]] = numbers[background == 0]
    return np.where((background > 0) & (distance <= radius), owners[nearest], 0)
