"""U-Net on a pretrained encoder: feature maps down, a decoder with skips up, heads at full resolution.

Each step of the decoder doubles the sides (nearest neighbor) and joins the encoder's map of that stride. Two 3x3
convolutions with batch normalization and ReLU follow. The step to full resolution joins a 3x3 convolution of the image.
A head is a 1x1 convolution. If the decoder ends at a coarser stride, its logits are enlarged bilinearly.

Trainable parameters, multiply-adds (256 x 256 px) and receptive field of `SIZES` with the default encoder and three
classes:

| size | encoder to stride | decoder | ends at stride | parameters | multiply-adds | receptive field |
|---|---|---|---|---|---|---|
| small | 16 | 64, 48, 32 | 2 | 912,259 | 1.14 G | 427 px |
| medium | 32 | 96, 64, 32, 24 | 2 | 3,581,291 | 1.11 G | 1035 px |
| large | 32 | 128, 96, 64, 32, 16 | 1 | 3,981,379 | 2.47 G | 1037 px |

References
----------
Ronneberger et al., U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015.
"""

from dataclasses import dataclass

import keras
from keras import layers

from ..errors import InputError
from . import encoders
from .cost import multiply_adds
from .parts import seed_stream
from .reach import halo_px, receptive_field_px, size_divisor

__all__ = [
    "SIZES",
    "Head",
    "build",
    "encoder_variables",
    "extract_encoder",
    "halo_px",
    "logits_layer",
    "multiply_adds",
    "preprocess",
    "rebuild",
    "receptive_field_px",
    "size_divisor",
]

SIZES = {
    "small": {"encoder_stride": 16, "decoder": (64, 48, 32)},
    "medium": {"encoder_stride": 32, "decoder": (96, 64, 32, 24)},
    "large": {"encoder_stride": 32, "decoder": (128, 96, 64, 32, 16)},
}
MOMENTUM, EPSILON = 0.95, 1e-5  # of the decoder's batch normalization
DROPOUT = 0.1


@dataclass(frozen=True)
class Head:
    """Describes one output of the net.

    Attributes
    ----------
    name : str
        Name of the output layer; of its logits with "_logits" added.
    channels : int
        Channels of the output.
    activation : {"sigmoid", "softmax", "linear"}
        "sigmoid": probabilities that do not exclude each other. "softmax": classes that do. "linear": any number, such
        as a distance.

    Examples
    --------
    >>> Head("distance", 1, "linear").channels
    1
    """

    name: str
    channels: int
    activation: str

    def __post_init__(self):
        if self.channels < 1 or self.activation not in ("sigmoid", "softmax", "linear") or not self.name:
            raise InputError("head", "`heads` must have a name, 1 or more channels and a known activation",
                             got=self.__dict__, hint='Try Head("mask", 1, "sigmoid")')  # fmt: skip


def build(
    outputs=1,
    *,
    heads=None,
    encoder=encoders.DEFAULT,
    weights="imagenet",
    encoder_stride=32,
    decoder=(96, 64, 32, 24),
    dropout=DROPOUT,
    sides_px=None,
    seed=None,
    name="encoder_unet",
):
    """Build a U-Net on an encoder.

    Parameters
    ----------
    outputs : int
        Channels of the single output "probabilities": 1 with a sigmoid, more with a softmax. Ignored if `heads` is
        given. Default: 1.
    heads : sequence of Head, optional
        Several outputs. A single head is named "probabilities", whatever its name.
    encoder : str
        One of `hsn.nets.encoders.NAMES`. Default: "efficientnet-lite0".
    weights : {"imagenet"}, None or mapping of str to array
        Weights of the encoder; see `hsn.nets.encoders.build`. Default: "imagenet".
    encoder_stride : int
        Stride of the coarsest map of the encoder: the depth of the net. Default: 32.
    decoder : sequence of int
        Channels of each step of the decoder, coarse to fine: its width and its depth. Default: (96, 64, 32, 24), which
        ends at stride 2.
    dropout : float
        Share of maps that is dropped before the heads while training. Default: 0.1.
    sides_px : (int, int), optional
        Fixed height and width of all images. The normalized image is padded with zeros at its lower and right ends, and
        the outputs are cropped. Default: any size that is a multiple of `size_divisor`.
    seed : int, optional
        Seed of the random weights and of dropout.
    name : str
        Name of the net.

    Returns
    -------
    keras.Model
        (N, H, W, 3) pixels that `preprocess` normalized -> (N, H, W, channels), one per head. With several heads, a
        dict by their names.

    Raises
    ------
    InputError
        "decoder", "head", "outputs", "dropout", or an error of `hsn.nets.encoders.build`.

    Examples
    --------
    >>> build(3, weights=None, **SIZES["small"]).output_shape
    (None, None, None, 3)
    >>> heads = [Head("ternary", 3, "softmax"), Head("distance", 1, "linear")]
    >>> sorted(output.shape[-1] for output in build(heads=heads, weights=None, decoder=(8, 8)).outputs)
    [1, 3]
    """
    heads = _heads(outputs, heads)
    info = encoders.describe(encoder, stride=encoder_stride)
    if not 0 < len(decoder) <= len(info.strides) or min(decoder) < 1:
        raise InputError("decoder", f"`decoder` must hold 1 to {len(info.strides)} numbers of channels",
                         got=tuple(decoder), hint="Try (96, 64, 32, 24)")  # fmt: skip
    if not 0 <= dropout < 1:
        raise InputError("dropout", "`dropout` must be from 0 to below 1", got=dropout, hint="Try 0.1")
    base = encoders.build(encoder, weights=weights, stride=encoder_stride, seed=seed)
    seeds = seed_stream(None if seed is None else seed + 1000)  # the encoder takes those below
    inputs, image, features = _features(base, info, sides_px)
    *skips, x = features
    for step, channels in enumerate(decoder, 1):
        skip = skips.pop() if skips else _unit(image, channels, seeds, "full_skip")
        x = layers.UpSampling2D(2, name=f"up{step}")(x)
        x = layers.Concatenate(name=f"join{step}")([x, skip])
        for k in (1, 2):
            x = _unit(x, channels, seeds, f"decoder{step}_{k}")
    if dropout:
        x = layers.SpatialDropout2D(dropout, seed=next(seeds), name="dropout")(x)
    stride = encoder_stride // 2 ** len(decoder)
    results = {head.name: _output(x, head, stride, sides_px, len(heads) == 1, seeds) for head in heads}
    if len(heads) == 1:
        (results,) = results.values()
    return keras.Model(inputs, results, name=name)


def _heads(outputs, heads):
    if heads is None:
        if outputs < 1:
            raise InputError("outputs", "`outputs` must be 1 or more", got=outputs, hint="Try outputs=1")
        return [Head("probabilities", outputs, "sigmoid" if outputs == 1 else "softmax")]
    heads = list(heads)
    if not heads or len({head.name for head in heads}) < len(heads):
        raise InputError("head", "`heads` must be one or more, of different names", got=[head.name for head in heads],
                         hint='Try heads=[Head("mask", 1, "sigmoid")]')  # fmt: skip
    return heads


def _features(base, info, sides_px):
    """Return the input, the image that the encoder gets, and the encoder's maps."""
    if sides_px is None:
        return base.input, base.input, base.outputs
    if min(sides_px) < 1:
        raise InputError(
            "sides", "`sides_px` must be 1 or more", got=sides_px, hint="Try sides_px=(256, 256)"
        )
    inputs = layers.Input((*sides_px, 3), name="image")
    missing = [(0, -side % info.size_divisor) for side in sides_px]
    image = layers.ZeroPadding2D(missing, name="padding")(inputs) if any(m[1] for m in missing) else inputs
    maps = {id(base.input): image}
    for layer in (layer for layer in base.layers if not isinstance(layer, layers.InputLayer)):
        # Clone the encoder, so that the saved net is one flat graph of stock layers.
        copy = type(layer).from_config(layer.get_config())
        given = layer.input
        maps[id(layer.output)] = copy(
            [maps[id(t)] for t in given] if isinstance(given, list) else maps[id(given)]
        )
        copy.set_weights(layer.get_weights())
    return inputs, image, [maps[id(tensor)] for tensor in base.outputs]


def _output(x, head, stride, sides_px, single, seeds):
    """Return the activation of one head at full resolution."""
    name = "probabilities" if single else head.name
    logits = "logits" if single else f"{head.name}_logits"
    surplus = [(0, x.shape[1 + k] * stride - side) for k, side in enumerate(sides_px)] if sides_px else []
    steps = [(layers.Conv2D, {"filters": head.channels, "kernel_size": 1, **_uniform(x.shape[-1], seeds)})]
    if stride > 1:
        steps.append((layers.UpSampling2D, {"size": stride, "interpolation": "bilinear"}))
    if any(after for _, after in surplus):
        steps.append((layers.Cropping2D, {"cropping": surplus}))
    names = [*(f"{logits}_{kind.__name__.lower()}" for kind, _ in steps[:-1]), logits]
    for (kind, options), layer_name in zip(steps, names, strict=True):
        x = kind(**options, name=layer_name)(x)
    return layers.Activation(head.activation, dtype="float32", name=name)(x)


def _unit(x, channels, seeds, name):
    """Apply a 3x3 convolution, batch normalization and ReLU."""
    kernel = _uniform(9 * x.shape[-1], seeds)["kernel_initializer"]
    x = layers.Conv2D(
        channels, 3, padding="same", use_bias=False, kernel_initializer=kernel, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _uniform(inputs, seeds):
    """Return initializers within 1 / sqrt(inputs), torch's default."""
    bound = inputs**-0.5
    return {
        f"{part}_initializer": keras.initializers.RandomUniform(-bound, bound, seed=next(seeds))
        for part in ("kernel", "bias")
    }


def preprocess(image, *, encoder=encoders.DEFAULT):
    """Return an image as the net expects it: ``(image / 255 - mean) / std`` of the encoder, float32.

    Parameters
    ----------
    image : array, shape (..., 3)
        RGB, 0..255.
    encoder : str
        Name of the encoder. Default: "efficientnet-lite0".

    Returns
    -------
    float32 array, shape (..., 3)

    Examples
    --------
    >>> preprocess([[[255, 255, 255]]]).round(3).tolist()
    [[[2.249000072479248, 2.428999900817871, 2.640000104904175]]]
    """
    return encoders.describe(encoder).preprocess(image)


def rebuild(net, outputs, *, seed=None):
    """Build the same net with a new head, and copy all other weights.

    Parameters
    ----------
    net : keras.Model
        From `build`, with a single head and without fixed sides; it is not changed.
    outputs, seed
        As in `build`.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> detector = build(1, weights=None, seed=0, **SIZES["small"])
    >>> rebuild(detector, 3).output_shape
    (None, None, None, 3)
    """
    (head,) = _heads(outputs, None)
    enlarged = isinstance(logits_layer(net), layers.UpSampling2D)
    first = net.get_layer("logits_conv2d") if enlarged else logits_layer(net)
    trunk = keras.Model(net.input, first.input)
    copy = keras.models.clone_model(trunk)
    copy.set_weights(trunk.get_weights())
    stride = logits_layer(net).size[0] if enlarged else 1
    seeds = seed_stream(None if seed is None else seed + 2000)  # the encoder and the decoder take those below
    return keras.Model(copy.input, _output(copy.output, head, stride, None, True, seeds), name=net.name)


def logits_layer(net, head=None):
    """Return the layer before the activation of a head.

    Parameters
    ----------
    net : keras.Model
        From `build`.
    head : str, optional
        Name of the head. Default: the single head.

    Returns
    -------
    keras.layers.Layer

    Examples
    --------
    >>> logits_layer(build(2, weights=None, **SIZES["small"])).output.shape
    (None, None, None, 2)
    """
    return net.get_layer("logits" if head is None else f"{head}_logits")


def encoder_maps(net):
    """Return the feature maps of a net's encoder that its decoder joins, the coarsest first; none without an encoder.

    Examples
    --------
    >>> [x.shape[-1] for x in encoder_maps(build(1, weights=None, **SIZES["small"]))]
    [112, 40, 24, 16]
    """
    names = {layer.name for layer in net.layers}
    if "up1" not in names:
        return []
    steps = range(1, sum(name.startswith("join") for name in names) + 1)
    return [net.get_layer("up1").input, *(net.get_layer(f"join{step}").input[1] for step in steps)]


def extract_encoder(net):
    """Return the encoder of a net, up to its coarsest map; it shares the net's weights.

    Use it to train the encoder at a lower learning rate, or, with `hsn.nets.encoders.arrays_of`, to start another net.

    Parameters
    ----------
    net : keras.Model
        From `build`.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> the coarsest feature map.

    Examples
    --------
    >>> extract_encoder(build(1, weights=None, **SIZES["small"])).output_shape
    (None, None, None, 112)
    """
    return keras.Model(net.input, encoder_maps(net)[0], name="encoder")


def encoder_variables(net):
    """Return the trainable variables of a net's encoder; none for a net that has no encoder.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> encoder_variables(unet.build(depth=2, width=2))
    []
    """
    return extract_encoder(net).trainable_variables if encoder_maps(net) else []
