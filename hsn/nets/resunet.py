"""ResUNet: a ResNet encoder and a U-Net decoder.

The encoder is torchvision's ResNet: ImageNet weights fit. The decoder has five transposed convolutions and skip
connections [1]_. A decoder unit is a convolution, a ReLU, a batch normalization and a spatial dropout, in this order.
The layers have torch's names with hyphens for dots, which a parameter's name may not contain on the torch backend.
`torch_name` gives the name in a `state_dict` (`hsn.nets.resnet_state`).

References
----------
.. [1] Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation in histopathology images,
   IEEE TMI 2020.
"""

import keras
from keras import layers

from ..errors import InputError
from .parts import seed_stream

# depth -> number of blocks in the four stages, and whether they are bottlenecks (He et al., CVPR 2016)
BLOCKS = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True)}
EXPANSION = 4  # output channels of a bottleneck, relative to its inner channels
EPSILON, MOMENTUM = 1e-5, 0.9  # of batch normalization
STEP_PX = 32  # size divisor: five halvings
MIN_SIDE_PX = STEP_PX // 2 + 1  # a smaller side has a skip of one pixel, which cannot be mirrored
DECODER, HEAD = ("u5", "u6", "u7", "u8"), "ce"


def build(
    outputs: int,
    *,
    depth: int = 34,
    width: int = 64,
    dropout: float = 0.1,
    sides_px: tuple[int, int] | None = None,
    seed: int | None = None,
    name: str = "resunet",
) -> keras.Model:
    """Build a ResUNet with random weights; `hsn.nets.resnet_state` loads pretrained ones.

    Parameters
    ----------
    outputs, seed : int
        As in `hsn.nets.unet.build`.
    depth : {18, 34, 50}
        Layers of the ResNet.
    width : int
        Channels of the first convolution, an even number; all others scale with it. Published: 64.
    dropout : float
        Spatial dropout rate of the decoder.
    sides_px : (int, int), optional
        Height and width of all images, 17 or more. As in the original, smaller skipped maps are mirrored at their lower
        and right ends, and the output is cropped to the image. Default: any size with sides that are multiples of 32.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, outputs) in [0, 1].

    Raises
    ------
    InputError
        "resunet-invalid" or "resunet-sides-too-small".

    Examples
    --------
    >>> build(1, depth=18, width=4).output_shape
    (None, None, None, 1)
    >>> build(2, depth=18, width=4, sides_px=(50, 77)).output_shape
    (None, 50, 77, 2)
    """
    if outputs < 1 or depth not in BLOCKS or width < 2 or width % 2:
        raise InputError(
            "resunet-invalid",
            "`outputs` must be 1 or more, `depth` 18, 34 or 50, `width` even",
            got=f"outputs={outputs}, depth={depth}, width={width}",
            hint="leave them out for the published net",
        )
    if sides_px is not None and min(sides_px) < MIN_SIDE_PX:
        raise InputError(
            "resunet-sides-too-small",
            f"`sides_px` must be {MIN_SIDE_PX} or more",
            got=sides_px,
            hint="enlarge or pad the images first",
        )
    seeds = seed_stream(seed)
    inputs = layers.Input((*(sides_px or (None, None)), 3), name="image")
    x, skips = _encode(inputs, *BLOCKS[depth], width, seeds)
    for unit, skip in zip(DECODER, reversed(skips), strict=True):
        x = _up(x, skip, unit, dropout, seeds)
    x = _upsample(x, outputs, HEAD, seeds)  # (N, 32 ceil(H / 32), 32 ceil(W / 32), outputs)
    surplus = [(0, -side % STEP_PX) for side in sides_px] if sides_px else 0
    x = layers.Cropping2D(surplus, name="logits")(x)  # (N, H, W, outputs)
    activation = "sigmoid" if outputs == 1 else "softmax"
    x = layers.Activation(activation, dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name=name)


def _encode(x, blocks, bottleneck, width, seeds):
    """Return the deepest maps of the ResNet, and the maps before each halving, shallowest first."""
    x = _normalize(_strided(x, width, 7, 2, seeds, "conv1"), "bn1")
    x = layers.ReLU()(x)  # (N, H / 2, W / 2, width)
    skips = [x]
    # torch pads with minus infinity; after a ReLU, padding with zeros is equivalent.
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for stage, count in enumerate(blocks):
        for k in range(count):
            stride = 2 if stage and not k else 1
            x = _block(x, width * 2**stage, stride, bottleneck, seeds, f"layer{stage + 1}.{k}")
        skips.append(x)  # (N, H / 2^(stage + 2), ...)
    return skips.pop(), skips


def _block(x, channels, stride, bottleneck, seeds, name):
    """Apply a residual block; the 3x3 convolution of a bottleneck has the stride, as in torchvision."""
    output = channels * EXPANSION if bottleneck else channels
    convolutions = (
        [(channels, 1, 1), (channels, 3, stride), (output, 1, 1)]
        if bottleneck
        else [(channels, 3, stride), (channels, 3, 1)]
    )
    shortcut = x
    for k, (filters, side, step) in enumerate(convolutions, 1):
        x = _normalize(_strided(x, filters, side, step, seeds, f"{name}.conv{k}"), f"{name}.bn{k}")
        x = layers.ReLU()(x) if k < len(convolutions) else x
    if stride > 1 or shortcut.shape[-1] != output:
        shortcut = _strided(shortcut, output, 1, stride, seeds, f"{name}.downsample.0")
        shortcut = _normalize(shortcut, f"{name}.downsample.1")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _up(x, skip, name, dropout, seeds):
    """Upsample by 2, concatenate the skipped maps, and convolve twice."""
    x = _upsample(x, x.shape[-1] // 2, f"{name}.up", seeds)
    channels = skip.shape[-1]
    x = layers.Concatenate()([x, _mirror_to(skip, x.shape[1:3])])
    for k in (1, 2):
        initializers = _torch_initializers(9 * x.shape[-1], seeds)
        x = layers.Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            name=_layer_name(f"{name}.conv{k}.conv"),
            **initializers,
        )(x)
        x = _normalize(x, f"{name}.conv{k}.norm")
        x = layers.SpatialDropout2D(dropout, seed=next(seeds))(x) if dropout else x
    return x


def _mirror_to(x, sides):
    """Extend `x` to some sides by mirroring rows and columns at its ends; unknown sides stay."""
    for axis, side in enumerate(sides, 1):
        size = x.shape[axis]
        lines = []
        for k in range(size - 2, 2 * size - side - 2, -1) if side is not None else ():
            kept = [(0, 0), (0, 0)]
            kept[axis - 1] = (k, size - 1 - k)
            lines.append(layers.Cropping2D(kept)(x))
        x = layers.Concatenate(axis=axis)([x, *lines]) if lines else x
    return x


def _strided(x, channels, side, stride, seeds, name):
    """Apply a convolution with equal padding on all sides; "same" pads a strided one only at the end."""
    if side > 1:
        x = layers.ZeroPadding2D(side // 2)(x)
    stddev = (2 / (side * side * channels)) ** 0.5  # He initialization (fan out)
    initializer = keras.initializers.RandomNormal(stddev=stddev, seed=next(seeds))
    convolution = layers.Conv2D(
        channels, side, strides=stride, use_bias=False, kernel_initializer=initializer, name=_layer_name(name)
    )
    return convolution(x)


def _normalize(x, name):
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=_layer_name(name))(x)


def _upsample(x, channels, name, seeds):
    """Apply a 2x2 transposed convolution; torch initializes it by its fan out."""
    initializers = _torch_initializers(4 * channels, seeds)
    return layers.Conv2DTranspose(channels, 2, strides=2, name=_layer_name(name), **initializers)(x)


def _torch_initializers(inputs, seeds):
    """Return torch's initializers of weights and biases: uniform within 1 / sqrt(inputs)."""
    bound = inputs**-0.5
    return {
        f"{part}_initializer": keras.initializers.RandomUniform(-bound, bound, seed=next(seeds))
        for part in ("kernel", "bias")
    }


def _layer_name(name):
    return name.replace(".", "-")


def torch_name(layer: layers.Layer) -> str:
    """Return the name of a layer in a torch `state_dict`.

    Examples
    --------
    >>> torch_name(layers.Layer(name="layer1-0-conv1"))
    'layer1.0.conv1'
    """
    return str(layer.name).replace("-", ".")


def deepest_maps(net: keras.Model):
    """Return the output tensor of the encoder of a ResUNet."""
    return next(layer for layer in net.layers if torch_name(layer) == f"{DECODER[0]}.up").input


def logits_layer(net: keras.Model) -> layers.Layer:
    """Return the layer before the sigmoid or softmax."""
    return net.get_layer("logits")


def extract_encoder(net: keras.Model) -> keras.Model:
    """Return the encoder of a ResUNet, with shared weights: (N, H, W, 3) -> (N, H / 32, W / 32, 8 or 32 width).

    Examples
    --------
    >>> extract_encoder(build(1, depth=18, width=4)).output_shape
    (None, None, None, 32)
    """
    return keras.Model(net.input, deepest_maps(net), name="encoder")


def rebuild(
    net: keras.Model, outputs: int, *, sides_px: tuple[int, int] | None = None, seed: int | None = None
) -> keras.Model:
    """Build the same net with another head or for other sides, and copy all other weights.

    Parameters
    ----------
    net : keras.Model
        From `build`; it is not changed.
    outputs, sides_px, seed
        As in `build`. The head is also copied if its number of outputs is the same.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> detector = build(1, depth=18, width=4, seed=0)
    >>> rebuild(detector, 2).output_shape
    (None, None, None, 2)
    """
    named = {torch_name(layer): layer for layer in net.layers}
    bottleneck = "layer1.0.conv3" in named
    blocks = tuple(sum(f"layer{s}.{k}.conv1" in named for k in range(99)) for s in (1, 2, 3, 4))
    depth = next((d for d, kind in BLOCKS.items() if kind == (blocks, bottleneck)), None)
    if depth is None:
        raise InputError(
            "net-unsupported", "the net must be a ResUNet or a U-Net on an encoder", got=net.name,
            hint="build it with hsn.nets.resunet or hsn.nets.encoder_unet",
        )  # fmt: skip
    rates = [layer.rate for layer in net.layers if isinstance(layer, layers.SpatialDropout2D)]
    other = build(
        outputs,
        depth=depth,
        width=named["conv1"].filters,
        dropout=rates[0] if rates else 0.0,
        sides_px=sides_px,
        seed=seed,
        name=net.name,
    )
    for layer in other.layers:
        if layer.weights and (layer.name != HEAD or outputs == net.output_shape[-1]):
            layer.set_weights(named[torch_name(layer)].get_weights())
    return other
