"""Intervals: how far a score could have come out otherwise, had other images of the same kind been drawn.

The bootstrap over images (Efron, Annals of Statistics 1979; percentile intervals): draw as many images as
there are, with replacement, score them, repeat; the middle share of those scores is the interval. Images are
the unit, because the objects and pixels of one image are not independent.
"""

from typing import NamedTuple

import numpy as np

from ..errors import refuse


class Interval(NamedTuple):
    """A score with its bootstrap interval.

    Attributes
    ----------
    value : float
        The score of the images as they are.
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float


def interval(rows, score=None, *, level=0.95, resamples=2000, seed=0):
    """Bootstrap interval of a score over images.

    Parameters
    ----------
    rows : array (n,) or (n, k)
        One row an image: its score, or the k counts that a pooled score is made of.
    score : callable, optional
        From rows (n, ...) to one number; the mean by default. A pooled score sums its rows first.
    level : float
        Share of the resampled scores that lie inside, in (0, 1).
    resamples : int
        How often images are drawn, at least 1.
    seed : int or numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    Interval
        `low` and `high` are equal to `value` where there is one image only: it says nothing about others.

    Raises
    ------
    InputError
        If there is no image, or `level` or `resamples` are out of range.

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
        refuse("There is nothing to score", expected="one row an image, at least one",
               received=f"shape {rows.shape}", remedy="evaluate at least one image")  # fmt: skip
    if not 0 < level < 1 or resamples < 1:
        refuse("The interval is not defined", expected="`level` between 0 and 1, `resamples` of 1 or more",
               received=f"{level} and {resamples}", remedy="leave them out for 0.95 and 2000")  # fmt: skip
    score = np.mean if score is None else score
    draws = np.random.default_rng(seed).integers(len(rows), size=(resamples, len(rows)))
    scores = [score(rows[drawn]) for drawn in draws]
    # A score that was drawn, not one between two: a distance may be infinite.
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(score(rows)), float(low), float(high))
