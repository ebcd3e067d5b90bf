"""The permutohedral lattice: a Gaussian filter over points with many features, in NumPy and SciPy.

Every pixel is a point whose features say where it is and, for instance, what colour it has. A filtered value
is a sum over all pixels, with weights that fall with the distance of the features. The lattice makes the cost
linear in the number of pixels: spread each value over the corners of the simplex that its point lies in
(*splat*), smooth along each axis of the lattice (*blur*), read the values back at the points (*slice*). Each
step is a sparse matrix:

    K = slice · B_d · … · B_1 · B_0 · splat,        splat = slice transposed.

The C++ kernel in `hsn/_native` computes the same sums; this file is the one to read.

References
----------
.. [1] Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice", Eurographics
   2010.
"""

import numpy as np
from scipy import sparse

from ..errors import refuse

# float32 holds integers exactly up to 2^24; two bits are left for the fractions that rank the coordinates.
FARTHEST = 2.0**22
KEY_BITS = 63
PART = 2**15  # points that are placed together: what they need stays in a cache


class Lattice:
    """The lattice of some points, built once and applied to any number of values.

    Parameters
    ----------
    features : float array, shape (N, d)
        One row a point, already divided by the standard deviations of the wanted Gaussian.

    Attributes
    ----------
    slice : sparse float32 (N, M)
        Weights of each point at its d + 1 corners, of the M corners that any point uses.
    blurs : list of d + 1 sparse float32 (M, M)
        One an axis: a corner plus half of its two neighbours. A neighbour that no point uses counts as 0.

    Raises
    ------
    InputError
        If the features are not a finite (N, d) array, or span more cells than a 63-bit key can tell apart.

    Notes
    -----
    The filter stands for the Gaussian exp(-|f - g|² / 2) and is not it: what the blur would have given to
    corners that no point uses is lost, so that on tissue the sums come out near 0.6 of the exact ones. Where
    the filter is normalize, as in the CRF, that factor cancels: on patches of 8 x 8 pixels, means of values in
    [0, 1] lie within 0.05 of the exact ones over place, and within 0.12 over place and colour.

    Examples
    --------
    >>> lattice = Lattice(np.array([[0.0], [0.1], [9.0]]))
    >>> near, also_near, far = lattice.filter(np.array([[1.0], [0.0], [0.0]]))[:, 0]
    >>> bool(near > also_near > far == 0)
    True
    """

    def __init__(self, features):
        features = as_features(features)
        keys, steps, weights = corners(features)
        tables, rows, start = [], [], 0
        for remainder in keys:  # corners of different remainders never coincide, so each has its own table
            table, row = _distinct(remainder)
            tables.append(table)
            rows.append(row + start)
            start += len(table)
        places = np.arange(0, weights.size + 1, len(keys))
        self.slice = sparse.csr_array(
            (weights.T.ravel(), np.stack(rows, axis=1).ravel(), places), shape=(len(features), start)
        )
        self.blurs = [_blur(tables, step) for step in steps]

    def filter(self, values, *, transposed=False):
        """Smooth values.

        Parameters
        ----------
        values : float array, shape (N, C)
            One row a point, any number of channels.
        transposed : bool
            Blur along the axes in the opposite order: the transpose of the filter, exactly. The two differ
            only near missing neighbours.

        Returns
        -------
        float32 array, shape (N, C)

        Examples
        --------
        >>> one_place = Lattice(np.zeros((2, 3)))
        >>> one_place.filter(np.array([[1.0], [3.0]])).round(2).tolist() == 2 * [[np.float32(3.78)]]
        True
        """
        smooth = self.slice.T @ np.ascontiguousarray(values, np.float32)  # (M, C)
        for blur in reversed(self.blurs) if transposed else self.blurs:
            smooth = blur @ smooth
        return (self.slice @ smooth) * gain(len(self.blurs) - 1)


def gain(dimension):
    """Return 1 / (1 + 2^-d), by which [1]_ scales a d-dimensional lattice's sums.

    Examples
    --------
    >>> float(gain(0))
    0.5
    """
    return np.float32(1 / (1 + 2.0**-dimension))


def as_features(features):
    """Return `features` as float32 (N, d); refuse what is not finite, not two-dimensional or too far out.

    Examples
    --------
    >>> as_features([[1, 2]]).dtype
    dtype('float32')
    """
    features = np.ascontiguousarray(features, np.float32)
    if features.ndim != 2 or 0 in features.shape:
        refuse(
            "`features` must be one row of numbers a point",
            expected="an array of shape (points, dimensions), neither 0",
            received=f"shape {features.shape}",
            remedy="reshape an (H, W, d) array with .reshape(-1, d)",
        )
    farthest = np.abs([features.min(), features.max()]).max()  # NaN stays NaN
    if not farthest < FARTHEST / (2 * features.shape[1]):
        refuse(
            "`features` must be finite and small enough to be told apart",
            expected=f"numbers within ±{FARTHEST / (2 * features.shape[1]):.0f}",
            received=f"up to {farthest}",
            remedy="divide the features by larger standard deviations",
        )
    return features


def corners(features):
    """Find the simplex of each point: its d + 1 corners as integer keys, and the point's weights there.

    A corner is d integers, and its key is one 64-bit integer in mixed radix, so that a neighbour is one
    addition away.

    Parameters
    ----------
    features : float32 array, shape (N, d)

    Returns
    -------
    keys : int64 array, shape (d + 1, N)
        Row r holds the corner whose coordinates leave remainder r when divided by d + 1.
    steps : list of d + 1 ints
        What to add to a key to reach its next neighbour along each axis.
    weights : float32 array, shape (d + 1, N)
        Barycentric weights; they sum to 1.

    Raises
    ------
    InputError
        If the keys do not fit 63 bits.

    Examples
    --------
    >>> keys, steps, weights = corners(np.array([[0.0], [0.5]], np.float32))
    >>> keys.tolist(), steps, (100 * weights).round().tolist()
    ([[6, 6], [7, 7]], [-1, 1], [[100.0, 42.0], [0.0, 58.0]])
    """
    order = features.shape[1] + 1  # d + 1
    digits, lowest = radix(*span(features))
    steps = [sum(digits) - order * digit for digit in digits]
    keys = np.empty((order, len(features)), np.int64)
    weights = np.empty((order, len(features)), np.float32)
    for start in range(0, len(features), PART):
        part = slice(start, start + PART)
        keys[:, part], weights[:, part] = _simplex(features[part], digits, lowest, steps)
    return keys, steps, weights


def _simplex(features, digits, lowest, steps):
    """Keys, int64 (d + 1, n), and weights, float32 (d + 1, n), of some points."""
    order = len(digits)
    elevated = _elevate(features)  # (d + 1, n)
    nearest = np.rint(elevated * np.float32(1 / order)) * np.float32(order)  # remainder 0
    rank = _rank(elevated - nearest, nearest).astype(np.intp)
    keys = np.empty((order, len(features)), np.int64)
    keys[0] = np.array(digits) @ (nearest.astype(np.int64) - np.array(lowest)[:, None])
    along = np.empty_like(keys)
    np.put_along_axis(along, rank, np.array(steps)[:, None], axis=0)  # by rank
    for r in range(order - 1):
        # From one corner to the next, the coordinate ranked d - r falls back by d, the others grow by 1.
        keys[r + 1] = keys[r] + along[order - 1 - r]
    return keys, _barycentric(elevated - nearest, rank)


def span(features):
    """Return the lowest and the highest value of each feature: float64 (d,) twice.

    Examples
    --------
    >>> [bound.tolist() for bound in span(np.array([[1, 5], [3, 2]]))]
    [[1.0, 2.0], [3.0, 5.0]]
    """
    # Column by column: NumPy's minimum over the long axis of a thin array is many times slower.
    bounds = [(column.min(), column.max()) for column in features.T]
    return np.array(bounds, float).T


def radix(lowest, highest):
    """Return the mixed radix in which corners are counted, from the range of each feature.

    Parameters
    ----------
    lowest, highest : float arrays, shape (d,)

    Returns
    -------
    digits : list of d + 1 ints
        What one unit of each coordinate adds to a key. The last coordinate follows from the others: 0.
    origin : list of d + 1 ints
        Coordinates that count as 0.

    Raises
    ------
    InputError
        If keys would not fit 63 bits.

    Examples
    --------
    >>> radix([0, 0], [9, 9])
    ([1, 43, 0], [-9, -25, -27])
    """
    order = len(lowest) + 1
    scale = _scale(order - 1)
    parts = np.array([scale * lowest, scale * highest], np.float64)  # (2, d)
    digits, origin, radix = [], [], 1
    for i in range(order):
        # Coordinate i is the sum of the later parts less i times its own.
        own = i * parts[::-1, i - 1] if i else np.zeros(2)
        low, high = parts[:, i:].sum(1) - own
        # Corners lie within 1.5 (d + 1) of the point, and their neighbours within d of them.
        origin.append(int(np.floor(low)) - 3 * order)
        digits.append(radix)
        radix *= int(np.ceil(high)) + 3 * order - origin[-1] if i < order - 1 else 1
    if radix >= 2**KEY_BITS:
        refuse(
            "`features` must span fewer cells of the lattice",
            expected=f"less than 2^{KEY_BITS}",
            received=f"2^{np.log2(float(radix)):.0f}",
            remedy="use larger standard deviations, fewer features or a smaller image",
        )
    return [*digits[:-1], 0], origin


def _distinct(keys):
    """Distinct keys in order, and the place of each key among them; neighbours that share one are sorted as one."""
    first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    table, place = np.unique(keys[first], return_inverse=True)
    return table, np.repeat(place, np.diff(first, append=len(keys)))


def _scale(dimension):
    """Return the length of each feature's axis in the lattice, by which its blur has variance 1: (d,)."""
    i = np.arange(1, dimension + 1)
    return np.sqrt(2 / 3) * (dimension + 1) / np.sqrt(i * (i + 1))


def _elevate(features):
    """Map points onto the plane Σ x = 0 of d + 1 dimensions: float32 (d + 1, N)."""
    dimension = features.shape[1]
    scale = _scale(dimension).astype(np.float32)
    elevated = np.empty((dimension + 1, len(features)), np.float32)
    total = np.zeros(len(features), np.float32)
    for i in range(dimension, 0, -1):
        part = features[:, i - 1] * scale[i - 1]
        elevated[i] = total - np.float32(i) * part
        total += part
    elevated[0] = total
    return elevated


def _rank(rest, nearest):
    """Rank each point's coordinates by what rounding left of them, largest first: int8 (d + 1, N).

    Rounding may have put `nearest` off the plane: there the outermost coordinates move by d + 1, in place.
    """
    order = len(rest)
    rank = np.zeros(rest.shape, np.int8)
    for i in range(order):
        for j in range(i + 1, order):
            later_is_larger = rest[i] < rest[j]
            rank[i] += later_is_larger
            rank[j] += ~later_is_larger
    rank += np.rint(nearest.sum(0) / order).astype(np.int8)
    below, above = rank < 0, rank >= order
    rank += np.int8(order) * (below.astype(np.int8) - above)
    nearest += np.float32(order) * (below.astype(np.int8) - above)
    return rank


def _barycentric(rest, rank):
    """Weights at the corners: differences of the sorted coordinates, float32 (d + 1, N)."""
    order = len(rest)
    share = rest * np.float32(1 / order)
    ordered = np.empty_like(share)
    np.put_along_axis(ordered, rank, share, axis=0)  # largest first
    weights = np.empty_like(share)
    weights[1:] = (ordered[:-1] - ordered[1:])[::-1]
    weights[0] = 1 + (ordered[-1] - ordered[0])
    return weights


def _blur(tables, step):
    """Return I + ½ (link + linkᵀ) for one axis: sparse float32 (M, M)."""
    sizes = [len(table) for table in tables]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    here, there = [], []
    for r, table in enumerate(tables):
        beyond = (r + 1) % len(tables)  # a step adds 1 to the remainder
        place = np.searchsorted(tables[beyond], table + step)
        place[place == sizes[beyond]] = 0
        found = np.flatnonzero(tables[beyond][place] == table + step)
        here.append(found + starts[r])
        there.append(place[found] + starts[beyond])
    here, there = np.concatenate(here), np.concatenate(there)
    halves = np.full(len(here), 0.5, np.float32)
    link = sparse.csr_array((halves, (here, there)), shape=(starts[-1], starts[-1]))
    return sparse.eye_array(starts[-1], dtype=np.float32, format="csr") + link + link.T.tocsr()
