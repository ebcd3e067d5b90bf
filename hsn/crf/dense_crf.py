"""Dense CRF: every pixel asks all others, near in place and colour, which class it is.

Mean-field inference in the fully connected model of [1]_: start from Q = softmax(-U), U = -ln p, and repeat

    Q = softmax(-U + Σ_m w_m K̃_m Q),    K̃ = D K D,    D = 1 / √(K 1),

where each K is a Gaussian over features (place; place and colour), computed by the permutohedral lattice.

References
----------
.. [1] Krähenbühl, Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials",
   NeurIPS 2011.
"""

import numpy as np

from ..checks import as_image
from ..errors import refuse
from .blocks import solve_by_blocks
from .engines import NORMALISATIONS, solve
from .mean_field import Problem
from .terms import terms_of

ROUNDING = 1e-3  # how far outside [0, 1] a softmax in half precision may end


def refine(
    probabilities,
    image,
    *,
    gaussian=(3, 40),
    bilateral=(10, 4, 25),
    further=(),
    penalties=None,
    normalization="symmetric",
    iterations=5,
    tolerance=0.0,
    threads=None,
    engine="auto",
    memory=None,
    out=None,
):
    """Sharpen class maps along the borders that the image shows.

    Parameters
    ----------
    probabilities : float array, shape (H, W, C)
        Evidence per class in [0, 1]; a pixel's classes need not sum to 1. A class whose map is 0 everywhere
        is absent: it costs nothing and stays 0.
    image : uint8 array, shape (H, W, 3)
        RGB.
    gaussian : (sxy_px, weight) or None
        Smoothness: spread in pixels, and the weight of a neighbour's vote. None leaves it out.
    bilateral : (sxy_px, srgb, weight) or None
        Appearance: spread in pixels and in grey levels, and weight.
    further : sequence of (float array (H, W, d), weight)
        Terms over other features, already divided by their spreads.
    penalties : float array, shape (C, C), optional
        What it costs a pixel to be of class k where a similar one is of class l; by default 1 where k and l
        differ (Potts).
    normalization : {"symmetric", "before", "after", "none"}
        Where the kernels' sums are divided out.
    iterations : int
        Parallel updates of the mean field.
    tolerance : float
        Stop when no marginal changes by as much; 0 never stops early.
    threads : int, optional
        Processor cores to use; all by default. The result does not depend on it.
    engine : {"auto", "native", "scipy", "pydensecrf"}
        What computes it: the compiled kernel, SciPy, or the released implementation. "auto" takes the kernel
        where it was built.
    memory : int, optional
        Bytes to work in, beside the arrays given and returned. Larger images are then refined block by block.
    out : float32 array, shape (H, W, C), optional
        Where to write the marginals, for instance a memory-mapped file.

    Returns
    -------
    float32 array, shape (H, W, C)
        Marginals; they sum to 1 over the classes that are present.

    Raises
    ------
    InputError
        If the arrays do not fit each other, values lie outside their ranges, or spreads are so small that the
        lattice's cells cannot be counted.

    Examples
    --------
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> image[:, 3:] = 200
    >>> left = np.full((4, 6), 0.6)
    >>> left[:, 3:] = 0.4
    >>> left[1, 1] = 0.45  # a doubt
    >>> marginals = refine(np.stack([left, 1 - left], 2), image)
    >>> marginals.argmax(2).tolist()
    [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    """
    probabilities, image = _as_probabilities(probabilities), as_image(image)
    if image.shape[:2] != probabilities.shape[:2]:
        refuse(
            "`probabilities` and `image` must cover the same pixels",
            expected="an image of {} x {}".format(*probabilities.shape[:2]),
            received="{} x {}".format(*image.shape[:2]),
            remedy="resize one to the other",
        )
    present = _present(probabilities)
    problem = Problem(
        probabilities,
        present,
        terms_of(image, gaussian, bilateral, further),
        _as_penalties(penalties, probabilities.shape[2], present),
        _one_of("normalization", normalization, NORMALISATIONS),
        _whole("iterations", iterations, 0),
        _tolerance(tolerance),
        0 if threads is None else _whole("threads", threads, 1),
    )
    if out is not None:
        _check_out(out, probabilities.shape)
    if memory is not None:
        return solve_by_blocks(problem, memory, engine=engine, out=out)
    marginals = solve(problem, engine)
    if out is None:
        return marginals
    out[:] = marginals
    return out


def probabilities_of(labels, classes, *, confidence, known=None):
    """Turn labels into probabilities, for `refine` to start from.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class of each pixel, from 0.
    classes : int
        How many there are.
    confidence : float
        Probability of the pixel's label, above 0 and below 1; the other classes share the rest.
    known : bool array, shape (H, W), optional
        Where the labels speak; elsewhere all classes are as likely.

    Returns
    -------
    float32 array, shape (H, W, classes)

    Raises
    ------
    InputError
        If a known label names no class, or the confidence is none.

    Examples
    --------
    >>> probabilities_of(np.array([[0, 2]]), 3, confidence=0.8).round(1).tolist() == [[
    ...     [np.float32(0.8), np.float32(0.1), np.float32(0.1)], [np.float32(0.1), np.float32(0.1), np.float32(0.8)]]]
    True
    """
    labels = np.asarray(labels)
    known = np.ones(labels.shape, bool) if known is None else np.asarray(known, bool)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or known.shape != labels.shape:
        refuse(
            "`labels` must be one class a pixel",
            expected="an integer array (height, width), and `known` of the same shape",
            received=f"{labels.dtype} {labels.shape} and {known.shape}",
            remedy="take argmax over the classes first",
        )
    if not 0 < confidence < 1:
        refuse(
            "`confidence` must be a probability",
            expected="a number above 0 and below 1",
            received=confidence,
            remedy="take 0.7 if unsure",
        )
    outside = known & ((labels < 0) | (labels >= classes))
    if outside.any():
        refuse(
            "`labels` must name classes",
            expected=f"numbers from 0 to {classes - 1} where known",
            received=labels[outside][0],
            remedy="mark the pixels without a class as not `known`",
        )
    probabilities = np.full((*labels.shape, classes), (1 - confidence) / max(classes - 1, 1), np.float32)
    np.put_along_axis(probabilities, np.where(known, labels, 0)[..., None], confidence, axis=2)
    probabilities[~known] = 1 / classes
    return probabilities


def _as_probabilities(probabilities):
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3 or 0 in probabilities.shape or probabilities.dtype.kind not in "fiub":
        refuse(
            "`probabilities` must be one map a class",
            expected="a float array (height, width, classes), none of them 0",
            received=f"{probabilities.dtype} {probabilities.shape}",
            remedy="put the classes last",
        )
    probabilities = np.asarray(probabilities, np.float32)
    lowest, highest = probabilities.min(), probabilities.max()  # NaN stays NaN
    if not (lowest >= -ROUNDING and highest <= 1 + ROUNDING):
        refuse(
            "`probabilities` must lie in [0, 1]",
            expected="no value outside and none missing",
            received=f"values from {lowest:g} to {highest:g}",
            remedy="apply a softmax or sigmoid first",
        )
    return probabilities


def _present(probabilities):
    """Return the classes whose map is above 0 somewhere: a look at some pixels, then at all where that was none."""
    flat = probabilities.reshape(-1, probabilities.shape[2])
    seen = (flat[:: max(1, len(flat) // 4096)] > 0).any(axis=0)
    for k in np.flatnonzero(~seen):
        seen[k] = (flat[:, k] > 0).any()
    if not seen.any():
        refuse(
            "`probabilities` must name a class somewhere",
            expected="at least one value above 0",
            received="zeros only",
            remedy="give the background a map of its own",
        )
    return np.flatnonzero(seen).tolist()


def _as_penalties(penalties, classes, present):
    if penalties is None:
        return None
    penalties = np.asarray(penalties, np.float32)
    if penalties.shape != (classes, classes) or not np.isfinite(penalties).all():
        refuse(
            "`penalties` must be one finite number a pair of classes",
            expected=f"shape ({classes}, {classes})",
            received=f"shape {penalties.shape}",
            remedy="leave it out for Potts",
        )
    return np.ascontiguousarray(penalties[np.ix_(present, present)])


def _one_of(name, value, choices):
    if value not in choices:
        refuse(
            f"`{name}` must be a known one",
            expected=" or ".join(choices),
            received=repr(value),
            remedy=f"leave it out to get {choices[0]}",
        )
    return value


def _whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        refuse(
            f"`{name}` must be a whole number",
            expected=f"{least} or more",
            received=repr(value),
            remedy="leave it out for the default",
        )
    return int(value)


def _tolerance(tolerance):
    if not 0 <= tolerance < np.inf:
        refuse(
            "`tolerance` must be a change of probability",
            expected="a number from 0",
            received=tolerance,
            remedy="take 0 to do all iterations",
        )
    return float(tolerance)


def _check_out(out, shape):
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != np.float32:
        refuse(
            "`out` must hold the marginals",
            expected=f"a float32 array of shape {shape}",
            received=f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}".strip(),
            remedy="leave it out to get a new array",
        )
