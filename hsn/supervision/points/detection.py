"""Detection of nuclei: targets from clicks on some of them, and points and background from probabilities.

A click gives a Gaussian peak, and background around it up to two nuclear radii; beyond that nothing is known (the
extended Gaussian mask of Qu et al., IEEE TMI 2020).

Targets are drawn from clicks that moved with their crop. The released code warps the drawn peaks, detects their maxima
and draws them again. Moving the clicks loses none of them, and does not shift them.
"""

import cv2
import numpy as np
from skimage.feature import peak_local_max

from ...annotations.points import as_points
from ...objects.cleaning import label_components
from ...types import Targets

LEVELS = 255  # the released code stores peaks and probabilities in 8 bits


def click_targets(points, shape, config, *, background=None):
    """Return the target and the weight of a detector for some clicks.

    Parameters
    ----------
    points : float array, shape (N, 2)
        At the net's scale. Peaks of points outside are drawn where they reach into the image.
    shape : (int, int)
    config : Config
    background : bool array, shape (H, W), optional
        Known background, beside that around the clicks.

    Returns
    -------
    Targets
        `target`, float32 (H, W) in [0, 1], 1 on a click, in steps of 1 / 255; `weight`, float32 (H, W):
        `config.click_weight` on a peak, 1 on background, 0 where nothing is known.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> target, weight = click_targets([[0, 0]], (1, 30), preset("qu2020"))
    >>> (255 * target[0, :8]).round().astype(int).tolist(), int((weight > 0).sum())
    ([255, 238, 195, 140, 88, 48, 23, 0], 23)
    """
    known_radius_px = config.background_radii * config.radius_px
    distance = _distance(as_points(points), shape, max_px=int(np.ceil(known_radius_px)))
    sigma_px = config.radius_px / config.radii_per_sigma
    peak = np.exp(-0.5 * (distance / sigma_px) ** 2)
    target = np.floor(LEVELS * np.where(peak < config.min_gaussian, 0, peak)) / LEVELS  # (H, W)
    known = distance <= known_radius_px
    if background is not None:
        known = known | background
    weight = np.where(target > 0, config.click_weight, known)
    return Targets(target.astype(np.float32), weight.astype(np.float32))


def _distance(points, shape, *, max_px):
    """Return the distance of each pixel to the closest point, float32 (H, W), in pixels.

    Points farther than `max_px` outside are ignored; without points the distance is infinite.
    """
    pixels = np.floor(points + np.float32(0.5)).astype(np.int64) + max_px
    padded = tuple(side + 2 * max_px for side in shape)
    pixels = pixels[((pixels >= 0) & (pixels < padded)).all(axis=1)]
    if not len(pixels):
        return np.full(shape, np.inf, np.float32)
    no_point = np.ones(padded, np.uint8)
    no_point[tuple(pixels.T)] = 0
    distance = cv2.distanceTransform(no_point, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance[max_px : max_px + shape[0], max_px : max_px + shape[1]]


def find_points(probability, config, *, threshold=None):
    """Find points in the probabilities of a detector.

    Parameters
    ----------
    probability : float array, shape (H, W)
        At the net's scale.
    config : Config
    threshold : float, optional
        Probability above which a pixel belongs to a nucleus. Default: `config.detection_threshold`.

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
    mask = probability > (config.detection_threshold if threshold is None else threshold)
    if config.detection_peaks == "maxima":
        min_distance_px = max(1, round(config.radius_px / 2))
        found = peak_local_max(
            np.where(mask, probability, 0), min_distance=min_distance_px, exclude_border=False, labels=mask
        )
        return as_points(found[np.lexsort(found.T[::-1])])
    components, areas_um2 = _components(mask, config)
    accepted = (areas_um2 >= config.min_peak_area_um2) & (areas_um2 < config.max_peak_area_um2)
    positions = np.nonzero(mask)
    numbers = components[positions] - 1
    sums = [np.bincount(numbers, weights=axis, minlength=len(areas_um2)) for axis in positions]
    counts = np.bincount(numbers, minlength=len(areas_um2))
    return as_points((np.array(sums) / np.maximum(counts, 1)).T[accepted])


def _components(mask, config):
    """Return the 8-connected components of a mask, and the area of each in um2."""
    components = label_components(mask, connectivity=8)
    return components, np.bincount(components.ravel())[1:] * config.mpp**2


def find_background(probability, config):
    """Return the background in the probabilities of a detector, for the next round.

    Only background is added in self-training, as in Qu et al. (IEEE TMI 2020): no nucleus that was not clicked.

    Parameters
    ----------
    probability : float array, shape (H, W)
        In [0, 1], at the net's scale; rounded down to steps of 1 / 255, as in the files of the released code.
    config : Config

    Returns
    -------
    bool array, shape (H, W)
        Pixels below `config.background_threshold`, and components above `config.bright_threshold` that are too large
        for the peak of a nucleus.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> probability = np.full((40, 40), 0.5)
    >>> probability[:20, :20], probability[30:35, 30:35], probability[0, 30:] = 0.8, 0.8, 0.05
    >>> background = find_background(probability, preset("qu2020"))
    >>> int(background.sum()), bool(background[32, 32])
    (410, False)
    """
    rounded = np.floor(LEVELS * np.asarray(probability)) / LEVELS
    components, areas_um2 = _components(rounded > config.bright_threshold, config)
    too_large = np.append(False, areas_um2 >= config.max_peak_area_um2)
    return (rounded < config.background_threshold) | too_large[components]
