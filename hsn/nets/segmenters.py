"""Nets for label images, by name and width."""

import keras

from ..checks import one_of
from ..errors import InputError
from ..limits import WIDTH, WIDTH_FACTOR
from . import encoder_unet, encoders, fullnet, unet

NETS = ("encoder-unet", "unet", "fullnet")
ENCODER_UNET = encoder_unet.SIZES["small"]
GRAY = 255.0  # encoders state their normalization for pixels 0..1
UNET_DEPTH, UNET_WIDTH, FULLNET_GROWTH = 4, 16, 24
STEP_PX = 2**UNET_DEPTH  # size divisor of all nets


def build(name, outputs, *, width=None, seed=None):
    """Build a net that maps pixels to the probabilities of classes.

    Parameters
    ----------
    name : {"encoder-unet", "unet", "fullnet"}
        "encoder-unet" starts from ImageNet weights; see `hsn.nets.encoder_unet`.
    outputs : int
        Number of classes.
    width : int, optional
        Channels of the finest level of the decoder (encoder-unet, default 32), of the first level (unet, default 16),
        or growth rate (fullnet, default 24).
    seed : int, optional

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> build("unet", 3, width=2, seed=0).output_shape
    (None, None, None, 3)
    """
    one_of("net", name, NETS)
    if name == "encoder-unet":
        return _encoder_unet(outputs, None, width, seed)
    if name == "fullnet":
        return fullnet.build(outputs, growth=int(width or FULLNET_GROWTH), seed=seed)
    return unet.build(outputs, depth=UNET_DEPTH, width=int(width or UNET_WIDTH), batch_norm=True, seed=seed)


def build_heads(heads, *, width=None, seed=None):
    """Build an "encoder-unet" with several heads; its output holds the probabilities of all heads, one after the other.

    Parameters
    ----------
    heads : sequence of hsn.nets.encoder_unet.Head
    width, seed : see `build`

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> heads = [encoder_unet.Head("objects", 3, "softmax"), encoder_unet.Head("tissue", 2, "softmax")]
    >>> build_heads(heads, width=2, seed=0).output_shape
    (None, None, None, 5)
    """
    net = _encoder_unet(1, heads, width, seed)
    if len(heads) == 1:
        return net
    outputs = [net.get_layer(head.name).output for head in heads]
    joined = keras.layers.Concatenate(name="probabilities", dtype="float32")(outputs)
    return keras.Model(net.input, joined, name=net.name)


def _encoder_unet(outputs, heads, width, seed):
    factor = 1 if width is None else width / ENCODER_UNET["decoder"][-1]
    decoder = tuple(max(1, round(factor * channels)) for channels in ENCODER_UNET["decoder"])
    stride = ENCODER_UNET["encoder_stride"]
    return encoder_unet.build(
        outputs, heads=heads, encoder_stride=stride, decoder=decoder, dropout=0.0, seed=seed
    )


def pretrained_normalization(name):
    """Return mean and standard deviation that a net's encoder was pretrained with; None for a net without.

    Examples
    --------
    >>> pretrained_normalization("unet") is None, round(pretrained_normalization("encoder-unet")["mean"][0], 3)
    (True, 123.675)
    """
    if name != "encoder-unet":
        return None
    info = encoders.describe(encoders.DEFAULT)
    return {"mean": tuple(GRAY * m for m in info.mean), "std": tuple(GRAY * s for s in info.std)}


def check_width(width, *, multiple=1):
    """Raise unless `width` is None or a positive multiple of `multiple` up to 128.

    Raises
    ------
    InputError
        "width-channels".

    Examples
    --------
    >>> check_width(16)
    """
    if width is not None and (not multiple <= width <= WIDTH or width % multiple):
        raise InputError(
            "width-channels",
            f"`width` must be a number of channels, a multiple of {multiple} up to {WIDTH}",
            got=width,
            hint="leave it out for the default",
        )


def check_width_factor(width):
    """Raise unless `width`, a factor on the channels of a net, is None or above 0 and at most 2.

    Raises
    ------
    InputError
        "width-factor".

    Examples
    --------
    >>> check_width_factor(0.25)
    """
    if width is not None and not 0 < width <= WIDTH_FACTOR:
        raise InputError(
            "width-factor",
            f"`width` must be a factor on the channels, above 0 and at most {WIDTH_FACTOR:g}",
            got=width,
            hint="leave it out for the default",
        )
