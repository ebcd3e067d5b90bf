"""Confidence intervals of scores, by the bootstrap over images.

The images are resampled with replacement and scored again; percentiles of these scores are the interval (Efron, Annals
of Statistics 1979). Images are the unit, because the objects and pixels of one image are not independent.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError

MIN_IMAGES = 5  # fewer images give no useful interval


class Interval(NamedTuple):
    """A score with its bootstrap interval.

    Attributes
    ----------
    value : float
        Score of all images.
    low, high : float
        Bounds of the interval; NaN if it was not computed.
    """

    value: float
    low: float
    high: float


def interval_of_enough(rows: npt.ArrayLike, score: Callable[..., float] | None = None) -> Interval:
    """Compute `interval` for five images or more; fewer give the score with NaN as bounds.

    Examples
    --------
    >>> interval_of_enough([0.25, 0.75])
    Interval(value=0.5, low=nan, high=nan)
    """
    if len(rows := np.asarray(rows, float)) >= MIN_IMAGES:
        return interval(rows, score)
    return Interval(float((np.mean if score is None else score)(rows)), np.nan, np.nan)


def interval(
    rows: npt.ArrayLike,
    score: Callable[..., float] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Compute the bootstrap interval of a score over images.

    Parameters
    ----------
    rows : array (n,) or (n, k)
        One row per image: its score, or the k counts of a pooled score.
    score : callable, optional
        ``rows (n, ...) -> float``. Default: the mean. A pooled score sums its rows first.
    level : float
        Confidence level, in (0, 1). Default: 0.95.
    resamples : int
        Number of bootstrap samples, at least 1. Default: 2000.
    seed : int or numpy.random.Generator
        Default: 0.

    Returns
    -------
    Interval
        With only one image, `low` and `high` equal `value`.

    Raises
    ------
    InputError
        "images-empty" or "interval-range".

    Examples
    --------
    >>> interval([0.25, 0.5, 0.75], seed=1)
    Interval(value=0.5, low=0.25, high=0.75)

    The pooled F1 of two images, from true positives, false positives and false negatives:

    >>> def f1(rows):
    ...     hits, false, missed = np.sum(rows, axis=0)
    ...     return 2 * hits / (2 * hits + false + missed)
    >>> [round(x, 3) for x in interval([[8, 1, 1], [1, 0, 2]], f1)]
    [0.818, 0.5, 0.889]
    """
    rows = np.asarray(rows, float)
    if rows.ndim == 0 or len(rows) == 0:
        raise InputError(
            "images-empty",
            "`rows` must have one row per image, at least one",
            got=f"shape {rows.shape}",
            hint="evaluate at least one image",
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            "interval-range",
            "`level` must be in (0, 1) and `resamples` at least 1",
            got=f"{level} and {resamples}",
            hint="leave them out for 0.95 and 2000",
        )
    score = np.mean if score is None else score
    draws = np.random.default_rng(seed).integers(len(rows), size=(resamples, len(rows)))
    scores = [score(rows[drawn]) for drawn in draws]
    # No interpolation between scores, because a distance may be infinite.
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(score(rows)), float(low), float(high))
