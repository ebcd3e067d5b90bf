"""CRF loss: neighbouring pixels of like colour should say the same.

The regularised loss of weakly supervised segmentation: for the probability S of one class,

    L = Σ_p m_p (1 - S_p) (W (m S))_p / Σ_p m_p,

with W the Gaussian over place and colour, filtered on the permutohedral lattice, and m = 0 where the image is
black, as the rims of a rotated crop are. One filter pass a step, no mean field.

The lattice is linear, so its gradient is the lattice run backwards, W transposed. The released code took W itself,
and wrote the gradient for both outputs of a two-class softmax, which doubles what reaches the logits:
`gradient="released"` repeats that.

References
----------
.. [1] Tang et al., "On regularized losses for weakly-supervised CNN segmentation", ECCV 2018.
.. [2] Qu et al., "Weakly supervised deep nuclei segmentation using partial points annotation in histopathology
   images", IEEE TMI 2020; section on the CRF loss, and its released code.
"""

import keras
import numpy as np
from keras import ops

from ..crf.engines import lattice_of
from ..errors import refuse

BLACK = 1e-5  # below it in all channels a pixel is padding; from the released code


def crf_loss(prediction, image, *, sxy_px=9.0, srgb=0.1, gradient="exact", engine="auto"):
    """Return how much like pixels disagree: the mean over images, a scalar of at least 0.

    Parameters
    ----------
    prediction : float tensor, shape (N, H, W)
        Probability of the class, in [0, 1].
    image : float tensor, shape (N, H, W, 3)
        RGB in [0, 1], moved as the prediction was.
    sxy_px : float
        Spread in pixels.
    srgb : float
        Spread in colour, in the unit of `image`; 0.1 for many organs, 0.2 for lung cancer in [2]_.
    gradient : {"exact", "released"}
        The gradient of the loss as written, or the released code's: about twice as large.
    engine : {"auto", "native", "scipy"}
        What filters.

    Returns
    -------
    float32 scalar tensor

    Raises
    ------
    InputError
        If a spread is not positive, or the gradient unknown.

    Examples
    --------
    >>> image = np.full((1, 4, 4, 3), 0.5, "float32")
    >>> sure, torn = np.ones((1, 4, 4), "float32"), np.eye(4, dtype="float32")[None]
    >>> float(crf_loss(sure, image)) == 0 < float(crf_loss(torn, image))
    True
    """
    if gradient not in ("exact", "released"):
        refuse(
            "`gradient` must be a known one",
            expected="exact or released",
            received=repr(gradient),
            remedy="leave it out to get the exact one",
        )
    if not (0 < sxy_px < np.inf and 0 < srgb < np.inf):
        refuse(
            "`sxy_px` and `srgb` must be positive",
            expected="numbers above 0",
            received=f"{sxy_px} and {srgb}",
            remedy="give spreads in pixels and in the unit of the image",
        )

    def evaluate(prediction, image):
        return energies(prediction, image, sxy_px=sxy_px, srgb=srgb, gradient=gradient, engine=engine)

    prediction, image = ops.cast(prediction, "float32"), ops.cast(image, "float32")
    return ops.mean(_BACKENDS[keras.backend.backend()](evaluate, prediction, image))


def energies(prediction, image, *, sxy_px, srgb, gradient="exact", engine="auto"):
    """Return the loss of each image and its gradient, in NumPy.

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
        Of each image's energy with respect to its prediction.

    Examples
    --------
    >>> energy, slope = energies(np.full((1, 1, 1), 0.5), np.ones((1, 1, 1, 3)), sxy_px=9, srgb=0.1)
    >>> (energy > 0).tolist(), slope.tolist()
    ([True], [[[0.0]]])
    """
    each = [
        _energy(np.asarray(S, np.float32), np.asarray(rgb, np.float32), sxy_px, srgb, gradient, engine)
        for S, rgb in zip(prediction, image, strict=True)
    ]
    return np.array([energy for energy, _ in each], np.float32), np.stack([slope for _, slope in each])


def _energy(S, image, sxy_px, srgb, gradient, engine):
    height, width = S.shape
    features = np.empty((height, width, 5), np.float32)
    features[..., 0] = np.arange(width, dtype=np.float32) / np.float32(sxy_px)
    features[..., 1] = np.arange(height, dtype=np.float32)[:, None] / np.float32(sxy_px)
    features[..., 2:] = image / np.float32(srgb)
    lattice = lattice_of(features, engine)

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


# A NumPy function with a gradient of its own, as each backend says it: (N,) from (N, H, W) and (N, H, W, 3).


def _on_tensorflow(evaluate, prediction, image):
    import tensorflow as tf

    @tf.custom_gradient
    def on_tensors(prediction, image):
        energy, slope = tf.numpy_function(evaluate, (prediction, image), (tf.float32, tf.float32))
        energy.set_shape(prediction.shape[:1])
        slope.set_shape(prediction.shape)
        return energy, lambda upstream: (upstream[:, None, None] * slope, None)

    return on_tensors(prediction, image)


def _on_jax(evaluate, prediction, image):
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


def _on_torch(evaluate, prediction, image):
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
