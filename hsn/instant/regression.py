"""Multinomial logistic regression with balanced classes, by Newton's method; a model is a few numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

L2 = 1e-2  # penalty of the weights, per sample
_STEPS = 15
_DONE = 1e-5  # largest change of a weight
_FLOOR = 1e-6  # of the spread of a feature


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted model.

    Attributes
    ----------
    weights : float32 array, shape (F, C)
    bias : float32 array, shape (C,)
    """

    weights: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        features : float array, shape (..., F)

        Returns
        -------
        float32 array, shape (..., C)
        """
        scores = np.asarray(features, np.float32) @ self.weights + self.bias
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        return scores / scores.sum(axis=-1, keepdims=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain data for JSON."""
        return {"weights": self.weights.tolist(), "bias": self.bias.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Regression":
        """Return the model of `to_dict`."""
        return cls(np.array(data["weights"], np.float32), np.array(data["bias"], np.float32))


def fit(features: np.ndarray, labels: np.ndarray, classes: int, *, l2: float = L2) -> Regression:
    """Fit a regression; each class counts equally, however many samples it has.

    Parameters
    ----------
    features : float array, shape (N, F)
    labels : int array, shape (N,)
        0 to `classes` - 1. A class without samples gets the probability 0.
    classes : int
    l2 : float
        Default: 0.01.

    Returns
    -------
    Regression

    Raises
    ------
    InputError
        "instant-classes" with samples of fewer than two classes.

    Examples
    --------
    >>> model = fit(np.array([[0.0], [0.2], [1.0], [1.2]]), np.array([0, 0, 1, 1]), 2)
    >>> model.probabilities(np.array([[-1.0], [2.0]])).argmax(axis=1).tolist()
    [0, 1]
    """
    labels = np.asarray(labels)
    present = np.unique(labels)
    if len(present) < 2:
        raise InputError("instant-classes", "samples must be of two classes or more", got=f"{len(present)}",
                         hint="mark something else, too, such as background")  # fmt: skip
    features = np.asarray(features, np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0) + _FLOOR
    inputs = np.c_[(features - mean) / spread, np.ones(len(features))]
    target = (labels[:, None] == present).astype(np.float64)
    importance = target @ (len(labels) / len(present) / target.sum(axis=0))
    found = _newton(inputs, target, importance, l2)
    weights = np.zeros((features.shape[1], classes))
    bias = np.full(classes, -1e4)
    weights[:, present] = found[:-1] / spread[:, None]
    bias[present] = found[-1] - mean @ weights[:, present]
    return Regression(weights.astype(np.float32), bias.astype(np.float32))


def _newton(inputs: np.ndarray, target: np.ndarray, importance: np.ndarray, l2: float) -> np.ndarray:
    """Return the weights, float64 (F + 1, C), by steps of Newton's method on the penalized likelihood."""
    count, size = inputs.shape
    classes = target.shape[1]
    weights = np.zeros((size, classes))
    penalty = np.full((size, classes), l2 * count)
    penalty[-1] = 1e-6 * count  # the bias: only so much that the system has one solution
    for _ in range(_STEPS):
        scores = inputs @ weights
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = inputs.T @ (importance[:, None] * (p - target)) + penalty * weights
        hessian = np.empty((classes, size, classes, size))
        for a in range(classes):
            for b in range(a, classes):
                curve = importance * p[:, a] * ((a == b) - p[:, b])
                hessian[a, :, b] = hessian[b, :, a] = (inputs * curve[:, None]).T @ inputs
        matrix = hessian.reshape(classes * size, -1)
        matrix[np.diag_indices(len(matrix))] += penalty.T.ravel() + 1e-9
        step = np.linalg.solve(matrix, gradient.T.ravel()).reshape(classes, size).T
        longest = np.abs(step).max()
        weights -= step * min(1.0, 5.0 / longest)  # far steps overshoot
        if longest < _DONE:
            break
    return weights
