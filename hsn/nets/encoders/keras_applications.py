"""MobileNetV2 of `keras.applications` as an encoder; Keras downloads its ImageNet weights."""

import warnings

import keras

from ...errors import InputError
from ..parts import seed_stream
from .contract import EncoderInfo, load_arrays

INFO = EncoderInfo(
    name="mobilenet-v2",
    out_channels=(96, 144, 192, 576, 320),
    strides=(2, 4, 8, 16, 32),
    mean=(0.5, 0.5, 0.5),  # the original scales pixels to -1..1
    std=(0.5, 0.5, 0.5),
    license="Apache-2.0",
    source="keras.applications.MobileNetV2, downloaded by Keras",
)
TAPS = (
    "block_1_expand_relu",
    "block_3_expand_relu",
    "block_6_expand_relu",
    "block_13_expand_relu",
    "block_16_project_BN",
)


def build(*, weights="imagenet", stride=32, seed=None):
    """Build MobileNetV2 as an encoder.

    Parameters
    ----------
    weights : {"imagenet"}, None or mapping of str to array
        "imagenet": weights that Keras downloads once and keeps in its cache. None: random weights. A mapping: arrays
        named as `arrays_of` names them. Default: "imagenet".
    stride, seed
        As in `hsn.nets.encoders.build`.

    Returns
    -------
    keras.Model
        As in `hsn.nets.encoders.build`; see `INFO` for the feature maps. Both sides of the image must be multiples of
        `stride`.

    Raises
    ------
    InputError
        "encoder-stride", "weights-type", "weights-mismatch", or "weights-missing" if the download fails.

    Examples
    --------
    >>> [map.shape[-1] for map in build(weights=None, stride=8).outputs]
    [96, 144, 192]
    """
    info = INFO.up_to(stride)
    if isinstance(weights, str) and weights != "imagenet":
        raise InputError("weights-type", '`weights` must be "imagenet", None or a mapping of names to arrays',
                         got=repr(weights), hint='Try weights="imagenet"')  # fmt: skip
    net = _net("imagenet" if isinstance(weights, str) else None)
    features = [net.get_layer(name).output for name in TAPS[: len(info.strides)]]
    model = keras.Model(net.input, features, name=INFO.name)
    if weights is None:
        _draw(model, seed_stream(seed))
    elif not isinstance(weights, str):
        load_arrays(model, weights)
    return model


def _net(weights):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # open sides: the weights fit any size
            return keras.applications.MobileNetV2(
                include_top=False, weights=weights, input_shape=(None, None, 3)
            )
    except Exception as error:  # whatever a download raises
        raise InputError("weights-missing", "MobileNetV2's weights must be downloaded by Keras", got=str(error)[:200],
                         hint='Try a machine with a network, or encoder="efficientnet-lite0"') from error  # fmt: skip


def _draw(model, seeds):
    """Draw all kernels anew: Keras' builder takes no seed."""
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None:
            initializer = keras.initializers.VarianceScaling(
                2.0, "fan_out", "untruncated_normal", next(seeds)
            )
            layer.kernel.assign(initializer(layer.kernel.shape))
