"""Engines that compute the CRF and its filter: the compiled kernel, SciPy, or pydensecrf."""

from typing import Any

import numpy as np

from .. import _native
from ..checks import one_of
from ..errors import InputError
from . import mean_field
from .lattice import Lattice, as_features, radix, span
from .terms import Term

MAX_CLASSES = 64  # capacity of a row in the kernel
MAX_ROWS = 2**31  # range of its 32-bit row numbers; one bit marks the end of a chain

NORMALIZATIONS = ("symmetric", "before", "after", "none")
ENGINES = ("auto", "native", "scipy", "pydensecrf")


def solve(problem: mean_field.Problem, engine: str = "auto") -> np.ndarray:
    """Solve a CRF with one of the engines.

    Parameters
    ----------
    problem : Problem
    engine : {"auto", "native", "scipy", "pydensecrf"}
        "auto" uses the kernel if it is compiled and the number of classes fits, and SciPy otherwise.

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        "engine-unknown", "kernel-missing", "pydensecrf-missing", "crf-image-too-large" or "crf-too-many-classes".

    Examples
    --------
    >>> problem = mean_field.Problem(np.ones((1, 1, 2), np.float32), present=[0, 1], terms=[])
    >>> solve(problem).tolist()
    [[[0.5, 0.5]]]
    """
    _check_rows(problem)
    for term in problem.terms:
        radix(*as_features(term.bounds()))  # raises the same errors for every engine
    engines = {"native": _solve_native, "scipy": mean_field.solve, "pydensecrf": _solve_pydensecrf}
    return engines[resolve_engine(engine, problem)](problem)


def resolve_engine(engine: str, problem: mean_field.Problem) -> str:
    """Return the name of the engine that is used; "auto" is resolved.

    Examples
    --------
    >>> resolve_engine("scipy", None)
    'scipy'
    """
    if one_of("engine", engine, ENGINES) == "auto":
        return "native" if _native.kernel and len(problem.present) <= MAX_CLASSES else "scipy"
    return engine


def make_lattice(features: np.ndarray, engine: str = "auto", threads: int = 0) -> Any:
    """Return the lattice of some points, an object with ``filter(values, transposed=False)``.

    Parameters
    ----------
    features : float array, shape (H, W, d)
        Features of the pixels of an image, divided by the standard deviations.
    engine : {"auto", "native", "scipy"}
    threads : int
        Number of threads of the kernel; 0 uses all cores. SciPy uses one.

    Examples
    --------
    >>> make_lattice(np.zeros((2, 2, 1))).filter(np.ones((4, 1), np.float32)).shape
    (4, 1)
    """
    features = np.asarray(features, np.float32)
    flat = as_features(features.reshape(-1, features.shape[-1]))
    if engine == "scipy" or (engine == "auto" and not _native.kernel):
        return Lattice(flat)
    return _NativeLattice(flat.reshape(features.shape), threads)


class _NativeLattice:
    """`Lattice`, computed by the kernel."""

    def __init__(self, features: np.ndarray, threads: int) -> None:
        digits, lowest = radix(*span(features.reshape(-1, features.shape[-1])))
        self._filter = _kernel().PointFilter(features=features, digits=digits, lowest=lowest, threads=threads)

    def filter(self, values: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        return self._filter.filter(np.ascontiguousarray(values, np.float32), transposed=transposed)


def _kernel() -> Any:
    if not _native.kernel:
        raise InputError(
            "kernel-missing",
            "the compiled kernel must be installed",
            got="an installation without it",
            hint='install a C++17 compiler and reinstall hsn, or use engine="scipy"',
        )
    return _native.kernel


def _check_rows(problem: mean_field.Problem) -> None:
    pixels = problem.probabilities.shape[0] * problem.probabilities.shape[1]
    corners = max((len(term.bounds()[0]) + 1 for term in problem.terms), default=1)
    if pixels * corners >= MAX_ROWS:
        raise InputError(
            "crf-image-too-large",
            f"the image must have fewer than {MAX_ROWS // corners} pixels for one lattice",
            got=pixels,
            hint="give `memory` in bytes, to refine it block by block",
        )


def _solve_native(problem: mean_field.Problem) -> np.ndarray:
    kernel = _kernel()
    if len(problem.present) > MAX_CLASSES:
        raise InputError(
            "crf-too-many-classes",
            f"the compiled kernel supports at most {MAX_CLASSES} classes",
            got=len(problem.present),
            hint='use engine="scipy"',
        )
    penalties = problem.penalties
    return kernel.mean_field(
        probabilities=np.ascontiguousarray(problem.probabilities),
        present=[int(k) for k in problem.present],
        terms=[_native_term(kernel, term) for term in problem.terms],
        normalization=problem.normalization,
        penalties=[] if penalties is None else penalties.ravel().tolist(),
        least=mean_field.MIN_PROBABILITY,
        iterations=problem.iterations,
        tolerance=problem.tolerance,
        threads=problem.threads,
    )


def _native_term(kernel: Any, term: Term) -> Any:
    digits, lowest = radix(*term.bounds())
    if term.given is not None:
        return kernel.Term(features=term.given, digits=digits, lowest=lowest, weight=term.weight)
    place = [*term.corner, term.spread_px, term.spread_color]
    return kernel.Term(place=place, image=term.color, digits=digits, lowest=lowest, weight=term.weight)


def _solve_pydensecrf(problem: mean_field.Problem) -> np.ndarray:
    """Solve with the released implementation, from the extra ``hsn[pydensecrf]``."""
    try:
        from pydensecrf import densecrf
    except ImportError:
        raise InputError(
            "pydensecrf-missing",
            "the package pydensecrf2 must be installed for this engine",
            got="none",
            hint='run `pip install "hsn[pydensecrf]"`, or use another engine',
        ) from None
    unary = problem.unary()  # (N, K)
    crf = densecrf.DenseCRF(*unary.shape)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.T))
    kind = {
        "symmetric": densecrf.NORMALIZE_SYMMETRIC,
        "before": densecrf.NORMALIZE_BEFORE,
        "after": densecrf.NORMALIZE_AFTER,
        "none": densecrf.NO_NORMALIZATION,
    }[problem.normalization]
    for term in problem.terms:
        compat = term.weight if problem.penalties is None else term.weight * problem.penalties
        crf.addPairwiseEnergy(
            np.ascontiguousarray(term.features().T),
            compat=compat,
            kernel=densecrf.CONST_KERNEL,
            normalization=kind,
        )
    if not problem.tolerance:
        return problem.scatter(np.array(crf.inference(problem.iterations)).T)
    marginals, *scratch = crf.startInference()
    for _ in range(problem.iterations):
        before = np.array(marginals)
        crf.stepInference(marginals, *scratch)
        if np.abs(np.array(marginals) - before).max() < problem.tolerance:
            break
    return problem.scatter(np.array(marginals).T)
