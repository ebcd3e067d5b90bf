"""Statistics of the training images of a net, and a check whether an image resembles them.

Features are measured at the net's scale. Colors are fractions of optical density, so that the strength of the stains
does not matter. Details are the energies of five octaves of the density, relative to their sum. Blurred and shrunk
copies of the training images set the limits for focus and scale. A net with a pretrained encoder compares scales by the
means of its feature maps, because details of nuclei differ more between organs than between scales.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .density import optical_density

_MIN_TISSUE_DENSITY = 0.15  # as in Macenko's method
_MAX_DENSITY = 4.0  # darker pixels are noise
_MAX_SIDE_PX = 512  # a central part is enough
_BLANK = 0.05  # largest fraction of tissue that can be "nearly blank"
_BLUR_PX = 2.0  # sigma of the blurred copies
_MAX_IMAGES = 64  # more training images do not change the limits
_SHRINKAGE = 0.1  # fraction of the covariance's diagonal in its estimate
_COLOR_MARGIN = 1.5  # factor on the 95th percentile of the distances of left-out training images
_FOLDS = 8
_MIN_IMAGES = 8  # fewer give no reliable limits
_COLORS, _OCTAVES = 5, 5
_OWN = 1 + _COLORS + 2 * _OCTAVES  # features without those of an encoder
_RIDGE = 0.01  # penalty of the discriminant of many features, in units of their variance
_DOUBTFUL = 0.9  # quantile of the scores of left-out training images from which the scale is in doubt
_DIGITS = 6  # significant ones of stored numbers

Encode = Callable[[np.ndarray], np.ndarray]

_Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Domain:
    """Statistics of the training images of a net.

    Attributes
    ----------
    min_tissue : float
        Smallest fraction of tissue.
    color_center, color_precision, max_color_distance : tuple, tuple of tuples, float
        Mean and inverse covariance of the colors, and the largest Mahalanobis distance.
    min_sharpness : float
        Smallest ratio of the finest octave to the third, as a natural logarithm.
    scale_weights, max_scale_score : tuple, float
        Linear discriminant of images at half the size, of details or of features of an encoder, and its largest value.
    doubtful_scale_score : float or None
        Value of the discriminant that 90 % of the training images do not exceed: from here on, small objects are a
        reason to doubt the scale. None for cards of older versions.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> images = [cv2.resize(rng.integers(60, 200, (40, 40, 3), np.uint8), (160, 160)) for _ in range(8)]
    >>> domain = fit_domain(images)
    >>> find_departures(images[0], domain), find_departures(np.full((160, 160, 3), 250, np.uint8), domain)
    ([], ['nearly blank'])
    """

    min_tissue: float
    color_center: _Numbers
    color_precision: tuple[_Numbers, ...]
    max_color_distance: float
    min_sharpness: float
    scale_weights: _Numbers
    max_scale_score: float
    doubtful_scale_score: float | None = None


def measure(image: npt.ArrayLike, encode: Encode | None = None) -> np.ndarray:
    """Measure the features of an image: uint8 (H, W, 3) -> float64 (16 + d,).

    Fraction of tissue; five numbers of colors; five logarithms and five skewnesses of octaves, finest first; the d
    features of `encode`.
    """
    pixels = _central_part(np.asarray(image))
    density = np.minimum(optical_density(pixels), _MAX_DENSITY)
    gray = cv2.transform(density, np.full((1, 3), 1 / 3, np.float32)).reshape(density.shape[:2])
    tissue = gray >= _MIN_TISSUE_DENSITY
    encoded = np.zeros(0) if encode is None else encode(pixels)
    return np.concatenate([[tissue.mean()], _colors(density[tissue][::3]), _octaves(gray), encoded])


def fit_domain(images: Iterable[np.ndarray], encode: Encode | None = None) -> Domain | None:
    """Measure training images at the net's scale: uint8 (H, W, 3); None for fewer than eight with tissue.

    Parameters
    ----------
    images : iterable of uint8 arrays
        At most 64 images of a sequence are used, evenly spread.
    encode : callable, optional
        uint8 (H, W, 3) -> float64 (d,): features of the net's encoder, for the scale. Default: details.
    """
    if isinstance(images, Sequence):
        images = [images[k] for k in spread(len(images))]
    originals, blurred, halved = [], [], []
    for image in images:
        image = np.asarray(image)
        row = measure(image, encode)
        if row[0] < _BLANK / 4 or min(image.shape[:2]) < 32:
            continue
        originals.append(row)
        blurred.append(measure(cv2.GaussianBlur(image, (0, 0), _BLUR_PX)))
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        halved.append(measure(half, encode))
    if len(originals) < _MIN_IMAGES:
        return None
    rows, blurs, halves = map(np.array, (originals, blurred, halved))
    center, precision = _gaussian(_color(rows))
    weights = _discriminant(_scale(rows), _scale(halves))
    distances, scores, half_scores = _left_out(rows, halves)
    sharpness = np.quantile(_sharpness(rows), 0.02), np.quantile(_sharpness(blurs), 0.95)
    highest = np.quantile(scores, 0.98)
    return Domain(
        min_tissue=float(min(_BLANK, rows[:, 0].min() / 2)),
        color_center=_tuple(center),
        color_precision=tuple(map(_tuple, precision)),
        max_color_distance=float(_COLOR_MARGIN * np.quantile(distances, 0.95)),
        min_sharpness=float(np.mean(sharpness)),
        scale_weights=_tuple(weights),
        max_scale_score=float(max(highest, (highest + np.quantile(half_scores, 0.05)) / 2)),
        doubtful_scale_score=float(np.quantile(scores, _DOUBTFUL)),
    )


def find_departures(image: npt.ArrayLike, domain: Domain, encode: Encode | None = None) -> list[str]:
    """Name what separates an image at the net's scale, uint8 (H, W, 3), from the training images.

    The scale is compared only with the `encode` that `fit_domain` had.

    Returns
    -------
    list of str
        "nearly blank" alone, or any of "stain unlike the training images", "looks out of focus" and "scale unlike the
        training images"; empty for an image that resembles them.
    """
    return departures_of(measure(image, encode), domain)


def departures_of(row: np.ndarray, domain: Domain) -> list[str]:
    """Name the departures of an image with the features `row` of `measure`; see `find_departures`."""
    if row[0] < domain.min_tissue:
        return ["nearly blank"]
    found = []
    precision = np.array(domain.color_precision)
    if _distance(_color(row), np.array(domain.color_center), precision) > domain.max_color_distance:
        found.append("stain unlike the training images")
    if _sharpness(row) < domain.min_sharpness:
        found.append("looks out of focus")
    elif _scale_score(row, domain) > domain.max_scale_score:
        found.append("scale unlike the training images")
    return found


def is_scale_doubtful(row: np.ndarray, domain: Domain) -> bool:
    """Return whether an image with the features `row` is nearer to half size than 90 % of the training images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> images = [cv2.resize(rng.integers(60, 200, (40, 40, 3), np.uint8), (160, 160)) for _ in range(8)]
    >>> domain = fit_domain(images)
    >>> [is_scale_doubtful(measure(cv2.resize(images[0], (side, side))), domain) for side in (160, 80)]
    [False, True]
    """
    return domain.doubtful_scale_score is not None and _scale_score(row, domain) > domain.doubtful_scale_score


def _scale_score(row: np.ndarray, domain: Domain) -> float:
    """Return the value of the discriminant; minus infinity if it was fitted with other features."""
    features, weights = _scale(row), np.array(domain.scale_weights)
    return float(features @ weights) if len(features) == len(weights) else -np.inf


def spread(count: int) -> list[int]:
    """Return at most 64 evenly spread indices below `count`."""
    return np.linspace(0, count - 1, min(count, _MAX_IMAGES)).astype(int).tolist()


def _central_part(pixels: np.ndarray) -> np.ndarray:
    top, left = (max(0, (side - _MAX_SIDE_PX) // 2) for side in pixels.shape[:2])
    return pixels[top : top + _MAX_SIDE_PX, left : left + _MAX_SIDE_PX]


def _colors(tissue: np.ndarray) -> np.ndarray:
    """Return means, spreads and correlation of the red and blue fractions of density, (n, 3) -> (5,)."""
    if len(tissue) < 2:
        return np.zeros(_COLORS)
    total = tissue.sum(axis=1, dtype=np.float64)
    red, blue = tissue[:, 0] / total, tissue[:, 2] / total
    covariance = np.cov(red, blue, aweights=total) + 1e-5 * np.eye(2)
    deviations = np.sqrt(np.diag(covariance))
    correlation = np.arctanh(covariance[0, 1] / deviations.prod())
    means = np.average([red, blue], axis=1, weights=total)
    return np.array([*means, *np.log(deviations), correlation / 4])


def _octaves(gray: np.ndarray) -> np.ndarray:
    """Return logarithms of the energies of octaves, and their skewnesses, (H, W) -> (10,)."""
    energies, skewnesses, finer = [], [], gray
    for sigma in 2.0 ** np.arange(_OCTAVES):
        coarser = cv2.GaussianBlur(gray, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        band = finer - coarser
        square = band * band
        energies.append(float(square.mean()) + 1e-9)
        skewnesses.append(float((square * band).mean()) / energies[-1] ** 1.5)
        finer = coarser
    logs = np.log(energies) / 2
    return np.concatenate([logs - np.log(sum(energies)) / 2, np.clip(skewnesses, -3, 3)])


def _color(rows: np.ndarray) -> np.ndarray:
    return rows[..., 1 : 1 + _COLORS]


def _detail(rows: np.ndarray) -> np.ndarray:
    return rows[..., 1 + _COLORS : _OWN]


def _scale(rows: np.ndarray) -> np.ndarray:
    """Return the features that tell the scale: those of the encoder, if there are any."""
    return rows[..., _OWN:] if rows.shape[-1] > _OWN else _detail(rows)


def _sharpness(rows: np.ndarray) -> np.ndarray:
    return _detail(rows)[..., 0] - _detail(rows)[..., 2]


def _covariance(rows: np.ndarray) -> np.ndarray:
    """Return a covariance that is shrunk to its diagonal."""
    covariance = np.cov(rows.T)
    diagonal = np.diag(np.diag(covariance) + 1e-4)
    return (1 - _SHRINKAGE) * covariance + _SHRINKAGE * diagonal


def _gaussian(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.linalg.inv(_covariance(rows))


def _distance(rows: np.ndarray, center: np.ndarray, precision: np.ndarray) -> np.ndarray:
    offsets = rows - center
    return np.sqrt(np.einsum("...i,ij,...j->...", offsets, precision, offsets))


def _discriminant(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a linear discriminant of two groups: Fisher's for few features, a ridge regression for many."""
    if rows.shape[1] <= 2 * _OCTAVES:
        within = (_covariance(rows) + _covariance(others)) / 2
        within += 0.1 * np.trace(within) / len(within) * np.eye(len(within))
        return np.linalg.solve(within, others.mean(axis=0) - rows.mean(axis=0))
    both = np.concatenate([rows, others])
    deviations = both.std(axis=0) + 1e-6
    standard = (both - both.mean(axis=0)) / deviations
    target = np.repeat([-1.0, 1.0], [len(rows), len(others)])
    penalized = standard.T @ standard / len(both) + _RIDGE * np.eye(both.shape[1])
    return np.linalg.solve(penalized, standard.T @ target / len(both)) / deviations


def _left_out(rows: np.ndarray, halves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distances and scores of images, and scores of halved images, by statistics of the other images.

    Discriminants of different images differ in length and offset: their scores are moved to those of the whole one, by
    the midpoint of the two groups.
    """
    distances: list[float] = []
    scores: list[float] = []
    half_scores: list[float] = []
    folds = np.arange(len(rows)) % min(_FOLDS, len(rows))
    whole = _discriminant(_scale(rows), _scale(halves))
    offset = _midpoint(_scale(rows), _scale(halves)) @ whole
    for fold in np.unique(folds):
        left, kept = folds == fold, folds != fold
        distances.extend(_distance(_color(rows[left]), *_gaussian(_color(rows[kept]))))
        weights = _discriminant(_scale(rows[kept]), _scale(halves[kept]))
        weights *= float(np.linalg.norm(whole)) / max(float(np.linalg.norm(weights)), 1e-12)
        middle = _midpoint(_scale(rows[kept]), _scale(halves[kept]))
        scores.extend((_scale(rows[left]) - middle) @ weights + offset)
        half_scores.extend((_scale(halves[left]) - middle) @ weights + offset)
    return np.array(distances), np.array(scores), np.array(half_scores)


def _midpoint(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (rows.mean(axis=0) + others.mean(axis=0)) / 2


def _tuple(numbers: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{number:.{_DIGITS}g}") for number in numbers)
