"""Cluster labels: colour and the distance to the nearest click tell nuclei from background, roughly.

Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020: k-means with three
clusters on colour and distance, cleaned cell by cell.

All lengths are those of 0.25 um per pixel (40x), where a nucleus has a radius of some 11 pixels; `scale` stretches
them to another image.
"""

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects, generate_binary_structure
from scipy.ndimage import label as components

from .._refuse import as_image, refuse
from ..types import Targets
from .points import pixels
from .voronoi import _edges, nearest

# The paper's constants; pixels at 0.25 um per pixel.
CLUSTERS = 3  # nuclei, background, and what is between
LEVELS_PER_UNIT = 10.0  # grey levels that count as much as one pixel of distance
FARTHEST_PX = 20.0  # distances to points beyond it are all the same
AROUND_PX = 5.0  # around points: which cluster overlaps least with it is background
LEAST_AREA_PX = 30  # smaller parts of the nuclei are noise
CELL_GROWTH_PX = 2.0  # cells reach so far over their edges
GROWTH_PX, SHRINKING_PX = 5.0, 7.0  # a closing that takes 2 pixels away from every nucleus
NO_BACKGROUND_PX = 10.0  # around points nothing is background

# How the clusters are found.
_RESTARTS = 3  # ten gave the same scores (on 3 images)
_FIRST_LOOK_PX = 20_000  # pixels that the starts are compared on; all are used from there
_MOST_ROUNDS = 100
_SETTLED = 1e-4  # share of the pixels that change cluster in a round
_EIGHT = generate_binary_structure(2, 2)


def cluster_label(image, points, *, seed=0, scale=1.0, rule="paper"):
    """Turn points into a coarse label by the colours around them.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    points : float array, shape (N, 2)
        Row and column; at least one.
    seed : int
        Of the starts of k-means.
    scale : float
        Factor on lengths, which are those of 0.25 um per pixel: 0.25 / mpp of the image.

    Returns
    -------
    Targets
        `target` float32 (H, W), 1 nucleus and 0 background; `weight` float32 (H, W), 0 where unknown.
    """
    image, distance, places, cells = _prepared(image, points, scale)
    numbers = _clustered(_features(image, distance, scale), seed)  # (H, W)
    nuclei, background = _paper_roles(numbers, places, distance, scale)
    nuclei = _cleaned(_without_specks(numbers == nuclei, scale), cells, scale)
    background = (numbers == background) & ~nuclei & (distance > NO_BACKGROUND_PX * scale)
    return Targets(nuclei.astype(np.float32), (nuclei | background).astype(np.float32))


def _prepared(image, points, scale):
    """The image, distances to points in its pixels, pixels of the points, and numbered cells."""
    image = as_image(image)
    if not scale > 0:
        refuse("`scale` must be positive", expected="0.25 / mpp", received=scale,
               remedy="leave it out at 0.25 um per pixel")  # fmt: skip
    distance, owners = nearest(points, image.shape[:2])
    cells = components(~_edges(*owners), _EIGHT)[0].astype(np.float32)  # OpenCV dilates floats
    return (
        image,
        distance,
        pixels(points, image.shape[:2]),
        cv2.dilate(cells, _disk(CELL_GROWTH_PX * scale)).astype(np.int32),
    )


def _features(image, distance, scale=1.0):
    """Colour and distance of every pixel in comparable units, float32 (H, W, 4)."""
    far = np.minimum(distance / scale, FARTHEST_PX)
    return np.dstack([image / np.float32(LEVELS_PER_UNIT), far.astype(np.float32)])


def _clustered(features, seed):
    """Number every pixel 0..2 by k-means: the best of some starts on a sample, then settled on all pixels."""
    pixels_of = features.reshape(-1, features.shape[-1])
    rng = np.random.default_rng(seed)
    some = pixels_of[rng.choice(len(pixels_of), min(_FIRST_LOOK_PX, len(pixels_of)), replace=False)]
    tried = [_settled(some, _spread(some, rng)) for _ in range(_RESTARTS)]
    _, centres, _ = min(tried, key=lambda found: found[2])
    return _settled(pixels_of, centres)[0].reshape(features.shape[:2])


def _spread(values, rng):
    """Starts of k-means that lie apart, by k-means++ (Arthur and Vassilvitskii, SODA 2007)."""
    centres = [values[rng.integers(len(values))]]
    while len(centres) < CLUSTERS:
        away = np.min(
            [np.square(values - centre).sum(axis=1, dtype=np.float64) for centre in centres], axis=0
        )
        # A picture of one colour has nothing that lies apart.
        chances = away / away.sum() if away.any() else None
        centres.append(values[rng.choice(len(values), p=chances)])
    return np.array(centres)


def _settled(values, centres):
    """Lloyd's rounds until hardly a value changes its cluster: numbers (n,), centres (k, d), mean squared distance."""
    before = np.full(len(values), -1)
    for _ in range(_MOST_ROUNDS):
        # |v - c|^2 without |v|^2, which is the same for all clusters
        away = np.square(centres).sum(axis=1) - 2 * (values @ centres.T)  # (n, k)
        numbers = away.argmin(axis=1)
        counts = np.bincount(numbers, minlength=len(centres))
        sums = np.stack([np.bincount(numbers, v, len(centres)) for v in values.T], axis=1)  # (k, d)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(
            np.float32
        )
        if np.count_nonzero(numbers != before) <= _SETTLED * len(values):
            break
        before = numbers
    spread = np.square(values).sum(axis=1) + away.min(axis=1)
    return numbers, centres, float(spread.mean())


def _paper_roles(numbers, places, distance, scale):
    """Which cluster is nuclei (most points) and which background (least around points)."""
    at_points = np.bincount(numbers[tuple(places.T)], minlength=CLUSTERS)
    nuclei = int(at_points.argmax())
    around = np.bincount(numbers[distance <= AROUND_PX * scale], minlength=CLUSTERS)
    around[nuclei] = around.max() + 1
    return nuclei, int(around.argmin())


def _without_specks(mask, scale):
    """The 8-connected parts of a mask that are no noise."""
    parts, count = components(mask, _EIGHT)
    stays = np.bincount(parts.ravel(), minlength=count + 1) >= LEAST_AREA_PX * scale**2
    stays[0] = False
    return stays[parts]


def _cleaned(mask, cells, scale):
    """Grow, fill and shrink the nuclei of each cell for itself; all lies in a box around the cell."""
    grow, shrink = _disk(GROWTH_PX * scale), _disk(SHRINKING_PX * scale)
    margin = (
        grow.shape[0] // 2 + 1
    )  # beyond it nothing grows; at the end of the image erosion sees no background
    cleaned = np.zeros(mask.shape, bool)
    for number, own in enumerate(find_objects(cells), 1):
        if own is None:
            continue
        box = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in own)
        inside = (mask[box] & (cells[box] == number)).astype(np.uint8)
        if inside.any():
            filled = binary_fill_holes(cv2.dilate(inside, grow)).astype(np.uint8)
            cleaned[box] |= cv2.erode(filled, shrink) > 0
    return cleaned


def _disk(radius):
    """A disk as OpenCV's structuring element: pixels up to `radius` from the middle."""
    offsets = np.arange(-int(radius), int(radius) + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)
