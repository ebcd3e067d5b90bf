"""Dense CRF: refine class probabilities with the edges of the image.

Mean-field inference in the fully connected model of [1]_. It starts from Q = softmax(-U), U = -ln p, and repeats

    Q = softmax(-U + Σ_m w_m K̃_m Q),    K̃ = D K D,    D = 1 / √(K 1).

Each K is a Gaussian over features (position; position and color), computed on the permutohedral lattice.

References
----------
.. [1] Krähenbühl, Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials",
   NeurIPS 2011.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..checks import as_image, one_of, same_shape
from ..errors import InputError
from .blocks import solve_by_blocks
from .engines import NORMALIZATIONS, solve
from .mean_field import Problem
from .terms import make_terms

ROUNDING = 1e-3  # a softmax in half precision can end this far outside of [0, 1]


def refine(
    probabilities: np.ndarray,
    image: np.ndarray,
    *,
    gaussian: Sequence[float] | None = (3, 40),
    bilateral: Sequence[float] | None = (10, 4, 25),
    further: Iterable[tuple[np.ndarray, float]] = (),
    penalties: np.ndarray | None = None,
    normalization: str = "symmetric",
    iterations: int = 5,
    tolerance: float = 0.0,
    threads: int | None = None,
    engine: str = "auto",
    memory: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Refine class probabilities with a dense CRF.

    Parameters
    ----------
    probabilities : float array, shape (H, W, C)
        Probability of each class in [0, 1]; the sum over classes need not be 1. A class that is 0 everywhere is absent:
        it takes no time and stays 0.
    image : uint8 array, shape (H, W, 3)
        RGB.
    gaussian : (sxy_px, weight) or None
        Smoothness term: standard deviation in pixels, and weight. None leaves it out. Default: (3, 40).
    bilateral : (sxy_px, srgb, weight) or None
        Appearance term: standard deviations in pixels and in gray levels, and weight. Default: (10, 4, 25).
    further : sequence of (float array (H, W, d), weight)
        Terms over other features, already divided by their standard deviations.
    penalties : float array, shape (C, C), optional
        Cost of class k next to a similar pixel of class l. Default: Potts, 1 where k and l differ.
    normalization : {"symmetric", "before", "after", "none"}
        Normalization of the kernels. Default: "symmetric".
    iterations : int
        Number of parallel mean-field updates. Default: 5.
    tolerance : float
        Stop if no marginal changes by this much. Default: 0, which does not stop early.
    threads : int, optional
        Number of threads; the result does not depend on it. Default: all cores.
    engine : {"auto", "native", "scipy", "pydensecrf"}
        Implementation: the compiled kernel, SciPy, or the released code. "auto" uses the kernel if it is compiled.
    memory : int, optional
        Working memory in bytes, besides inputs and result. Larger images are refined block by block.
    out : float32 array, shape (H, W, C), optional
        Array for the marginals, for example a memory-mapped file.

    Returns
    -------
    float32 array, shape (H, W, C)
        Marginals; they sum to 1 over the present classes.

    Raises
    ------
    InputError
        If the arrays do not fit each other, values lie outside of their ranges, or the spreads are too small for the
        lattice.

    Examples
    --------
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> image[:, 3:] = 200
    >>> left = np.full((4, 6), 0.6)
    >>> left[:, 3:] = 0.4
    >>> left[1, 1] = 0.45  # an outlier
    >>> marginals = refine(np.stack([left, 1 - left], 2), image)
    >>> marginals.argmax(2).tolist()
    [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    """
    probabilities, image = _as_probabilities(probabilities), as_image(image)
    same_shape("probabilities", probabilities.shape, "image", image.shape, hint="resize one to the other")
    present = _present(probabilities)
    problem = Problem(
        probabilities,
        present,
        make_terms(image, gaussian, bilateral, further),
        _as_penalties(penalties, probabilities.shape[2], present),
        one_of("normalization", normalization, NORMALIZATIONS),
        _as_count("iterations", iterations, 0),
        _as_tolerance(tolerance),
        0 if threads is None else _as_count("threads", threads, 1),
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


def labels_to_probabilities(
    labels: np.ndarray, classes: int, *, confidence: float, valid_mask: np.ndarray | None = None
) -> np.ndarray:
    """Convert labels to probabilities, as input of `refine`.

    Parameters
    ----------
    labels : int array, shape (H, W)
        Class of each pixel, from 0.
    classes : int
        Number of classes.
    confidence : float
        Probability of the label, above 0 and below 1. The other classes share the rest.
    valid_mask : bool array, shape (H, W), optional
        True where the labels are valid. Elsewhere all classes have the same probability. Default: all.

    Returns
    -------
    float32 array, shape (H, W, classes)

    Raises
    ------
    InputError
        "class-labels-invalid" or "confidence-range".

    Examples
    --------
    >>> labels_to_probabilities(np.array([[0, 2]]), 3, confidence=0.8).round(1).tolist() == [[
    ...     [np.float32(0.8), np.float32(0.1), np.float32(0.1)], [np.float32(0.1), np.float32(0.1), np.float32(0.8)]]]
    True
    """
    labels = np.asarray(labels)
    valid = np.ones(labels.shape, bool) if valid_mask is None else np.asarray(valid_mask, bool)
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or valid.shape != labels.shape:
        raise InputError(
            "class-labels-invalid",
            "`labels` must be integers (height, width), and `valid_mask` of the same shape",
            got=f"{labels.dtype} {labels.shape} and {valid.shape}",
            hint="take argmax over the classes first",
        )
    if not 0 < confidence < 1:
        raise InputError(
            "confidence-range", "`confidence` must be above 0 and below 1", got=confidence, hint="try 0.7"
        )
    outside = valid & ((labels < 0) | (labels >= classes))
    if outside.any():
        raise InputError(
            "class-labels-invalid",
            f"`labels` must be numbers from 0 to {classes - 1} where they are valid",
            got=labels[outside][0],
            hint="set `valid_mask` to False on pixels without a class",
        )
    probabilities = np.full((*labels.shape, classes), (1 - confidence) / max(classes - 1, 1), np.float32)
    np.put_along_axis(probabilities, np.where(valid, labels, 0)[..., None], confidence, axis=2)
    probabilities[~valid] = 1 / classes
    return probabilities


def _as_probabilities(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3 or 0 in probabilities.shape or probabilities.dtype.kind not in "fiub":
        raise InputError(
            "probabilities-shape",
            "`probabilities` must be a float array (height, width, classes), with no side of 0",
            got=f"{probabilities.dtype} {probabilities.shape}",
            hint="put the classes last",
        )
    probabilities = np.asarray(probabilities, np.float32)
    lowest, highest = probabilities.min(), probabilities.max()  # NaN stays NaN
    if not (lowest >= -ROUNDING and highest <= 1 + ROUNDING):
        raise InputError(
            "probabilities-range",
            "`probabilities` must lie in [0, 1], without missing values",
            got=f"values from {lowest:g} to {highest:g}",
            hint="apply a softmax or sigmoid first",
        )
    return probabilities


def _present(probabilities: np.ndarray) -> list[int]:
    """Return the classes with a probability above 0 somewhere; a sample of pixels finds most of them."""
    flat = probabilities.reshape(-1, probabilities.shape[2])
    present = np.any(flat[:: max(1, len(flat) // 4096)] > 0, axis=0)
    for k in np.flatnonzero(~present):
        present[k] = (flat[:, k] > 0).any()
    if not present.any():
        raise InputError(
            "probabilities-all-zero",
            "`probabilities` must have a value above 0",
            got="zeros only",
            hint="add a class for the background",
        )
    return np.flatnonzero(present).tolist()


def _as_penalties(penalties: np.ndarray | None, classes: int, present: list[int]) -> np.ndarray | None:
    if penalties is None:
        return None
    penalties = np.asarray(penalties, np.float32)
    if penalties.shape != (classes, classes) or not np.isfinite(penalties).all():
        raise InputError(
            "penalties-invalid",
            f"`penalties` must be finite numbers of shape ({classes}, {classes})",
            got=f"shape {penalties.shape}",
            hint="leave it out for Potts",
        )
    return np.ascontiguousarray(penalties[np.ix_(present, present)])


def _as_count(name: str, value: Any, lowest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise InputError(
            f"{name}-invalid",
            f"`{name}` must be an integer, {lowest} or more",
            got=repr(value),
            hint="leave it out for the default",
        )
    return int(value)


def _as_tolerance(tolerance: float) -> float:
    if not 0 <= tolerance < np.inf:
        raise InputError(
            "tolerance-invalid",
            "`tolerance` must be 0 or more",
            got=tolerance,
            hint="use 0 to run all iterations",
        )
    return float(tolerance)


def _check_out(out: np.ndarray, shape: tuple[int, ...]) -> None:
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != np.float32:
        raise InputError(
            "out-invalid",
            f"`out` must be a float32 array of shape {shape}",
            got=f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}".strip(),
            hint="leave it out to get a new array",
        )
