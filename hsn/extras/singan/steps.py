"""Optimizer steps that update some of the nets of a loss, for adversarial training.

Keras has no common interface for gradients: each backend has its own version. The loss is written once, in `keras.ops`.
"""

import keras
from keras import ops


def make_step(loss, *, trained, nets, optimizer):
    """Return a function that runs one optimizer step.

    Parameters
    ----------
    loss : callable
        Tensors -> a vector of terms, float32 (K,); their sum is minimized. It can call all `nets`.
    trained : list of keras.Model
        Nets that the step updates.
    nets : list of keras.Model
        All nets that the loss calls, including `trained`.
    optimizer : keras.optimizers.Optimizer
        Optimizer of the weights of `trained`.

    Returns
    -------
    callable
        Arrays -> terms of the loss before the step, a NumPy vector. All calls must have the same shapes.

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> def squares(x):
    ...     return ops.reshape(ops.mean(net(x) ** 2), (1,))
    >>> step = make_step(squares, trained=[net], nets=[net], optimizer=keras.optimizers.SGD(0.25))
    >>> [step(ops.ones((1, 1))).tolist() for _ in range(2)]
    [[1.0], [0.0]]
    """
    weights = [w for net in trained for w in net.trainable_variables]
    optimizer.build(weights)
    make = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}[keras.backend.backend()]
    step = make(loss, weights, _others(weights, nets), optimizer)

    def run(*arrays):
        return ops.convert_to_numpy(step(*(ops.convert_to_tensor(a, "float32") for a in arrays)))

    return run


def _others(weights, nets):
    """Return the variables of the nets that the step does not update."""
    updated = {id(w) for w in weights}
    return list({id(v): v for net in nets for v in net.variables if id(v) not in updated}.values())


def _on_tensorflow(loss, weights, others, optimizer):
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(*arrays):
        with tf.GradientTape() as tape:
            terms = loss(*arrays)
            total = ops.sum(terms)
        optimizer.apply(tape.gradient(total, [w.value for w in weights]), weights)
        return terms

    return step


def _on_jax(loss, weights, others, optimizer):
    import jax

    def differentiable(values, rest, arrays):
        state = [*zip(weights, values, strict=True), *zip(others, rest, strict=True)]
        with keras.StatelessScope(state_mapping=state) as scope:
            terms = loss(*arrays)
            rest = [scope.get_current_value(v) for v in others]
        return ops.sum(terms), (terms, rest)

    @jax.jit
    def pure(values, rest, state, arrays):
        slopes, (terms, rest) = jax.grad(differentiable, has_aux=True)(values, rest, arrays)
        values, state = optimizer.stateless_apply(state, slopes, values)
        return values, rest, state, terms

    def step(*arrays):
        variables = weights, others, optimizer.variables
        *after, terms = pure(*([v.value for v in group] for group in variables), arrays)
        for group, values in zip(variables, after, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return terms

    return step


def _on_torch(loss, weights, others, optimizer):
    import torch

    def step(*arrays):
        terms = loss(*arrays)
        slopes = torch.autograd.grad(ops.sum(terms), [w.value for w in weights])
        with torch.no_grad():
            optimizer.apply(slopes, weights)
        return terms.detach()

    return step
