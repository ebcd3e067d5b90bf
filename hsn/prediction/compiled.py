"""Forward passes: compiled for the shapes that are run often, on whichever backend Keras uses."""

from collections import Counter

import keras
import numpy as np

COMPILE_FROM_PX = 2**18  # TensorFlow: a trace costs as much as running about so many pixels eagerly
MAX_SHAPES = 16  # compiled functions that a net keeps


def predict_batch(net, x, *, batch_size=None):
    """Run a net on a batch, without training behavior and without gradients.

    Parameters
    ----------
    net : keras.Model
        With one input.
    x : float32 array, shape (N, H, W, channels)
    batch_size : int, optional
        N of the batches before, for a last batch with fewer: JAX would compile another function for it.

    Returns
    -------
    float32 array, or a list of them for a net with several outputs

    Notes
    -----
    JAX compiles each shape at once, torch none. TensorFlow traces a function (without XLA, which takes longer to
    compile a net with skips than to run it) as soon as enough pixels of one shape have come by: a trace costs more
    than running one small image eagerly. Weights may change between calls.

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((None, None, 1)), keras.layers.Rescaling(2.0)])
    >>> predict_batch(net, np.ones((1, 1, 1, 1), np.float32)).tolist()
    [[[[2.0]]]]
    """
    forward = net.__dict__.get("_hsn_forward")
    if forward is None:
        forward = net.__dict__["_hsn_forward"] = _Forward(net)  # not by attribute: Keras would track it
    count = len(x)
    if batch_size is not None and keras.backend.backend() == "jax":
        x = np.concatenate([x, np.repeat(x[-1:], max(batch_size - count, 0), axis=0)])
    outputs = forward(x)
    if isinstance(outputs, list | tuple):
        return [keras.ops.convert_to_numpy(y)[:count] for y in outputs]
    return keras.ops.convert_to_numpy(outputs)[:count]


class _Forward:
    """The compiled functions of one net, by shape and by the precision that its layers compute in."""

    def __init__(self, net):
        self._net, self._compiled, self._seen_px = net, {}, Counter()

    def __call__(self, x):
        backend = keras.backend.backend()
        if backend == "torch":
            return _torch(self._net, x)
        key = (x.shape[1:], *(layer.compute_dtype for layer in self._net.layers))
        if key not in self._compiled:
            self._seen_px[key] += int(np.prod(x.shape[:3]))
            if backend == "tensorflow" and self._seen_px[key] < COMPILE_FROM_PX:
                return self._net(x, training=False)
            if len(self._compiled) == MAX_SHAPES:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = {"tensorflow": _tensorflow, "jax": _jax}[backend](self._net, x.shape[1:])
        return self._compiled[key](x)


def _tensorflow(net, shape):
    import tensorflow as tf

    # Sides must be known, because Keras cannot enlarge maps of unknown size in a graph.
    return tf.function(
        lambda x: net(x, training=False),
        input_signature=[tf.TensorSpec((None, *shape), tf.float32)],
        autograph=False,
    )


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
