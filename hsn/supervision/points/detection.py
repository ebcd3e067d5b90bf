"""Detect: where nuclei are, learned from clicks on some of them.

A click says "a nucleus here", by a Gaussian bump, and "no other one around it", up to twice a nuclear radius; beyond
that it says nothing (the extended Gaussian mask of Qu et al., IEEE TMI 2020). What the net then sees is turned into
points again.

Targets are drawn from clicks *after* these were moved with their crop, while the released code warps the drawn bumps,
seeks their summits and draws them anew. Both end in clean bumps; moving the clicks loses none to the search for
summits, and no zoom or blur can shift them.
"""

import cv2
import numpy as np
from scipy.spatial import KDTree
from skimage.feature import peak_local_max

from ...annotations.points import as_points
from ...objects.cleaning import label_components
from ...types import Targets

GREYS = 255  # the released code keeps bumps and probabilities in files of 8 bits


def click_targets(points, shape, config, *, background=None):
    """Draw what a detector learns from clicks.

    Parameters
    ----------
    points : float array, shape (N, 2)
        At the net's scale. Those outside are drawn as far as they reach in.
    shape : (int, int)
    config : Config
    background : bool array, shape (H, W), optional
        Where there is surely no nucleus, beside what the clicks say.

    Returns
    -------
    Targets
        `target`, float32 (H, W) in [0, 1], 1 on a click, in steps of 1 / 255; `weight`, float32 (H, W):
        `config.click_weight` on a bump, 1 on background, 0 where nothing is known.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> target, weight = click_targets([[0, 0]], (1, 30), preset("qu2020"))
    >>> (255 * target[0, :8]).round().astype(int).tolist(), int((weight > 0).sum())
    ([255, 238, 195, 140, 88, 48, 23, 0], 23)
    """
    away = _distance(
        as_points(points), shape, reach_px=int(np.ceil(config.background_radii * config.radius_px))
    )
    sigma_px = config.radius_px / config.radii_per_sigma
    bump = np.exp(-0.5 * (away / sigma_px) ** 2)
    target = np.floor(GREYS * np.where(bump < config.min_gaussian, 0, bump)) / GREYS  # (H, W)
    known = away <= config.background_radii * config.radius_px
    if background is not None:
        known = known | background
    weight = np.where(target > 0, config.click_weight, known)
    return Targets(target.astype(np.float32), weight.astype(np.float32))


def _distance(points, shape, *, reach_px):
    """How far the nearest click is from each pixel, float32 (H, W), in pixels; large where none is near."""
    pixels = np.floor(points + np.float32(0.5)).astype(np.int64) + reach_px
    padded = tuple(side + 2 * reach_px for side in shape)
    pixels = pixels[((pixels >= 0) & (pixels < padded)).all(axis=1)]
    if not len(pixels):
        return np.full(shape, np.inf, np.float32)
    elsewhere = np.ones(padded, np.uint8)
    elsewhere[tuple(pixels.T)] = 0
    away = cv2.distanceTransform(elsewhere, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return away[reach_px : reach_px + shape[0], reach_px : reach_px + shape[1]]


def find_points(probability, config, *, likely=None):
    """Points from a detector's probabilities.

    Parameters
    ----------
    probability : float array, shape (H, W)
        At the net's scale.
    config : Config
    likely : float, optional
        From which probability on a pixel belongs to a nucleus; by default the config's.

    Returns
    -------
    float32 array, shape (N, 2)
        Row and column in pixels of `probability`, row by row.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> probability = np.zeros((9, 40))
    >>> probability[2:7, 5:10] = 0.5
    >>> probability[2:7, 20:27] = 0.2
    >>> find_points(probability, preset("qu2020")).tolist()
    [[4.0, 7.0]]
    """
    likely = probability > (config.detection_threshold if likely is None else likely)
    if config.detection_peaks == "maxima":
        apart_px = max(1, round(config.radius_px / 2))  # two nuclei are not nearer
        found = peak_local_max(
            np.where(likely, probability, 0), min_distance=apart_px, exclude_border=False, labels=likely
        )
        return as_points(found[np.lexsort(found.T[::-1])])
    parts, areas = parts_of(likely, config)
    fit = (areas >= config.min_peak_area_um2) & (areas < config.max_peak_area_um2)
    rows, columns = np.nonzero(likely)
    numbers = parts[rows, columns] - 1
    sums = [np.bincount(numbers, weights=places, minlength=len(areas)) for places in (rows, columns)]
    counts = np.bincount(numbers, minlength=len(areas))
    return as_points((np.array(sums) / np.maximum(counts, 1)).T[fit])


def parts_of(mask, config):
    """The 8-connected parts of a mask, and the area of each in um2."""
    parts = label_components(mask, connectivity=8)
    return parts, np.bincount(parts.ravel())[1:] * config.mpp**2


def merged(given, found, config):
    """The clicks, and what was found farther than a radius from each of them.

    Parameters
    ----------
    given, found : float arrays, shapes (N, 2) and (M, 2)
        At the net's scale.
    config : Config

    Returns
    -------
    float32 array, shape (K, 2)
        The clicks first; found points as whole pixels.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> merged([[5, 5]], [[9, 9], [5.5, 40.8]], preset("qu2020")).tolist()
    [[5.0, 5.0], [5.0, 40.0]]
    """
    given, found = as_points(given), np.floor(as_points(found))
    if len(given) and len(found):
        found = found[KDTree(np.floor(given + 0.5)).query(found)[0] > config.radius_px]
    return np.concatenate([given, found]).astype(np.float32)
