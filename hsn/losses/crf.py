"""CRF loss: a penalty for different predictions on nearby pixels of similar color.

It is the regularized loss of weakly supervised segmentation [1]_, [2]_. For the probability S of one class::

    L = sum_p m_p (1 - S_p) (W (m S))_p / sum_p m_p

W is a Gaussian over position and color, filtered on the permutohedral lattice. The mask m is 0 where the image is
black: rotated crops are padded with black. Each call needs one filter pass.

Notes
-----
The lattice filter is linear. The exact gradient uses W transposed, which is the filter run backwards. The released code
uses W and writes the gradient to both outputs of a two-class softmax. This doubles the gradient of the logits;
``gradient="released"`` repeats it.

References
----------
.. [1] Tang et al., "On regularized losses for weakly-supervised CNN segmentation", ECCV 2018.
.. [2] Qu et al., "Weakly supervised deep nuclei segmentation using partial points annotation in histopathology
   images", IEEE TMI 2020; section on the CRF loss, and its released code.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ..checks import one_of, positive
from ..crf.engines import make_lattice

BLACK = 1e-5  # a pixel below this value in all channels is padding; from the released code


def crf_loss(
    prediction: Any,
    image: Any,
    *,
    sxy_px: float = 9.0,
    srgb: float = 0.1,
    gradient: str = "exact",
    engine: str = "auto",
) -> Any:
    """Return the mean CRF loss of a batch, a scalar of 0 or more.

    Parameters
    ----------
    prediction : float tensor, shape (N, H, W)
        Probability of the class, in [0, 1].
    image : float tensor, shape (N, H, W, 3)
        RGB in [0, 1], augmented like the prediction.
    sxy_px : float
        Standard deviation of the position, in pixels. Default: 9.
    srgb : float
        Standard deviation of the color, in units of `image`. In [2]_: 0.1 for many organs, 0.2 for lung cancer.
        Default: 0.1.
    gradient : {"exact", "released"}
        Gradient of the formula, or of the released code, which is about twice as large. Default: "exact".
    engine : {"auto", "native", "scipy"}
        Implementation of the filter.

    Returns
    -------
    float32 scalar tensor

    Raises
    ------
    InputError
        "sxy-px-positive", "srgb-positive" or "gradient-unknown".

    Examples
    --------
    >>> image = np.full((1, 4, 4, 3), 0.5, "float32")
    >>> smooth, mixed = np.ones((1, 4, 4), "float32"), np.eye(4, dtype="float32")[None]
    >>> float(crf_loss(smooth, image)) == 0 < float(crf_loss(mixed, image))
    True
    """
    one_of("gradient", gradient, ("exact", "released"))
    positive("sxy_px", sxy_px, hint="give it in pixels")
    positive("srgb", srgb, hint="give it in units of the image")

    def evaluate(prediction, image):
        return energies(prediction, image, sxy_px=sxy_px, srgb=srgb, gradient=gradient, engine=engine)

    prediction, image = ops.cast(prediction, "float32"), ops.cast(image, "float32")
    return ops.mean(_BACKENDS[keras.backend.backend()](evaluate, prediction, image))


def energies(
    prediction: Any,
    image: Any,
    *,
    sxy_px: float,
    srgb: float,
    gradient: str = "exact",
    engine: str = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each image and its gradient, as NumPy arrays.

    Parameters
    ----------
    prediction : float array, shape (N, H, W)
    image : float array, shape (N, H, W, 3)
    sxy_px, srgb, gradient, engine
        As in `crf_loss`.

    Returns
    -------
    energy : float32 array, shape (N,)
    slope : float32 array, shape (N, H, W)
        Gradient of each image's energy with respect to its prediction.

    Examples
    --------
    >>> energy, slope = energies(np.full((1, 1, 1), 0.5), np.ones((1, 1, 1, 3)), sxy_px=9, srgb=0.1)
    >>> (energy > 0).tolist(), slope.tolist()
    ([True], [[[0.0]]])
    """
    pairs = [
        _energy(np.asarray(S, np.float32), np.asarray(rgb, np.float32), sxy_px, srgb, gradient, engine)
        for S, rgb in zip(prediction, image, strict=True)
    ]
    return np.array([energy for energy, _ in pairs], np.float32), np.stack([slope for _, slope in pairs])


def _energy(
    S: np.ndarray, image: np.ndarray, sxy_px: float, srgb: float, gradient: str, engine: str
) -> tuple[float, np.ndarray]:
    height, width = S.shape
    features = np.empty((height, width, 5), np.float32)
    features[..., 0] = np.arange(width, dtype=np.float32) / np.float32(sxy_px)
    features[..., 1] = np.arange(height, dtype=np.float32)[:, None] / np.float32(sxy_px)
    features[..., 2:] = image / np.float32(srgb)
    lattice = make_lattice(features, engine)

    m = (image >= BLACK).any(axis=-1).reshape(-1, 1).astype(np.float32)  # (H W, 1)
    S = S.reshape(-1, 1)
    area = max(m.sum(), 1)
    if gradient == "released":
        both = lattice.filter(np.hstack([m * S, m * (1 - 2 * S)]))  # (H W, 2)
        smooth, slope = both[:, :1], 2 * m * both[:, 1:]
    else:
        smooth = lattice.filter(m * S)
        slope = m * (lattice.filter(m * (1 - S), transposed=True) - smooth)
    energy = (m * (1 - S) * smooth).sum() / area
    return energy, (slope / area).reshape(height, width).astype(np.float32)


# Each function wraps a NumPy function with a custom gradient: (N, H, W) and (N, H, W, 3) to (N,).


def _on_tensorflow(evaluate: Callable, prediction: Any, image: Any) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def on_tensors(prediction, image):
        energy, slope = tf.numpy_function(evaluate, (prediction, image), (tf.float32, tf.float32))
        energy.set_shape(prediction.shape[:1])
        slope.set_shape(prediction.shape)
        return energy, lambda upstream: (upstream[:, None, None] * slope, None)

    return on_tensors(prediction, image)


def _on_jax(evaluate: Callable, prediction: Any, image: Any) -> Any:
    import jax

    def call(prediction, image):
        like = (
            jax.ShapeDtypeStruct(prediction.shape[:1], np.float32),
            jax.ShapeDtypeStruct(prediction.shape, np.float32),
        )
        return jax.pure_callback(evaluate, like, prediction, image, vmap_method="sequential")

    @jax.custom_vjp
    def on_tensors(prediction, image):
        return call(prediction, image)[0]

    on_tensors.defvjp(
        lambda prediction, image: call(prediction, image),
        lambda slope, upstream: (upstream[:, None, None] * slope, None),
    )
    return on_tensors(prediction, image)


def _on_torch(evaluate: Callable, prediction: Any, image: Any) -> Any:
    import torch

    class OnTensors(torch.autograd.Function):
        @staticmethod
        def forward(ctx, prediction, image):
            arrays = (tensor.detach().cpu().numpy() for tensor in (prediction, image))
            energy, slope = (torch.from_numpy(array).to(prediction.device) for array in evaluate(*arrays))
            ctx.save_for_backward(slope)
            return energy

        @staticmethod
        def backward(ctx, upstream):
            (slope,) = ctx.saved_tensors
            return upstream[:, None, None] * slope, None

    return OnTensors.apply(prediction, image)


_BACKENDS = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
