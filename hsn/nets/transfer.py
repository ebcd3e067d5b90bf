"""Transfer: start a net from the weights of another one."""

from ..errors import InputError


def copy_weights(net, source):
    """Copy the weights of all layers that have the same name and the same shapes.

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

    Examples
    --------
    >>> from hsn.nets import unet
    >>> net, source = (unet.build(outputs, depth=1, width=2, seed=outputs) for outputs in (3, 1))
    >>> copied, total = copy_weights(net, source)
    >>> total - copied  # the last layer has another number of outputs
    1
    """
    known = {layer.name: layer for layer in source.layers if layer.weights}
    layers = [layer for layer in net.layers if layer.weights]
    copied = 0
    for layer in layers:
        other = known.get(layer.name)
        if other is not None and [w.shape for w in layer.weights] == [w.shape for w in other.weights]:
            layer.set_weights(other.get_weights())
            copied += 1
    if not copied:
        raise InputError(
            "start-mismatch",
            "`start` must be a net with layers of the same names and shapes",
            got=f"none of {len(layers)} layers that fit",
            hint="give the net and width of that model, or leave `start` out",
        )
    return copied, len(layers)
