"""Gradient penalty: a critic whose slope is one everywhere between real and made images.

    P = mean over pixels of (|d sum(D(x)) / dx|_channels - 1)^2   at   x = share real + (1 - share) made

It is part of a loss, so its own gradient, which goes twice through the critic, must reach the critic's weights. Keras
has no name for that: here are its three versions.

References
----------
.. [1] Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017; there the norm is over all pixels of an
   image. SinGAN (Shaham et al., ICCV 2019) and what follows it take it over the channels of each pixel, as here.
"""

import keras
from keras import ops

SMALLEST = 1e-12  # squared; a root has no slope at 0, where a saturated critic is


def gradient_penalty(critic, real, made, share):
    """How far the slope of a critic is from one.

    Parameters
    ----------
    critic : keras.Model
        (N, H, W, C) -> scores. It is asked as in training: its batch normalization uses the batch's statistics.
    real, made : float tensors, shape (N, H, W, C)
    share : float tensor, scalar or shape (N, 1, 1, 1)
        Part of `real` in the point between, 0..1.

    Returns
    -------
    scalar tensor
        At least 0. Inside a loss, its gradient reaches the weights of `critic`.

    Examples
    --------
    >>> flat = keras.Sequential([keras.layers.Input((1, 1, 3)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> pixel = keras.ops.zeros((1, 1, 1, 3))
    >>> round(float(gradient_penalty(flat, pixel, pixel, 0.5)), 6)  # (sqrt(3) - 1)^2
    0.535898
    """
    point = ops.stop_gradient(share * real + (1 - share) * made)
    slope = _BACKENDS[keras.backend.backend()](critic, point)  # (N, H, W, C)
    norm = ops.sqrt(ops.maximum(ops.sum(ops.square(slope), axis=-1), SMALLEST))  # (N, H, W)
    return ops.mean(ops.square(norm - 1))


def _on_tensorflow(critic, point):
    import tensorflow as tf

    with tf.GradientTape() as tape:  # the tape of the step, around this one, records what this one does
        tape.watch(point)
        score = ops.sum(critic(point, training=True))
    return tape.gradient(score, point)


def _on_jax(critic, point):
    import jax

    # Statistics that batch normalization would keep must not leave the inner derivative.
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
