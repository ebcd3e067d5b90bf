"""Gradient penalty: keep the gradient norm of a critic near 1 between real and generated images.

    P = mean over pixels of (|d sum(D(x)) / dx|_channels - 1)^2   at   x = mix real + (1 - mix) fake

The penalty is part of a loss: it needs a second derivative. Keras has no common interface for it, so each backend has
its own version.

References
----------
.. [1] Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, with the norm over all pixels
   of an image. SinGAN (Shaham et al., ICCV 2019) uses the norm over the channels of each pixel, as here.
"""

import keras
from keras import ops

MIN_SQUARE = 1e-12  # the square root has no gradient at 0, the value for a saturated critic


def gradient_penalty(critic, real, fake, mix):
    """Return the gradient penalty of a critic.

    Parameters
    ----------
    critic : keras.Model
        (N, H, W, C) -> scores, called in training mode.
    real, fake : float tensors, shape (N, H, W, C)
    mix : float tensor, scalar or shape (N, 1, 1, 1)
        Fraction of `real` in the interpolated image, 0..1.

    Returns
    -------
    scalar tensor
        0 or more. It has a gradient with respect to the weights of `critic`.

    Examples
    --------
    >>> flat = keras.Sequential([keras.layers.Input((1, 1, 3)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> pixel = keras.ops.zeros((1, 1, 1, 3))
    >>> round(float(gradient_penalty(flat, pixel, pixel, 0.5)), 6)  # (sqrt(3) - 1)^2
    0.535898
    """
    point = ops.stop_gradient(mix * real + (1 - mix) * fake)
    slope = _BACKENDS[keras.backend.backend()](critic, point)  # (N, H, W, C)
    norm = ops.sqrt(ops.maximum(ops.sum(ops.square(slope), axis=-1), MIN_SQUARE))  # (N, H, W)
    return ops.mean(ops.square(norm - 1))


def _on_tensorflow(critic, point):
    import tensorflow as tf

    with tf.GradientTape() as tape:  # nested in the tape of the training step
        tape.watch(point)
        score = ops.sum(critic(point, training=True))
    return tape.gradient(score, point)


def _on_jax(critic, point):
    import jax

    # Updates of batch statistics must not leave the inner derivative.
    weights = [v.value for v in critic.trainable_variables]
    others = [v.value for v in critic.non_trainable_variables]

    def score(point):
        return ops.sum(critic.stateless_call(weights, others, point, training=True)[0])

    return jax.grad(score)(point)


def _on_torch(critic, point):
    import torch

    point = point.detach().requires_grad_(True)
    return torch.autograd.grad(ops.sum(critic(point, training=True)), point, create_graph=True)[0]


_BACKENDS = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
