"""Engines: who computes the CRF and its filter - the compiled kernel, SciPy, or pydensecrf."""

import numpy as np

from .. import _native
from ..errors import refuse
from . import mean_field
from .lattice import Lattice, as_features, radix, span

MOST_CLASSES = 64  # what the kernel's rows hold
MOST_ROWS = 2**31  # what its 32-bit row numbers hold, with one bit for the end of a chain

NORMALISATIONS = ("symmetric", "before", "after", "none")


def solve(problem, engine="auto"):
    """Solve a CRF with the engine of that name.

    Parameters
    ----------
    problem : Problem
    engine : {"auto", "native", "scipy", "pydensecrf"}
        "auto" is the kernel where it was built and the classes fit, SciPy otherwise.

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        If there is no such engine, it is not installed, or the problem is too large for it.

    Examples
    --------
    >>> problem = mean_field.Problem(np.ones((1, 1, 2), np.float32), present=[0, 1], terms=[])
    >>> solve(problem).tolist()
    [[[0.5, 0.5]]]
    """
    _check_rows(problem)
    for term in problem.terms:
        radix(
            *as_features(term.bounds())
        )  # whatever the engine, what the lattice cannot hold is refused alike
    engines = {"native": _solve_native, "scipy": mean_field.solve, "pydensecrf": _solve_pydensecrf}
    return engines[name_of(engine, problem)](problem)


def name_of(engine, problem):
    """Return the engine that `engine` stands for: itself, or what "auto" takes.

    Examples
    --------
    >>> name_of("scipy", None)
    'scipy'
    """
    if engine == "auto":
        return "native" if _native.kernel and len(problem.present) <= MOST_CLASSES else "scipy"
    if engine not in ("native", "scipy", "pydensecrf"):
        refuse(
            "`engine` must be a known one",
            expected="auto, native, scipy or pydensecrf",
            received=repr(engine),
            remedy="leave it out to get the fastest that is installed",
        )
    return engine


def lattice_of(features, engine="auto", threads=0):
    """Return an object with `filter(values, transposed=False)`: the lattice of some points.

    Parameters
    ----------
    features : float array, shape (H, W, d)
        Of the pixels of an image, divided by the standard deviations.
    engine : {"auto", "native", "scipy"}
    threads : int
        0 stands for all cores; only the kernel uses more than one.

    Examples
    --------
    >>> lattice_of(np.zeros((2, 2, 1))).filter(np.ones((4, 1), np.float32)).shape
    (4, 1)
    """
    features = np.asarray(features, np.float32)
    flat = as_features(features.reshape(-1, features.shape[-1]))
    if engine == "scipy" or (engine == "auto" and not _native.kernel):
        return Lattice(flat)
    return _NativeLattice(flat.reshape(features.shape), threads)


class _NativeLattice:
    """The kernel's twin of `Lattice`."""

    def __init__(self, features, threads):
        digits, lowest = radix(*span(features.reshape(-1, features.shape[-1])))
        self._filter = _kernel().PointFilter(features=features, digits=digits, lowest=lowest, threads=threads)

    def filter(self, values, *, transposed=False):
        return self._filter.filter(np.ascontiguousarray(values, np.float32), transposed=transposed)


def _kernel():
    if not _native.kernel:
        refuse(
            "the compiled kernel is not there",
            expected="an installation that found a C++17 compiler",
            received="one without",
            remedy='install a compiler and install hsn again, or use engine="scipy"',
        )
    return _native.kernel


def _check_rows(problem):
    pixels = problem.probabilities.shape[0] * problem.probabilities.shape[1]
    corners = max((len(term.bounds()[0]) + 1 for term in problem.terms), default=1)
    if pixels * corners >= MOST_ROWS:
        refuse(
            "the image is too large for one lattice",
            expected=f"less than {MOST_ROWS // corners} pixels",
            received=f"{pixels}",
            remedy="give `memory` in bytes, so that it is refined block by block",
        )


def _solve_native(problem):
    kernel = _kernel()
    if len(problem.present) > MOST_CLASSES:
        refuse(
            "the compiled kernel holds a limited number of classes",
            expected=f"at most {MOST_CLASSES}",
            received=len(problem.present),
            remedy='use engine="scipy"',
        )
    penalties = problem.penalties
    return kernel.mean_field(
        probabilities=np.ascontiguousarray(problem.probabilities),
        present=[int(k) for k in problem.present],
        terms=[_native_term(kernel, term) for term in problem.terms],
        normalization=problem.normalization,
        penalties=[] if penalties is None else penalties.ravel().tolist(),
        least=mean_field.LEAST,
        iterations=problem.iterations,
        tolerance=problem.tolerance,
        threads=problem.threads,
    )


def _native_term(kernel, term):
    digits, lowest = radix(*term.bounds())
    if term.given is not None:
        return kernel.Term(features=term.given, digits=digits, lowest=lowest, weight=term.weight)
    place = [*term.corner, term.spread_px, term.spread_colour]
    return kernel.Term(place=place, image=term.colour, digits=digits, lowest=lowest, weight=term.weight)


def _solve_pydensecrf(problem):
    """Repeat an old result: the released implementation, through the extra `hsn[pydensecrf]`."""
    try:
        from pydensecrf import densecrf
    except ImportError:
        refuse(
            "pydensecrf is not installed",
            expected="the package pydensecrf2",
            received="none",
            remedy='run `pip install "hsn[pydensecrf]"`, or use another engine',
        )
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
        return problem.spread(np.array(crf.inference(problem.iterations)).T)
    marginals, *scratch = crf.startInference()
    for _ in range(problem.iterations):
        before = np.array(marginals)
        crf.stepInference(marginals, *scratch)
        if np.abs(np.array(marginals) - before).max() < problem.tolerance:
            break
    return problem.spread(np.array(marginals).T)
