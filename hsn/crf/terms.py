"""Terms: what a Gaussian of the CRF measures distance by, and how much its votes weigh."""

from dataclasses import dataclass

import numpy as np

from ..errors import refuse
from .lattice import span


@dataclass(frozen=True)
class Term:
    """One Gaussian over the pixels of an image.

    Its features are the place (col, row) over `spread_px`, followed by `colour` over `spread_colour` where there
    is one; or `given`, already divided by their spreads.

    Attributes
    ----------
    weight : float
        Of the votes of similar pixels.
    shape : (int, int)
        Height and width.
    corner : (int, int)
        Row and column of the first pixel, where the image is a block of a larger one.
    colour : uint8 (H, W, 3) or None
    given : float32 (H, W, d) or None

    Examples
    --------
    >>> Term(weight=1, shape=(1, 2), spread_px=2, corner=(4, 0)).features().tolist()
    [[0.0, 2.0], [0.5, 2.0]]
    """

    weight: float
    shape: tuple
    spread_px: float = 1.0
    spread_colour: float = 1.0
    corner: tuple = (0, 0)
    colour: np.ndarray | None = None
    given: np.ndarray | None = None

    def features(self):
        """Return the features: float32 (N, d)."""
        height, width = self.shape
        if self.given is not None:
            return self.given.reshape(height * width, -1)
        features = np.empty((height, width, 2 if self.colour is None else 5), np.float32)
        features[..., 0] = np.arange(self.corner[1], self.corner[1] + width, dtype=np.float32)
        features[..., 1] = np.arange(self.corner[0], self.corner[0] + height, dtype=np.float32)[:, None]
        features[..., :2] /= np.float32(self.spread_px)
        if self.colour is not None:
            features[..., 2:] = self.colour / np.float32(self.spread_colour)
        return features.reshape(height * width, -1)

    def bounds(self):
        """Return the lowest and the highest value that each feature may have: float64 (d,) twice."""
        if self.given is not None:
            return span(self.given.reshape(-1, self.given.shape[2]))
        top, left = self.corner
        lowest = np.array([left, top]) / self.spread_px
        highest = np.array([left + self.shape[1] - 1, top + self.shape[0] - 1]) / self.spread_px
        if self.colour is None:
            return lowest, highest
        return np.append(lowest, np.zeros(3)), np.append(highest, np.full(3, 255 / self.spread_colour))

    def window(self, rows, cols):
        """Return the term of a block of the image, given by two slices; places stay those of the whole image.

        Examples
        --------
        >>> Term(weight=1, shape=(9, 9)).window(slice(2, 5), slice(0, 9)).bounds()[0].tolist()
        [0.0, 2.0]
        """
        return Term(
            self.weight,
            (rows.stop - rows.start, cols.stop - cols.start),
            self.spread_px,
            self.spread_colour,
            (self.corner[0] + rows.start, self.corner[1] + cols.start),
            None if self.colour is None else np.ascontiguousarray(self.colour[rows, cols]),
            None if self.given is None else np.ascontiguousarray(self.given[rows, cols]),
        )


def terms_of(image, gaussian, bilateral, further):
    """Return the terms that a user's call names; refuse spreads, weights and features that cannot be.

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
        If a spread is not positive, a weight negative, or features do not cover the image.

    Examples
    --------
    >>> [term.weight for term in terms_of(np.zeros((2, 2, 3), np.uint8), (3, 40), (10, 4, 25), ())]
    [40.0, 25.0]
    """
    shape = image.shape[:2]
    terms = []
    if gaussian is not None:
        spread_px, weight = _numbers("gaussian", gaussian, ("sxy_px", "weight"))
        terms.append(Term(weight, shape, spread_px))
    if bilateral is not None:
        spread_px, spread_colour, weight = _numbers("bilateral", bilateral, ("sxy_px", "srgb", "weight"))
        colour = np.ascontiguousarray(image)
        terms.append(Term(weight, shape, spread_px, spread_colour, colour=colour))
    for features, weight in further:
        (weight,) = _numbers("further", (weight,), ("weight",))
        terms.append(Term(weight, shape, given=_as_given(features, shape)))
    return terms


def _numbers(name, values, parts):
    """Return the parts of `gaussian` or `bilateral` as floats: spreads above 0, then a weight of at least 0."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    spreads, weights = numbers[:-1], numbers[-1:]
    right = len(numbers) == len(parts) and all(0 < spread < np.inf for spread in spreads)
    if not (right and all(0 <= weight < np.inf for weight in weights)):
        refuse(
            f"`{name}` must be ({', '.join(parts)})",
            expected="spreads above 0 and a weight of at least 0",
            received=values,
            remedy="leave a term out with None",
        )
    return numbers


def _as_given(features, shape):
    features = np.ascontiguousarray(features, np.float32)
    if features.ndim != 3 or features.shape[:2] != shape or features.shape[2] == 0:
        refuse(
            "features of a further term must cover the image",
            expected=f"a float array of shape ({shape[0]}, {shape[1]}, dimensions)",
            received=f"shape {features.shape}",
            remedy="put the dimensions last",
        )
    return features
