"""ResNet-18, -34 and -50 as encoders, optionally with torchvision's weights.

The net and the names of its layers are those of `hsn.nets.resunet`. No weights ship with hsn, and nothing is downloaded
here: the user gives torchvision's file.
"""

from collections.abc import Mapping

import keras
from keras import layers

from ...errors import InputError
from .. import resnet_state, resunet
from .contract import EncoderInfo

_SOURCE = "a state_dict of torchvision, saved as .safetensors or .npz"
_CHANNELS = {
    18: (64, 64, 128, 256, 512),
    34: (64, 64, 128, 256, 512),
    50: (64, 256, 512, 1024, 2048),
}
INFOS = {
    depth: EncoderInfo(
        name=f"resnet{depth}",
        out_channels=channels,
        strides=(2, 4, 8, 16, 32),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        license="BSD-3-Clause",
        source=_SOURCE,
    )
    for depth, channels in _CHANNELS.items()
}


def build(depth, *, weights=None, stride=32, seed=None):
    """Build a ResNet as an encoder.

    Parameters
    ----------
    depth : {18, 34, 50}
        Layers of the ResNet.
    weights : None or mapping of str to array
        None: random weights. A mapping: torchvision's `state_dict`, from `hsn.models.torch_file.read_state`. Default:
        None.
    stride, seed
        As in `hsn.nets.encoders.build`.

    Returns
    -------
    keras.Model
        As in `hsn.nets.encoders.build`; see `INFOS` for the feature maps.

    Raises
    ------
    InputError
        "encoder-depth", "encoder-stride", "weights-type", or an error of `hsn.nets.resnet_state.load_encoder`.

    Examples
    --------
    >>> [map.shape[-1] for map in build(18, stride=8).outputs]
    [64, 64, 128]
    """
    if depth not in INFOS:
        raise InputError("encoder-depth", "`depth` must be 18, 34 or 50", got=depth, hint="Try depth=18")
    if weights is not None and not isinstance(weights, Mapping):
        raise InputError("weights-type", "`weights` of a ResNet must be None or a state_dict", got=repr(weights)[:60],
                         hint=f"Try {_SOURCE}")  # fmt: skip
    info = INFOS[depth].up_to(stride)
    net = resunet.build(1, depth=depth, seed=seed)
    if weights is not None:
        resnet_state.load_encoder(net, weights)
    # Each concatenation of the decoder has two inputs: upsampled maps, then maps of the encoder; coarsest first.
    concatenations = [layer for layer in net.layers if isinstance(layer, layers.Concatenate)]
    features = [*(layer.input[1] for layer in reversed(concatenations)), resunet.deepest_maps(net)]
    return keras.Model(net.input, features[: len(info.strides)], name=info.name)
