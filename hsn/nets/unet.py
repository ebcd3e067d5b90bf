"""U-Net: an encoder with poolings and a decoder with skip connections.

This is the padded variant of Ronneberger et al. (MICCAI 2015). Its small form (three poolings) and full form (four)
were compared on CryoNuSeg (C. Eichner, Histology-NucleiSeg, 2022). Each level has two 3x3 convolutions with ReLU,
without batch normalization and dropout. The encoder has 2x2 max poolings. The decoder has bilinear upsampling,
concatenated before the skipped maps.
"""

import keras
from keras import layers

from ..errors import InputError
from .parts import seed_stream

# RGB / 255 of the 28 images: means, and means of the standard deviations of single images.
MEAN = (0.53955701, 0.38888616, 0.56235658)
STD = (0.21415865, 0.21441780, 0.16906027)


def build(
    outputs: int = 1,
    *,
    depth: int = 3,
    width: int = 64,
    batch_norm: bool = False,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str = "unet",
) -> keras.Model:
    """Build a U-Net.

    Parameters
    ----------
    outputs : int
        1: foreground probability, by a sigmoid. More: exclusive classes, by a softmax.
    depth : int
        Number of poolings: 3 in the small net, 4 in the full net. Sides must be multiples of ``2**depth``.
    width : int
        Channels of the first level; each deeper level has twice as many.
    batch_norm : bool
        Add a batch normalization before each ReLU. Not published, but it trains faster on few images.
    dropout : float
        Spatial dropout rate at the deepest level.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, outputs) in [0, 1].

    Raises
    ------
    InputError
        "unet-invalid" if a number is out of range.

    Examples
    --------
    >>> build(depth=2, width=4).output_shape
    (None, None, None, 1)
    """
    if outputs < 1 or depth < 0 or width < 1:
        raise InputError(
            "unet-invalid",
            "`outputs` and `width` must be 1 or more, `depth` 0 or more",
            got=f"outputs={outputs}, depth={depth}, width={width}",
            hint="leave them out for the small net",
        )
    seeds = seed_stream(seed)
    x = inputs = layers.Input((None, None, 3), name="image")
    skipped = []
    for level in range(depth):
        x = _double(x, width * 2**level, batch_norm, seeds)  # (N, H / 2^level, W / 2^level, width 2^level)
        skipped.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _double(x, width * 2**depth, batch_norm, seeds)
    if dropout:
        x = layers.SpatialDropout2D(dropout, seed=next(seeds))(x)
    for level in reversed(range(depth)):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Concatenate()([x, skipped.pop()])
        x = _double(x, width * 2**level, batch_norm, seeds)
    x = _convolution(x, outputs, 1, seeds, name="logits")
    activation = "sigmoid" if outputs == 1 else "softmax"
    x = layers.Activation(activation, dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name=name)


def small(outputs: int = 1, *, width: int = 64, seed: int | None = None) -> keras.Model:
    """Build the small net: three poolings, 7,782,913 parameters.

    Examples
    --------
    >>> small().count_params()
    7782913
    """
    return build(outputs, depth=3, width=width, seed=seed, name="unet_small")


def full(outputs: int = 1, *, width: int = 64, seed: int | None = None) -> keras.Model:
    """Build the full net: four poolings, 31,378,945 parameters.

    Examples
    --------
    >>> full().count_params()
    31378945
    """
    return build(outputs, depth=4, width=width, seed=seed, name="unet_full")


def _double(x, channels, batch_norm, seeds):
    for _ in range(2):
        x = _convolution(x, channels, 3, seeds, activation=None if batch_norm else "relu")
        if batch_norm:
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


def _convolution(x, channels, side, seeds, **options):
    """Apply a convolution with torch's initialization: uniform within 1 / sqrt(fan in)."""
    bound = (side * side * x.shape[-1]) ** -0.5
    return layers.Conv2D(
        channels,
        side,
        padding="same",
        kernel_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
        **options,
    )(x)


def logits_layer(net: keras.Model) -> layers.Layer:
    """Return the layer before the sigmoid or softmax."""
    return net.get_layer("logits")
