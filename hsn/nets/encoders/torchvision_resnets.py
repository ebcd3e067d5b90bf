"""ResNet-18, -34 and -50 as encoders, with torchvision's weights where the user has the file.

The net and the names of its layers are those of `hsn.nets.resunet`; only the feature maps are taken from it. No
weights ship: torchvision's are trained on ImageNet, and this library fetches nothing while it builds a net.
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
        None: random weights. A mapping: torchvision's `state_dict`, as the reader of torch files gives it. Default:
        None.
    stride : {2, 4, 8, 16, 32}
        Stride of the coarsest feature map. Default: 32.
    seed : int, optional
        Seed of the random weights.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalized pixels -> list of feature maps, finest first; see `INFOS`.

    Raises
    ------
    InputError
        "encoder-depth", "encoder-stride" or "weights-type"; and what `hsn.nets.resnet_state.load_encoder` raises for
        weights of another net.

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
    # Each join of the decoder takes the enlarged maps and the encoder's; the first join takes the coarsest of these.
    joins = [layer for layer in net.layers if isinstance(layer, layers.Concatenate)]
    features = [*(join.input[1] for join in reversed(joins)), resunet.deepest_maps(net)]
    return keras.Model(net.input, features[: len(info.strides)], name=info.name)
