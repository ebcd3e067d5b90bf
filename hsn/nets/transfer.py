"""Transfer: start a net from the weights of another one."""

from ..errors import InputError


def copy_weights(net, source):
    """Copy the weights of all layers that have the same kind and shapes at the same position.

    Parameters
    ----------
    net : keras.Model
        Changed in place.
    source : keras.Model

    Returns
    -------
    copied, total : int
        Number of layers with weights: copied ones, and all of `net`.

    Raises
    ------
    InputError
        "start-mismatch" if no layer fits.

    Notes
    -----
    Layers are compared by their position, not by name: Keras numbers unnamed layers anew in each process.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> net, source = (unet.build(outputs, depth=1, width=2, seed=outputs) for outputs in (3, 1))
    >>> copied, total = copy_weights(net, source)
    >>> total - copied  # the last layer has another number of outputs
    1
    """
    layers, others = ([layer for layer in model.layers if layer.weights] for model in (net, source))
    copied = 0
    for layer, other in zip(layers, others, strict=False):
        if _kind(layer) == _kind(other):
            layer.set_weights(other.get_weights())
            copied += 1
    if not copied:
        raise InputError(
            "start-mismatch",
            "`start` must be a net with layers of the same kinds and shapes",
            got=f"none of {len(layers)} layers that fit",
            hint="give the net and width of that model, or leave `start` out",
        )
    return copied, len(layers)


def _kind(layer):
    """Return what two layers must share: class and shapes of the weights."""
    return type(layer).__name__, tuple(tuple(w.shape) for w in layer.weights)
