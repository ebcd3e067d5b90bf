"""ResUNet: a ResNet that knows pictures, and a U-Net's way up again.

The encoder is torchvision's ResNet, so that weights learned on ImageNet fit; the decoder doubles the sides five times
with transposed convolutions and takes in what was seen on the way down (Qu et al., Weakly supervised deep nuclei
segmentation using partial points annotation in histopathology images, IEEE TMI 2020). The decoder's unit is
convolution, ReLU, batch normalization, dropout of whole maps, in this order.

Layers carry the names of torch, so a `state_dict` says where each of its arrays goes (`hsn.nets.resnet_state`).
"""

import keras
from keras import layers

from ..errors import refuse
from .parts import seeds_from

# depth -> blocks of the four stages, and whether a block is a bottleneck (He et al., CVPR 2016)
BLOCKS = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True)}
EXPANSION = 4  # what a bottleneck gives, times its inner channels
EPSILON, MOMENTUM = 1e-5, 0.9  # of batch normalization
STEP_PX = 32  # the sides are halved five times
LEAST_PX = STEP_PX // 2 + 1  # a smaller side has a skip of one pixel, which cannot be mirrored
DECODER, HEAD = ("u5", "u6", "u7", "u8"), "ce"


def build(outputs, *, depth=34, width=64, dropout=0.1, sides_px=None, seed=None, name="resunet"):
    """Build a ResUNet; the encoder starts from random weights (`hsn.nets.resnet_state` has better ones).

    Parameters
    ----------
    outputs : int
        1: how surely a pixel is an object, by a sigmoid. More: classes that exclude each other, by a softmax.
    depth : {18, 34, 50}
        Layers of the ResNet.
    width : int
        Channels of the first convolution, even; all others scale with it. 64 is published.
    dropout : float
        Share of maps that each unit of the decoder drops while learning.
    sides_px : (int, int), optional
        Height and width of all images, from 17 on. By default images may be of any size whose sides divide by 32,
        which is how `hsn.prediction.tiling` cuts tiles. Given, any sides will do: skipped maps that
        are smaller than the enlarged ones are mirrored at their lower and right ends, as in the original, and the
        output is cut to the size of the image.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalize pixels -> (N, H, W, outputs) in [0, 1]. `logits_of` finds what the sigmoid or
        softmax is applied to.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> build(1, depth=18, width=4).output_shape
    (None, None, None, 1)
    >>> build(2, depth=18, width=4, sides_px=(50, 77)).output_shape
    (None, 50, 77, 2)
    """
    if outputs < 1 or depth not in BLOCKS or width < 2 or width % 2:
        refuse("This ResUNet cannot be built", received=f"outputs={outputs}, depth={depth}, width={width}",
               expected="`outputs` of 1 or more, `depth` 18, 34 or 50, an even `width`",
               remedy="leave them out for the published net")  # fmt: skip
    if sides_px is not None and min(sides_px) < LEAST_PX:
        refuse("This ResUNet cannot be built", expected=f"`sides_px` of {LEAST_PX} or more",
               received=sides_px, remedy="enlarge or mirror the images first")  # fmt: skip
    seeds = seeds_from(seed)
    inputs = layers.Input((*(sides_px or (None, None)), 3), name="image")
    x, skips = _encode(inputs, *BLOCKS[depth], width, seeds)
    for unit, skip in zip(DECODER, reversed(skips), strict=True):
        x = _up(x, skip, unit, dropout, seeds)
    x = _enlarged(x, outputs, HEAD, seeds)  # (N, 32 ceil(H / 32), 32 ceil(W / 32), outputs)
    surplus = [(0, -side % STEP_PX) for side in sides_px] if sides_px else 0
    x = layers.Cropping2D(surplus, name="logits")(x)  # (N, H, W, outputs)
    activation = "sigmoid" if outputs == 1 else "softmax"
    x = layers.Activation(activation, dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name=name)


def _encode(x, blocks, bottleneck, width, seeds):
    """The ResNet without its head: the deepest maps, and those before each halving, shallowest first."""
    x = layers.ReLU()(
        _normalised(_strided(x, width, 7, 2, seeds, "conv1"), "bn1")
    )  # (N, H / 2, W / 2, width)
    skips = [x]
    # torch pads with minus infinity; after a ReLU zeros do the same.
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for stage, count in enumerate(blocks):
        for k in range(count):
            stride = 2 if stage and not k else 1
            x = _block(x, width * 2**stage, stride, bottleneck, seeds, f"layer{stage + 1}.{k}")
        skips.append(x)  # (N, H / 2^(stage + 2), ...)
    return skips.pop(), skips


def _block(x, channels, stride, bottleneck, seeds, name):
    """A residual block; a bottleneck strides in its 3x3 convolution, as torchvision's do."""
    given = channels * EXPANSION if bottleneck else channels
    plan = (
        [(channels, 1, 1), (channels, 3, stride), (given, 1, 1)]
        if bottleneck
        else [(channels, 3, stride), (channels, 3, 1)]
    )
    shortcut = x
    for k, (filters, side, step) in enumerate(plan, 1):
        x = _normalised(_strided(x, filters, side, step, seeds, f"{name}.conv{k}"), f"{name}.bn{k}")
        x = layers.ReLU()(x) if k < len(plan) else x
    if stride > 1 or shortcut.shape[-1] != given:
        shortcut = _strided(shortcut, given, 1, stride, seeds, f"{name}.downsample.0")
        shortcut = _normalised(shortcut, f"{name}.downsample.1")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _up(x, skip, name, dropout, seeds):
    """Twice the sides, joined with what was seen there on the way down."""
    x = _enlarged(x, x.shape[-1] // 2, f"{name}.up", seeds)
    channels = skip.shape[-1]
    x = layers.Concatenate()([x, _mirrored_to(skip, x.shape[1:3])])
    for k in (1, 2):
        start = _torch_start(9 * x.shape[-1], seeds)
        x = layers.Conv2D(
            channels, 3, padding="same", activation="relu", name=f"{name}.conv{k}.conv", **start
        )(x)
        x = _normalised(x, f"{name}.conv{k}.norm")
        x = layers.SpatialDropout2D(dropout, seed=next(seeds))(x) if dropout else x
    return x


def _mirrored_to(x, sides):
    """`x` with the rows and columns that it lacks mirrored in at its ends; unknown sides lack none."""
    for axis, side in enumerate(sides, 1):
        there = x.shape[axis]
        lines = []
        for k in range(there - 2, 2 * there - side - 2, -1) if side is not None else ():
            kept = [(0, 0), (0, 0)]
            kept[axis - 1] = (k, there - 1 - k)
            lines.append(layers.Cropping2D(kept)(x))
        x = layers.Concatenate(axis=axis)([x, *lines]) if lines else x
    return x


def _strided(x, channels, side, stride, seeds, name):
    """A convolution of the encoder, padded alike on all sides ("same" pads a strided one at its end only)."""
    if side > 1:
        x = layers.ZeroPadding2D(side // 2)(x)
    spread = (2 / (side * side * channels)) ** 0.5  # He's, for what comes out
    start = keras.initializers.RandomNormal(stddev=spread, seed=next(seeds))
    return layers.Conv2D(channels, side, strides=stride, use_bias=False, kernel_initializer=start, name=name)(
        x
    )


def _normalised(x, name):
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)


def _enlarged(x, channels, name, seeds):
    """A transposed convolution that makes four pixels of one; torch counts what comes out as what goes in."""
    start = _torch_start(4 * channels, seeds)
    return layers.Conv2DTranspose(channels, 2, strides=2, name=name, **start)(x)


def _torch_start(inputs, seeds):
    """Weights and biases even within 1 / sqrt(inputs)."""
    bound = inputs**-0.5
    return {
        f"{part}_initializer": keras.initializers.RandomUniform(-bound, bound, seed=next(seeds))
        for part in ("kernel", "bias")
    }


def logits_of(net):
    """The layer whose output the sigmoid or softmax is applied to."""
    return net.get_layer("logits")


def encoder_of(net):
    """The encoder of a ResUNet, sharing its weights: (N, H, W, 3) -> (N, H / 32, W / 32, 8 width or 32 width).

    Examples
    --------
    >>> encoder_of(build(1, depth=18, width=4)).output_shape
    (None, None, None, 32)
    """
    return keras.Model(net.input, net.get_layer(f"{DECODER[0]}.up").input, name="encoder")


def rebuilt(net, outputs, *, sides_px=None, seed=None):
    """The same net with another head, or for other sides; all its other weights are copied.

    Parameters
    ----------
    net : keras.Model
        That `build` made; it stays as it is.
    outputs, sides_px, seed
        As `build` takes them. The head is copied too if it has as many outputs.

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> detector = build(1, depth=18, width=4, seed=0)
    >>> rebuilt(detector, 2).output_shape
    (None, None, None, 2)
    """
    named = {layer.name: layer for layer in net.layers}
    bottleneck = "layer1.0.conv3" in named
    blocks = tuple(sum(f"layer{s}.{k}.conv1" in named for k in range(99)) for s in (1, 2, 3, 4))
    depth = next(d for d, kind in BLOCKS.items() if kind == (blocks, bottleneck))
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
            layer.set_weights(named[layer.name].get_weights())
    return other
