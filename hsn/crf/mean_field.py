"""Mean-field inference in the dense CRF, in NumPy on the SciPy lattice.

Krähenbühl, Koltun, NeurIPS 2011, algorithm 1: all pixels are updated in parallel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .lattice import Lattice
from .terms import Term

MIN_PROBABILITY = 1e-5  # lower bound of the input probabilities; from HistoSegNet's release
MIN_LOGIT = -50  # e^-50 does not change a float32 sum; smaller values give slow denormal products
TINY = np.float32(1e-20)  # keeps the factor of a pixel without neighbors finite


@dataclass(frozen=True)
class Problem:
    """Input of an engine.

    Attributes
    ----------
    probabilities : float32 (H, W, C)
        In [0, 1].
    present : list of int
        Classes with a probability above 0 somewhere. The marginals of other classes are 0.
    terms : list of Term
    penalties : float32 (K, K) or None
        Cost of label k next to a similar pixel of label l, for the present classes. None: Potts, 1 where k ≠ l.
    normalization : {"symmetric", "before", "after", "none"}
    iterations : int
    tolerance : float
        Inference stops if no marginal changes by this much; 0 does not stop early.
    threads : int
        0 uses all cores.
    """

    probabilities: np.ndarray
    present: list[int]
    terms: list[Term]
    penalties: np.ndarray | None = None
    normalization: str = "symmetric"
    iterations: int = 5
    tolerance: float = 0.0
    threads: int = 0

    def unary(self) -> np.ndarray:
        """Return U = -ln p of the present classes: float32 (N, K)."""
        chosen = self.probabilities.reshape(-1, self.probabilities.shape[2])[:, self.present]
        return -np.log(np.clip(chosen, np.float32(MIN_PROBABILITY), 1))

    def scatter(self, marginals: np.ndarray) -> np.ndarray:
        """Return the marginals (N, K) of the present classes as float32 (H, W, C)."""
        height, width, classes = self.probabilities.shape
        full = np.zeros((height * width, classes), np.float32)
        full[:, self.present] = marginals
        return full.reshape(height, width, classes)


def solve(problem: Problem) -> np.ndarray:
    """Run mean-field inference and return the marginals: float32 (H, W, C).

    Examples
    --------
    >>> solve(Problem(np.array([[[0.2, 0.0, 0.6]]], np.float32), present=[0, 2], terms=[])).round(2).tolist()
    [[[0.25, 0.0, 0.75]]]
    """
    unary = problem.unary()
    kernels = [_kernel(term, problem.normalization) for term in problem.terms]
    marginals = softmax(-unary)  # (N, K)
    for _ in range(problem.iterations):
        logits = -unary
        for kernel in kernels:
            if problem.penalties is None:  # Potts: relative to the first class, which saves a channel
                logits[:, 1:] += kernel(marginals[:, 1:] - marginals[:, :1])
            else:
                logits -= kernel(marginals) @ problem.penalties.T
        before, marginals = marginals, softmax(logits)
        if np.abs(marginals - before).max() < problem.tolerance:
            break
    return problem.scatter(marginals)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, without denormal numbers.

    Examples
    --------
    >>> softmax(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    masses = np.exp(np.maximum(logits - logits.max(-1, keepdims=True), MIN_LOGIT))
    return masses / masses.sum(-1, keepdims=True)


def _kernel(term: Term, normalization: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function Q -> w K̃ Q of a term, with K̃ = D K D, K D, D K or K."""
    lattice = Lattice(term.features())
    mass = lattice.filter(np.ones((lattice.slice.shape[0], 1), np.float32)) + TINY  # (N, 1)
    one = np.ones((1, 1), np.float32)
    factors: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "symmetric": (1 / np.sqrt(mass), 1 / np.sqrt(mass)),
        "before": (1 / mass, one),
        "after": (one, 1 / mass),
        "none": (one, one),
    }
    before, after = factors[normalization]
    weight = after * np.float32(term.weight)
    return lambda marginals: weight * lattice.filter(before * marginals)
