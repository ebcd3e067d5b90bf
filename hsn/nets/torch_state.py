"""Weights from torch: the numbers of a `state_dict`, put into the same net in Keras.

torch keeps kernels as (out, in, rows, columns), Keras as (rows, columns, in, out); a batch normalization has the
same four vectors under other names. Both nets then give the same to rounding.
"""

import keras
import numpy as np
from keras import layers

from ..errors import refuse

# torch's names of what a layer holds, in the order of Keras' variables
_CONVOLUTION = ("weight", "bias")
_NORMALISATION = ("weight", "bias", "running_mean", "running_var")
_COUNTER = "num_batches_tracked"  # counts training steps; nothing depends on it here


def fullnet_names(*, layers_per_block=6, blocks=7, bottleneck=False):
    """The names that FullNet's release gives its layers, in the order of `hsn.nets.fullnet.build`.

    Examples
    --------
    >>> fullnet_names(layers_per_block=1, blocks=1)  # doctest: +NORMALIZE_WHITESPACE
    ['conv1.conv', 'conv1.bn', 'blocks.block1.denselayer1.conv.conv', 'blocks.block1.denselayer1.conv.bn',
     'blocks.trans1.conv', 'blocks.trans1.bn', 'conv2']
    """
    inner = ("conv1", "conv2") if bottleneck else ("conv",)
    units = ["conv1"]
    for b in range(1, blocks + 1):
        units += [
            f"blocks.block{b}.denselayer{k}.{part}" for k in range(1, layers_per_block + 1) for part in inner
        ]
        units.append(f"blocks.trans{b}")
    return [f"{unit}.{part}" for unit in units for part in ("conv", "bn")] + ["conv2"]


def assign(net, state, *, names=None):
    """Put the numbers of a `state_dict` into a net.

    Parameters
    ----------
    net : keras.Model
        Of convolutions and batch normalisations, such as `hsn.nets.fullnet` and `hsn.nets.unet` build.
    state : mapping of str to array
        As torch names them; a leading "module." (of a data-parallel wrapper) is ignored.
    names : list of str, optional
        torch's name of each layer of `net` that has weights, in the order of `net`. By default the layers are
        taken in the order of `state`, which is that in which torch made them.

    Raises
    ------
    InputError
        If layers, names or shapes do not fit, or something is left over; the message names the first. The net
        is changed only if all fits.

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((1, 1, 2)), layers.Conv2D(1, 1)])
    >>> assign(net, {"module.out.weight": np.full((1, 2, 1, 1), 3.0), "module.out.bias": np.ones(1)})
    >>> float(net(np.ones((1, 1, 1, 2)))[0, 0, 0, 0])
    7.0
    """
    state = {
        name.removeprefix("module."): array for name, array in state.items() if not name.endswith(_COUNTER)
    }
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in state)) if names is None else names
    weighted = [layer for layer in net.layers if layer.weights]
    if len(names) != len(weighted):
        refuse("These weights are of another net", expected=f"{len(weighted)} layers with weights",
               received=f"{len(names)}", remedy="build the net with the options that it was trained with")  # fmt: skip
    values = [_values(layer, name, state) for layer, name in zip(weighted, names, strict=True)]
    if state:
        refuse("These weights are of another net", expected="nothing left over", received=sorted(state)[:3],
               remedy="build the net with the options that it was trained with")  # fmt: skip
    for layer, arrays in zip(weighted, values, strict=True):
        layer.set_weights(arrays)


def _values(layer, name, state):
    """The arrays of one layer in Keras' order and shape, taken out of `state`."""
    parts = _NORMALISATION if isinstance(layer, layers.BatchNormalization) else _CONVOLUTION
    arrays = []
    for part, variable in zip(parts, layer.weights, strict=False):
        array = state.pop(f"{name}.{part}", None)
        array = None if array is None else np.asarray(array)
        if array is not None and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        if array is None or array.shape != tuple(variable.shape):
            refuse(f"`{name}.{part}` does not fit", expected=f"shape {tuple(variable.shape)} as Keras has it",
                   received="nothing" if array is None else array.shape,
                   remedy="build the net with the options that it was trained with")  # fmt: skip
        arrays.append(array.astype(keras.backend.standardize_dtype(variable.dtype)))
    return arrays
