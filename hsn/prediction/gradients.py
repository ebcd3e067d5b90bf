"""Gradients on every backend. Keras has no neutral function for them."""

import keras


def gradient(function, x):
    """Return d(function)/dx of a scalar function.

    Parameters
    ----------
    function : callable
        Tensor -> scalar tensor, in Keras operations.
    x : array

    Returns
    -------
    float32 array, the shape of `x`

    Examples
    --------
    >>> gradient(lambda x: keras.ops.sum(x**2), [1.0, 2.0]).tolist()
    [2.0, 4.0]
    """
    x = keras.ops.convert_to_tensor(x, dtype="float32")
    slope = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](function, x)
    return keras.ops.convert_to_numpy(slope)


def _tensorflow(function, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x)


def _jax(function, x):
    import jax

    return jax.grad(function)(x)


def _torch(function, x):
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(function(x), x)[0]
