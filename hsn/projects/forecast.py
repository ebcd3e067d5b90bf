"""Forecast of a score from annotation of growing size: ``score = a - b * minutes ** -c``.

Cortes et al., Learning curves: asymptotic values and rate of convergence, NeurIPS 1993, describe learning curves by a
power law. The interval is a bootstrap over the validation images.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from ..errors import InputError

_START = (0.1, 0.7)  # rates c to start the fit from
_MAX_RATE = 2.0
LEAST_PARTS = 3  # of the three unknowns


class Curve(NamedTuple):
    """The parameters of ``score = a - b * minutes ** -c``."""

    a: float
    b: float
    c: float

    def at(self, minutes: float) -> float:
        """Return the score after some minutes of annotation."""
        return self.a - self.b * float(minutes) ** -self.c


class Expected(NamedTuple):
    """A forecast: minutes of annotation altogether, expected score, and a 95 % interval."""

    minutes: float
    score: float
    low: float
    high: float


def fit_curve(minutes: Sequence[float], scores: Sequence[float]) -> Curve:
    """Fit the curve by least squares, with a and a - b within 0..1 and 0 < c <= 2.

    Parameters
    ----------
    minutes : sequence of float
        Above 0.
    scores : sequence of float
        0..1.

    Raises
    ------
    InputError
        "forecast-parts" for fewer than three different numbers of minutes.

    Examples
    --------
    >>> true = Curve(0.6, 0.3, 0.5)
    >>> curve = fit_curve([1, 2, 4, 8], [true.at(m) for m in (1, 2, 4, 8)])
    >>> round(curve.at(64), 3) == round(true.at(64), 3)
    True
    """
    m, s = np.asarray(minutes, float), np.asarray(scores, float)
    if len(np.unique(m)) < LEAST_PARTS or (m <= 0).any():
        raise InputError("forecast-parts", f"a forecast must have {LEAST_PARTS} different numbers of minutes",
                         got=m.tolist(), hint="annotate more, or plan with more shares")  # fmt: skip
    scale = m.max()  # b is the distance to `a` at the largest number of minutes

    def residuals(p: np.ndarray) -> np.ndarray:
        return p[0] - p[1] * (m / scale) ** -p[2] - s

    top = min(max(float(s.max()), 0.01), 0.99)
    fits = [
        least_squares(residuals, (min(top + 0.05, 1.0), 0.05, rate), bounds=([0, 0, 1e-3], [1, 1, _MAX_RATE]))
        for rate in _START
    ]
    a, b, c = min(fits, key=lambda fit: fit.cost).x
    return Curve(float(a), float(b * scale**c), float(c))


def forecast(
    minutes: Sequence[float],
    scores: np.ndarray,
    more: Sequence[float],
    *,
    draws: int = 200,
    seed: int = 0,
) -> list[Expected]:
    """Return the expected score after more minutes of annotation.

    Parameters
    ----------
    minutes : sequence of float, length P
        Minutes that each part of the annotation cost.
    scores : float array, shape (P, N)
        Score of each part and each validation image, 0..1. Images with a NaN are left out.
    more : sequence of float
        Further minutes.
    draws : int
        Bootstrap samples of the images. Default: 200.
    seed : int

    Returns
    -------
    list of Expected
        One for each of `more`.

    Raises
    ------
    InputError
        "forecast-images" without an image, or the code of `fit_curve`.

    Examples
    --------
    >>> scores = np.array([[0.3, 0.32], [0.4, 0.42], [0.45, 0.47]])
    >>> (after,) = forecast([5, 10, 20], scores, [20])
    >>> after.minutes, bool(after.low <= after.score <= after.high)
    (40.0, True)
    """
    scores = np.asarray(scores, float)
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if not scores.size:
        raise InputError("forecast-images", "a forecast must have a validation image with scores", got="none",
                         hint="annotate another image")  # fmt: skip
    rng = np.random.default_rng(seed)
    curve = fit_curve(minutes, scores.mean(axis=1))
    drawn = []
    for _ in range(draws):
        images = rng.integers(0, scores.shape[1], scores.shape[1])
        drawn.append(fit_curve(minutes, scores[:, images].mean(axis=1)))
    found = []
    for further in more:
        total = float(max(minutes) + further)
        score = curve.at(total)
        low, high = np.quantile([each.at(total) for each in drawn], [0.025, 0.975])
        found.append(Expected(total, score, float(min(low, score)), float(max(high, score))))
    return found
