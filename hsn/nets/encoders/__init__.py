"""Encoders: nets from an image to a list of feature maps, with pretrained weights if these are free.

| name | weights | license |
|---|---|---|
| efficientnet-lite0 | shipped | Apache-2.0 |
| resnet18, resnet34, resnet50 | torchvision's `state_dict`, given by the user | BSD-3-Clause |
| mobilenet-v2 | downloaded by Keras | Apache-2.0 |

All weights were trained on ImageNet. Its images are for research only; the table gives the licenses of the files.
"""

from functools import partial

from ...errors import InputError
from . import efficientnet_lite, keras_applications, torchvision_resnets
from .contract import EncoderInfo, arrays_of, load_arrays

_BUILDERS = {
    efficientnet_lite.INFO.name: (efficientnet_lite.INFO, efficientnet_lite.build),
    **{
        info.name: (info, partial(torchvision_resnets.build, depth))
        for depth, info in torchvision_resnets.INFOS.items()
    },
    keras_applications.INFO.name: (keras_applications.INFO, keras_applications.build),
}
NAMES = tuple(_BUILDERS)
DEFAULT = efficientnet_lite.INFO.name

__all__ = ["DEFAULT", "NAMES", "EncoderInfo", "arrays_of", "build", "describe", "load_arrays"]


def describe(name=DEFAULT, *, stride=None):
    """Return the description of an encoder without building it.

    Parameters
    ----------
    name : str
        One of `NAMES`. Default: "efficientnet-lite0".
    stride : int, optional
        Stride of the coarsest feature map. Default: the largest.

    Returns
    -------
    EncoderInfo

    Raises
    ------
    InputError
        "encoder-name" or "encoder-stride".

    Examples
    --------
    >>> info = describe("efficientnet-lite0", stride=16)
    >>> info.out_channels, info.strides, info.license
    ((16, 24, 40, 112), (2, 4, 8, 16), 'Apache-2.0')
    """
    info = _find(name)[0]
    return info if stride is None else info.up_to(stride)


def build(name=DEFAULT, *, weights="imagenet", stride=32, seed=None):
    """Build an encoder.

    Parameters
    ----------
    name : str
        One of `NAMES`. Default: "efficientnet-lite0".
    weights : {"imagenet"}, None or mapping of str to array
        "imagenet": pretrained weights, which ship with hsn or are downloaded by Keras. None: random weights. A mapping:
        arrays by the names of the encoder. Default: "imagenet".
    stride : int
        Stride of the coarsest feature map. Default: 32.
    seed : int, optional
        Seed of the random weights.

    Returns
    -------
    keras.Model
        (N, H, W, 3) pixels that `EncoderInfo.preprocess` normalized -> list of feature maps, finest first.

    Raises
    ------
    InputError
        "encoder-name", "encoder-stride", "weights-type", "weights-missing", "weights-damaged" or "weights-mismatch".

    Examples
    --------
    >>> len(build("efficientnet-lite0", weights=None).outputs)
    5
    """
    return _find(name)[1](weights=weights, stride=stride, seed=seed)


def _find(name):
    if name not in _BUILDERS:
        raise InputError("encoder-name", f"`encoder` must be one of {', '.join(NAMES)}", got=repr(name),
                         hint=f'Try encoder="{DEFAULT}"')  # fmt: skip
    return _BUILDERS[name]
