"""Load a `state_dict` of torch into the same net in Keras.

Kernels are (out, in, rows, columns) in torch and (rows, columns, in, out) in Keras. Batch normalizations have the same
four vectors under different names. Both nets then give equal results, up to rounding.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from ..errors import InputError

# torch's names of the arrays of a layer, in the order of Keras' variables
_CONVOLUTION = ("weight", "bias")
_NORMALIZATION = ("weight", "bias", "running_mean", "running_var")
_COUNTER = "num_batches_tracked"  # a step counter of torch, not used here
_HINT = "build the net with the options that it was trained with"


def fullnet_layer_names(*, layers_per_block: int = 6, blocks: int = 7, bottleneck: bool = False) -> list[str]:
    """Return the layer names of FullNet's released code, in the order of `hsn.nets.fullnet.build`.

    Examples
    --------
    >>> fullnet_layer_names(layers_per_block=1, blocks=1)  # doctest: +NORMALIZE_WHITESPACE
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


def load_state_dict(
    net: keras.Model, state: Mapping[str, np.ndarray], *, names: list[str] | None = None
) -> None:
    """Load the arrays of a `state_dict` into a net.

    Parameters
    ----------
    net : keras.Model
        A net of convolutions and batch normalizations, from `hsn.nets.fullnet` or `hsn.nets.unet`.
    state : mapping of str to array
        Arrays by torch's names. The prefix "module." of a data-parallel wrapper is ignored.
    names : list of str, optional
        torch's name of each layer with weights, in the order of `net`. Default: the order of `state`, in which torch
        created the layers.

    Raises
    ------
    InputError
        "state-dict-layers", "state-dict-array" or "state-dict-extra". The net is then unchanged.

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((1, 1, 2)), layers.Conv2D(1, 1)])
    >>> load_state_dict(net, {"module.out.weight": np.full((1, 2, 1, 1), 3.0), "module.out.bias": np.ones(1)})
    >>> float(net(np.ones((1, 1, 1, 2)))[0, 0, 0, 0])
    7.0
    """
    state = {
        name.removeprefix("module."): array for name, array in state.items() if not name.endswith(_COUNTER)
    }
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in state)) if names is None else names
    weighted = [layer for layer in net.layers if layer.weights]
    if len(names) != len(weighted):
        raise InputError(
            "state-dict-layers",
            f"the weights must be of a net with {len(weighted)} layers that have weights",
            got=len(names),
            hint=_HINT,
        )
    values = [_values(layer, name, state) for layer, name in zip(weighted, names, strict=True)]
    if state:
        raise InputError(
            "state-dict-extra",
            "the weights must not have arrays that the net lacks",
            got=sorted(state)[:3],
            hint=_HINT,
        )
    for layer, arrays in zip(weighted, values, strict=True):
        layer.set_weights(arrays)


def _values(layer, name, state):
    """Remove the arrays of one layer from `state` and return them in Keras' order and shape."""
    parts = _NORMALIZATION if isinstance(layer, layers.BatchNormalization) else _CONVOLUTION
    arrays = []
    for part, variable in zip(parts, layer.weights, strict=False):
        array = state.pop(f"{name}.{part}", None)
        array = None if array is None else np.asarray(array)
        if array is not None and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        if array is None or array.shape != tuple(variable.shape):
            raise InputError(
                "state-dict-array",
                f"`{name}.{part}` must have the shape {tuple(variable.shape)}, in Keras' order",
                got="nothing" if array is None else array.shape,
                hint=_HINT,
            )
        arrays.append(array.astype(keras.backend.standardize_dtype(variable.dtype)))
    return arrays
