"""Load ResNet weights of torch into a ResUNet, into its encoder, or into an encoder alone.

Supported weights: torchvision's ResNet-18, -34 and -50, and the released nets of Qu et al. (IEEE TMI 2020). The
prefixes "module." (data-parallel wrapper) and "resnet." (released code) are ignored. So is the ImageNet classifier,
"fc.".
`hsn.models.torch_file.read_state` reads `.safetensors` and `.npz` files.
"""

from collections.abc import Mapping

import keras
import numpy as np

from ..errors import InputError
from . import resunet, torch_state


def load_encoder(net: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Load ResNet weights into the encoder of a ResUNet; the decoder is not changed.

    Parameters
    ----------
    net : keras.Model
        From `hsn.nets.resunet`, with width 64 for torchvision's weights.
    state : mapping of str to array
        A `state_dict` of torchvision's ResNet ("conv1.weight", "layer1.0.bn2.running_var", ...) or of a ResUNet. The
        arrays of its decoder are ignored.

    Raises
    ------
    InputError
        "state-dict-array" or "state-dict-extra" if the depth or width differs. The net is then unchanged.

    Examples
    --------
    >>> load_encoder(resunet.build(1, depth=18, width=2), {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    hsn.errors.InputError: `conv1.weight` must have the shape ...
    """
    decoder = tuple(f"{unit}." for unit in (*resunet.DECODER, resunet.HEAD))
    of_encoder = {name: array for name, array in _bare(state).items() if not name.startswith(decoder)}
    _assign(resunet.extract_encoder(net), of_encoder)


def load(net: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Load all weights of a released ResUNet.

    Parameters
    ----------
    net : keras.Model
        From `hsn.nets.resunet`, with the depth and the outputs of the released net.
    state : mapping of str to array
        Its `state_dict`: torchvision's names, then "u5.up", "u5.conv1.conv", "u5.conv1.norm", "u5.conv2.conv",
        "u5.conv2.norm", the same for u6, u7 and u8, and "ce". Each name is followed by ".weight", ".bias",
        ".running_mean" or ".running_var".

    Raises
    ------
    InputError
        "state-dict-array" or "state-dict-extra". The net is then unchanged.

    Examples
    --------
    >>> load(resunet.build(1, depth=18, width=2), {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    hsn.errors.InputError: `conv1.weight` must have the shape ...
    """
    _assign(net, _bare(state))


def build_encoder(state: Mapping[str, np.ndarray]) -> keras.Model:
    """Build the encoder of a ResNet `state_dict`, without the classifier.

    Parameters
    ----------
    state : mapping of str to array
        As in `load_encoder`. It determines depth and width.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> (N, H / 32, W / 32, d), with d = 512, or 2048 for a ResNet-50.

    Raises
    ------
    InputError
        "resnet-unknown" if the depth is not 18, 34 or 50.

    Examples
    --------
    >>> build_encoder({})
    Traceback (most recent call last):
    hsn.errors.InputError: the weights must be of torchvision's ResNet-18, -34 or -50; got stages of 0, 0, 0, 0 \
blocks; save the state_dict of one of these.
    """
    bare = _bare(state)
    counts = [
        len({name.split(".")[1] for name in bare if name.startswith(f"layer{s}.")}) for s in (1, 2, 3, 4)
    ]
    kind = tuple(counts), "layer1.0.conv3.weight" in bare
    depth = next((depth for depth, known in resunet.BLOCKS.items() if known == kind), None)
    if depth is None or "conv1.weight" not in bare:
        raise InputError(
            "resnet-unknown",
            "the weights must be of torchvision's ResNet-18, -34 or -50",
            got=f"stages of {', '.join(map(str, counts))} blocks",
            hint="save the state_dict of one of these",
        )
    net = resunet.build(1, depth=depth, width=len(bare["conv1.weight"]))
    load_encoder(net, state)
    return resunet.extract_encoder(net)


def _bare(state):
    """Remove the prefixes of wrappers and the ImageNet classifier from a state."""
    bare = {name.removeprefix("module.").removeprefix("resnet."): array for name, array in state.items()}
    return {name: array for name, array in bare.items() if not name.startswith("fc.")}


def _assign(net, state):
    torch_state.load_state_dict(net, state, names=[resunet.torch_name(la) for la in net.layers if la.weights])
