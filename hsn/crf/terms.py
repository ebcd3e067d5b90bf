"""Pairwise terms of the CRF: Gaussians over pixel features, with a weight."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .lattice import span


@dataclass(frozen=True)
class Term:
    """One Gaussian over the pixels of an image.

    The features are the position (col, row) divided by `spread_px`, followed by `color` divided by `spread_color` if
    there is a color; or `given`, already divided by its standard deviations.

    Attributes
    ----------
    weight : float
        Weight of the term.
    shape : (int, int)
        Height and width.
    spread_px, spread_color : float
        Standard deviations of position and color.
    corner : (int, int)
        Row and column of the first pixel, if the image is a block of a larger one.
    color : uint8 (H, W, 3) or None
    given : float32 (H, W, d) or None

    Examples
    --------
    >>> Term(weight=1, shape=(1, 2), spread_px=2, corner=(4, 0)).features().tolist()
    [[0.0, 2.0], [0.5, 2.0]]
    """

    weight: float
    shape: tuple[int, int]
    spread_px: float = 1.0
    spread_color: float = 1.0
    corner: tuple[int, int] = (0, 0)
    color: np.ndarray | None = None
    given: np.ndarray | None = None

    def features(self) -> np.ndarray:
        """Return the features: float32 (N, d)."""
        height, width = self.shape
        if self.given is not None:
            return self.given.reshape(height * width, -1)
        features = np.empty((height, width, 2 if self.color is None else 5), np.float32)
        features[..., 0] = np.arange(self.corner[1], self.corner[1] + width, dtype=np.float32)
        features[..., 1] = np.arange(self.corner[0], self.corner[0] + height, dtype=np.float32)[:, None]
        features[..., :2] /= np.float32(self.spread_px)
        if self.color is not None:
            features[..., 2:] = self.color / np.float32(self.spread_color)
        return features.reshape(height * width, -1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest possible value of each feature: float64 (d,) twice."""
        if self.given is not None:
            return span(self.given.reshape(-1, self.given.shape[2]))
        top, left = self.corner
        lowest = np.array([left, top]) / self.spread_px
        highest = np.array([left + self.shape[1] - 1, top + self.shape[0] - 1]) / self.spread_px
        if self.color is None:
            return lowest, highest
        return np.append(lowest, np.zeros(3)), np.append(highest, np.full(3, 255 / self.spread_color))

    def window(self, rows: slice, cols: slice) -> "Term":
        """Return the term of a block of the image; positions stay relative to the whole image.

        Examples
        --------
        >>> Term(weight=1, shape=(9, 9)).window(slice(2, 5), slice(0, 9)).bounds()[0].tolist()
        [0.0, 2.0]
        """
        return Term(
            self.weight,
            (rows.stop - rows.start, cols.stop - cols.start),
            self.spread_px,
            self.spread_color,
            (self.corner[0] + rows.start, self.corner[1] + cols.start),
            None if self.color is None else np.ascontiguousarray(self.color[rows, cols]),
            None if self.given is None else np.ascontiguousarray(self.given[rows, cols]),
        )


def make_terms(
    image: np.ndarray,
    gaussian: Sequence[float] | None,
    bilateral: Sequence[float] | None,
    further: Iterable[tuple[np.ndarray, float]],
) -> list[Term]:
    """Make the terms of a call of `refine`.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    gaussian : (sxy_px, weight) or None
    bilateral : (sxy_px, srgb, weight) or None
    further : sequence of (float array (H, W, d), weight)

    Returns
    -------
    list of Term

    Raises
    ------
    InputError
        "crf-term-invalid" if a spread is not positive or a weight negative; "crf-features-shape" if features do not
        cover the image.

    Examples
    --------
    >>> [term.weight for term in make_terms(np.zeros((2, 2, 3), np.uint8), (3, 40), (10, 4, 25), ())]
    [40.0, 25.0]
    """
    shape = (image.shape[0], image.shape[1])
    terms = []
    if gaussian is not None:
        spread_px, weight = _as_floats("gaussian", gaussian, ("sxy_px", "weight"))
        terms.append(Term(weight, shape, spread_px))
    if bilateral is not None:
        spread_px, spread_color, weight = _as_floats("bilateral", bilateral, ("sxy_px", "srgb", "weight"))
        terms.append(Term(weight, shape, spread_px, spread_color, color=np.ascontiguousarray(image)))
    for features, weight in further:
        (weight,) = _as_floats("further", (weight,), ("weight",))
        terms.append(Term(weight, shape, given=_as_given(features, shape)))
    return terms


def _as_floats(name: str, values: Any, parts: tuple[str, ...]) -> list[float]:
    """Return the parts of a term as floats: spreads above 0, then a weight of 0 or more."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    valid = len(numbers) == len(parts) and all(0 < spread < np.inf for spread in numbers[:-1])
    if not (valid and 0 <= numbers[-1] < np.inf):
        raise InputError(
            "crf-term-invalid",
            f"`{name}` must be ({', '.join(parts)}), with spreads above 0 and a weight of 0 or more",
            got=values,
            hint="use None to leave out a term",
        )
    return numbers


def _as_given(features: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    features = np.ascontiguousarray(features, np.float32)
    if features.ndim != 3 or features.shape[:2] != shape or features.shape[2] == 0:
        raise InputError(
            "crf-features-shape",
            f"features of a further term must have the shape ({shape[0]}, {shape[1]}, dimensions)",
            got=features.shape,
            hint="put the dimensions last",
        )
    return features
