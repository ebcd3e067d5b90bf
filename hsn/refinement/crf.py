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

from .._refuse import as_image, refuse
from .lattice import Lattice

LEAST = 1e-5  # probability below which a class is not believed to be more unlikely (HistoSegNet's release)


def refine(
    probabilities,
    image,
    *,
    gaussian=(3, 40),
    bilateral=(10, 4, 25),
    iterations=5,
    threads=None,
    engine="auto",
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
    iterations : int
        Parallel updates of the mean field.
    threads : int, optional
        Processor cores to use; all by default.
    engine : {"auto", "native", "scipy", "pydensecrf"}
        What computes it.

    Returns
    -------
    float32 array, shape (H, W, C)
        Marginals; they sum to 1 over the classes that are present.

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
    height, width, classes = probabilities.shape
    if image.shape[:2] != (height, width):
        refuse(
            "`probabilities` and `image` must cover the same pixels",
            expected=f"an image of {height} x {width}",
            received=f"{image.shape[0]} x {image.shape[1]}",
            remedy="resize one to the other",
        )
    flat = probabilities.reshape(-1, classes)
    present = flat.any(axis=0)
    unary = -np.log(np.clip(flat[:, present], LEAST, 1))  # (N, K)
    kernels = [_kernel(features, weight) for features, weight in _terms(image, gaussian, bilateral)]
    marginals = np.zeros_like(flat)
    marginals[:, present] = _mean_field(unary, kernels, iterations)
    return marginals.reshape(probabilities.shape)


def _as_probabilities(probabilities):
    probabilities = np.asarray(probabilities, np.float32)
    if probabilities.ndim != 3 or 0 in probabilities.shape:
        refuse(
            "`probabilities` must be one map a class",
            expected="a float array (height, width, classes), none of them 0",
            received=f"shape {probabilities.shape}",
            remedy="put the classes last",
        )
    lowest, highest = probabilities.min(), probabilities.max()  # NaN stays NaN
    if not (lowest >= 0 and highest <= 1):
        refuse(
            "`probabilities` must lie in [0, 1]",
            expected="no value outside and none missing",
            received=f"values from {lowest:g} to {highest:g}",
            remedy="apply a softmax or sigmoid first",
        )
    if not highest:
        refuse(
            "`probabilities` must name a class somewhere",
            expected="at least one value above 0",
            received="zeros only",
            remedy="give the background a map of its own",
        )
    return probabilities


def _terms(image, gaussian, bilateral):
    """Return (features (N, d), weight) of the two terms."""
    height, width = image.shape[:2]
    place = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(
        np.float32
    )  # (H, W, 2), x y
    terms = []
    if gaussian is not None:
        sxy_px, weight = gaussian
        terms.append(((place / np.float32(sxy_px)).reshape(-1, 2), weight))
    if bilateral is not None:
        sxy_px, srgb, weight = bilateral
        features = np.concatenate([place / np.float32(sxy_px), image / np.float32(srgb)], -1)
        terms.append((features.reshape(-1, 5), weight))
    return terms


def _kernel(features, weight):
    """Return Q -> w D K D Q for one term."""
    lattice = Lattice(features)
    mass = lattice.filter(np.ones((len(features), 1), np.float32))
    scale = 1 / np.sqrt(mass + np.float32(1e-20))
    return lambda Q: np.float32(weight) * scale * lattice.filter(scale * Q)


def _mean_field(unary, kernels, iterations):
    Q = _softmax(-unary)
    for _ in range(iterations):
        logits = -unary
        for kernel in kernels:
            logits += kernel(Q)
        Q = _softmax(logits)
    return Q


def _softmax(logits):
    # Below e^-50 a marginal no longer moves a float32 sum, but denormal numbers would cost much time.
    Q = np.exp(np.maximum(logits - logits.max(1, keepdims=True), -50))
    return Q / Q.sum(1, keepdims=True)
