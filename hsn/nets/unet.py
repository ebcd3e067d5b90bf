"""U-Net: down for context, up again with what was seen on the way down.

The padded variant of Ronneberger et al. (MICCAI 2015) whose small (three poolings) and full (four) form were
compared on CryoNuSeg (C. Eichner, Histology-NucleiSeg, 2022): two 3x3 convolutions with ReLU a level, no batch
normalization, no dropout; 2x2 maxima down; bilinear enlargement up, put before the skipped maps; one sigmoid.
"""

import keras
from keras import layers, ops

from ..errors import refuse
from .parts import seeds_from

# Red, green, blue over 255, of the 28 images: means, and means of the images' deviations (not the pooled ones).
MEAN = (0.53955701, 0.38888616, 0.56235658)
STD = (0.21415865, 0.21441780, 0.16906027)


def normalize(image, *, mean=MEAN, std=STD):
    """Pixels as the net wants them: ``(x / 255 - mean) / std``, float32.

    Parameters
    ----------
    image : array, shape (..., 3)
        RGB, 0..255.
    mean, std : three floats
        Of the training images, over 255.

    Examples
    --------
    >>> normalize([[[255, 255, 255]]]).round(3).tolist()
    [[[2.1500000953674316, 2.8499999046325684, 2.5889999866485596]]]
    """
    pixels = ops.convert_to_numpy(image).astype("float32") / 255
    return ((pixels - mean) / std).astype("float32")


def build(outputs=1, *, depth=3, width=64, batch_norm=False, dropout=0.0, seed=None, name="unet"):
    """Build a U-Net of any depth and width.

    Parameters
    ----------
    outputs : int
        1: how surely a pixel is an object, by a sigmoid. More: classes that exclude each other, by a softmax.
    depth : int
        How often the sides are halved: 3 is the small net, 4 the full one. They must divide by 2 to this power.
    width : int
        Channels of the first level; each level below has twice as many.
    batch_norm : bool
        Normalise before each ReLU: not published, but learns faster where images are few.
    dropout : float
        Share of the deepest maps that is dropped while learning, whole maps at a time.
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
    >>> build(depth=2, width=4).output_shape
    (None, None, None, 1)
    """
    if outputs < 1 or depth < 0 or width < 1:
        refuse("This U-Net cannot be built", expected="`outputs` and `width` of 1 or more, `depth` of 0 or more",
               received=f"outputs={outputs}, depth={depth}, width={width}",
               remedy="leave them out for the small net")  # fmt: skip
    seeds = seeds_from(seed)
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


def small(outputs=1, *, width=64, seed=None):
    """The small net: three poolings, 7,782,913 parameters.

    Examples
    --------
    >>> small().count_params()
    7782913
    """
    return build(outputs, depth=3, width=width, seed=seed, name="unet_small")


def full(outputs=1, *, width=64, seed=None):
    """The full net: four poolings, 31,378,945 parameters.

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
    """A convolution that starts as torch starts it: weights and biases even within 1 / sqrt(inputs)."""
    bound = (side * side * x.shape[-1]) ** -0.5
    return layers.Conv2D(
        channels,
        side,
        padding="same",
        kernel_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
        **options,
    )(x)


def logits_of(net):
    """The layer whose output the sigmoid or softmax is applied to."""
    return net.get_layer("logits")
