"""Forward passes, compiled for frequent shapes on every backend."""

from collections import Counter
from functools import partial

import keras
import numpy as np

from ..errors import InputError

COMPILE_FROM_PX = 2**17  # TensorFlow: a trace costs about as much time as this many pixels run eagerly
MAX_SHAPES = 16  # compiled functions kept per net


def predict_batch(net, x, *, batch_size=None):
    """Run a net on a batch, without training behavior and without gradients.

    Parameters
    ----------
    net : keras.Model
        With one input.
    x : float32 array, shape (N, H, W, channels)
    batch_size : int, optional
        N of the previous batches. A smaller last batch is padded to it on JAX, which would otherwise compile again.

    Returns
    -------
    float32 array, or a list of them for a net with several outputs

    Raises
    ------
    InputError
        "net-not-finite" if an output holds NaN or infinity.

    Notes
    -----
    JAX compiles each shape at its first use. Torch does not compile. TensorFlow traces a function after
    `COMPILE_FROM_PX` pixels of one shape, because a trace costs more than one small image run eagerly. It does not use
    XLA, which compiles nets with skips slowly. Weights may change between calls.

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((None, None, 1)), keras.layers.Rescaling(2.0)])
    >>> predict_batch(net, np.ones((1, 1, 1, 1), np.float32)).tolist()
    [[[[2.0]]]]
    """
    forward = net.__dict__.get("_hsn_forward")
    if forward is None:
        forward = net.__dict__["_hsn_forward"] = _Forward(net)  # Keras would track an attribute
    count = len(x)
    if batch_size is not None and keras.backend.backend() == "jax":
        x = np.concatenate([x, np.repeat(x[-1:], max(batch_size - count, 0), axis=0)])
    outputs = forward(x)
    if isinstance(outputs, list | tuple):
        return [_finite(y, count) for y in outputs]
    return _finite(outputs, count)


def _finite(output, count):
    """Return an output as an array; raise if a value is NaN or infinite."""
    values = keras.ops.convert_to_numpy(output)[:count]
    if not np.isfinite(values).all():
        raise InputError(
            "net-not-finite",
            "the output of the net must be finite numbers",
            got="NaN or infinity",
            hint="train the net again with a lower learning rate, or check its normalization",
        )
    return values


class _Forward:
    """Caches the compiled functions of one net by shape and compute precision."""

    def __init__(self, net):
        self._net, self._compiled, self._eager_px = net, {}, Counter()

    def __call__(self, x):
        backend = keras.backend.backend()
        if backend == "torch":
            return _torch(self._net, x)
        key = (x.shape[1:], *(layer.compute_dtype for layer in self._net.layers))
        if key not in self._compiled:
            self._eager_px[key] += int(np.prod(x.shape[:3]))
            if backend == "tensorflow" and self._eager_px[key] < COMPILE_FROM_PX:
                return self._net(x, training=False)
            if len(self._compiled) == MAX_SHAPES:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = {"tensorflow": _tensorflow, "jax": _jax}[backend](self._net, x.shape[1:])
        return self._compiled[key](x)


def _tensorflow(net, shape):
    import tensorflow as tf

    # Keras cannot enlarge maps of unknown size in a graph. TensorFlow warns about many traces of one code object; a
    # partial has none.
    run = tf.function(
        partial(lambda net, x: net(x, training=False), net),
        input_signature=[tf.TensorSpec((None, *shape), tf.float32)],
        autograph=False,
    )

    def forward(x):
        # TensorFlow's graph optimizer takes half of the first call and does not speed up later calls.
        before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        try:
            return run(x)
        finally:
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})

    return forward


def _jax(net, shape):
    import jax

    run = jax.jit(lambda trained, fixed, x: net.stateless_call(trained, fixed, x, training=False)[0])

    def forward(x):
        trained, fixed = (
            [v.value for v in vs] for vs in (net.trainable_variables, net.non_trainable_variables)
        )
        return run(trained, fixed, x)

    return forward


def _torch(net, x):
    import torch

    with torch.no_grad():
        return net(x, training=False)
