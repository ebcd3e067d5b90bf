"""Mean-field inference in the dense CRF, in NumPy on the SciPy lattice.

Krähenbühl, Koltun, NeurIPS 2011, algorithm 1: all pixels are updated in parallel.
"""

from dataclasses import dataclass

import numpy as np

from .lattice import Lattice

LEAST = 1e-5  # a class is not believed to be more unlikely than this; from HistoSegNet's release
LEAST_LOGIT = -50  # e^-50 moves no float32 sum, but its products would be denormal numbers, which are slow
TINY = np.float32(1e-20)  # keeps the factor of a pixel without neighbours finite


@dataclass(frozen=True)
class Problem:
    """What an engine solves.

    Attributes
    ----------
    probabilities : float32 (H, W, C)
        In [0, 1].
    present : list of int
        The classes that take part; the others' marginals are 0.
    terms : list of Term
    penalties : float32 (K, K) or None
        Of label k where a similar pixel has label l, among the present classes. None is Potts: 1 where k ≠ l.
    normalization : {"symmetric", "before", "after", "none"}
    iterations : int
    tolerance : float
        Largest change of a marginal at which to stop; 0 never stops.
    threads : int
        0 stands for all cores.
    """

    probabilities: np.ndarray
    present: list
    terms: list
    penalties: np.ndarray | None = None
    normalization: str = "symmetric"
    iterations: int = 5
    tolerance: float = 0.0
    threads: int = 0

    def unary(self):
        """Return U = -ln p of the present classes: float32 (N, K)."""
        chosen = self.probabilities.reshape(-1, self.probabilities.shape[2])[:, self.present]
        return -np.log(np.clip(chosen, np.float32(LEAST), 1))

    def spread(self, marginals):
        """Return float32 (H, W, C) from the marginals (N, K) of the present classes."""
        height, width, classes = self.probabilities.shape
        everything = np.zeros((height * width, classes), np.float32)
        everything[:, self.present] = marginals
        return everything.reshape(height, width, classes)


def solve(problem):
    """Return the marginals: float32 (H, W, C).

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
            if (
                problem.penalties is None
            ):  # Potts: logits may count from the first class, which then needs no channel
                logits[:, 1:] += kernel(marginals[:, 1:] - marginals[:, :1])
            else:
                logits -= kernel(marginals) @ problem.penalties.T
        before, marginals = marginals, softmax(logits)
        if np.abs(marginals - before).max() < problem.tolerance:
            break
    return problem.spread(marginals)


def softmax(logits):
    """Softmax over the last axis, without denormal numbers.

    Examples
    --------
    >>> softmax(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    masses = np.exp(np.maximum(logits - logits.max(-1, keepdims=True), LEAST_LOGIT))
    return masses / masses.sum(-1, keepdims=True)


def _kernel(term, normalization):
    """Return Q -> w K̃ Q of a term, with K̃ = D K D, K D, D K or K."""
    lattice = Lattice(term.features())
    mass = lattice.filter(np.ones((lattice.slice.shape[0], 1), np.float32)) + TINY  # (N, 1)
    one = np.float32(1)
    before, after = {
        "symmetric": (1 / np.sqrt(mass), 1 / np.sqrt(mass)),
        "before": (1 / mass, one),
        "after": (one, 1 / mass),
        "none": (one, one),
    }[normalization]
    after = after * np.float32(term.weight)
    return lambda marginals: after * lattice.filter(before * marginals)
