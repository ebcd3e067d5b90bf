"""Conditional SinGAN: a generator that paints a layout of nuclei in the manner of one patch, and its three critics.

One scale of the pyramid of Lou et al. (IEEE TMI 2022, "Which pixel to annotate", CSinGAN), after SinGAN (Shaham et al.,
ICCV 2019). Five 3x3 convolutions see 11 x 11 pixels; nothing is padded inside. The generator adds what it makes to
the image of the next coarser scale. Three critics of one build look at the whole image, at the nuclei, and at what lies
between them.

The published critics end in a ReLU6, as does each of their blocks: their scores lie in 0..6, and a critic that has
reached an end has no gradient left. `activation="leaky"` is SinGAN's own critic, unbounded, and the default.
"""

import keras
from keras import layers, ops

from ...errors import refuse
from ...nets.parts import seeds_from

BLOCKS = 4  # then one more convolution
MARGIN_PX = 5  # what five 3x3 convolutions take from each side
LEAK = 0.2
WEIGHT_SPREAD = 0.02  # of initial kernels and of the factors of batch normalization
MOMENTUM, EPSILON = 0.9, 1e-5  # torch's defaults, momentum as Keras counts it

# Pixels are -1..1; tanh ends there too, but only white and black reach it.


def generator(filters=32, *, seed=None):
    """Build the generator of one scale.

    Parameters
    ----------
    filters : int
        Channels inside; published: 32, at the finest of five scales 64.
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Two inputs with `MARGIN_PX` more on each side than the output: (N, H + 10, W + 10, 4), which is noise plus
        the coarser image and, as fourth channel, the layout (-1 around nuclei, 1 inside); and (N, H + 10, W + 10, 3),
        the coarser image. Output (N, H, W, 3), about -1..1.

    Raises
    ------
    InputError
        If `filters` is below 1.

    Examples
    --------
    >>> generator(32).count_params() - 2 * 4 * 32  # without the running statistics
    30051
    """
    seeds = _seeds(filters, seed)
    condition = layers.Input((None, None, 4), name="condition")
    coarser = layers.Input((None, None, 3), name="coarser")
    x = condition
    for _ in range(BLOCKS):
        x = _block(x, filters, layers.LeakyReLU(LEAK), seeds)
    x = layers.Activation("tanh", name="detail")(_convolution(x, 3, seeds))  # (N, H, W, 3)
    image = layers.Add(name="image")([x, layers.Cropping2D(MARGIN_PX)(coarser)])
    return keras.Model([condition, coarser], image, name="generator")


def critic(filters=32, *, activation="leaky", batch_norm=True, seed=None):
    """Build a critic of one scale.

    Parameters
    ----------
    filters : int
        Channels inside, as of the generator.
    activation : {"leaky", "relu6"}
        "relu6" is the published one, which bounds the scores too.
    batch_norm : bool
        Whether each block normalises its batch, as published. Real and made images come in batches of their own, so
        such a critic cannot compare how bright or how strong they are; without, kernels start larger (He et al., 2015).
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> scores (N, H - 10, W - 10, 1), high where it takes what it sees for real.

    Raises
    ------
    InputError
        If `filters` is below 1, or there is no such activation.

    Examples
    --------
    >>> critic(32).count_params(), critic(32).output_shape
    (29185, (None, None, None, 1))
    """
    if activation not in ("leaky", "relu6"):
        refuse("there is no such activation for a critic", expected="leaky or relu6", received=repr(activation),
               remedy="leave it out for one that keeps its gradient")  # fmt: skip
    seeds = _seeds(filters, seed)
    x = image = layers.Input((None, None, 3), name="image")
    for _ in range(BLOCKS):
        if batch_norm:
            x = BatchStatistics(seed=next(seeds))(_convolution(x, filters, seeds))
        else:
            x = _convolution(x, filters, seeds, spread=(2 / (9 * x.shape[-1])) ** 0.5)
        x = (layers.ReLU(max_value=6) if activation == "relu6" else layers.LeakyReLU(LEAK))(x)
    x = _convolution(x, 1, seeds)
    if activation == "relu6":
        x = layers.ReLU(max_value=6)(x)
    return keras.Model(image, x, name="critic")


class BatchStatistics(layers.Layer):
    """Batch normalization as it is in training, with a second derivative.

    A gradient penalty differentiates twice. TensorFlow's `tf.nn.moments`, under Keras' `BatchNormalization`, takes the
    mean inside the variance for a constant: right for a first derivative, wrong for a second. Critics only ever learn,
    so nothing is kept for later.

    Examples
    --------
    >>> layer = BatchStatistics(seed=0)
    >>> bool(abs(ops.mean(layer(ops.convert_to_tensor([[1.0], [3.0]])))) < 1e-6), layer.count_params()
    (True, 2)
    """

    def __init__(self, seed=None, **options):
        super().__init__(**options)
        self.seed = seed

    def build(self, shape):
        """Make a factor and an offset for each channel."""
        factors = keras.initializers.RandomNormal(1.0, WEIGHT_SPREAD, seed=self.seed)
        self.gamma = self.add_weight(name="gamma", shape=shape[-1:], initializer=factors)
        self.beta = self.add_weight(name="beta", shape=shape[-1:], initializer="zeros")

    def call(self, x):
        """Each channel with mean 0 and deviation 1, times its factor, plus its offset."""
        axes = tuple(range(len(x.shape) - 1))
        away = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(away), axes, keepdims=True)
        return self.gamma * away * ops.rsqrt(variance + EPSILON) + self.beta


def _seeds(filters, seed):
    if filters < 1:
        refuse("a net needs channels", expected="`filters` of 1 or more", received=filters,
               remedy="leave it out for the published 32")  # fmt: skip
    return seeds_from(seed)


def _block(x, filters, activation, seeds):
    """Convolution, batch normalization, activation."""
    x = _convolution(x, filters, seeds)
    factors = keras.initializers.RandomNormal(1.0, WEIGHT_SPREAD, seed=next(seeds))
    return activation(
        layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, gamma_initializer=factors)(x)
    )


def _convolution(x, filters, seeds, *, spread=WEIGHT_SPREAD):
    """3x3, no padding; biases start as torch starts them, even within 1 / sqrt(inputs)."""
    bound = (9 * x.shape[-1]) ** -0.5
    return layers.Conv2D(
        filters,
        3,
        kernel_initializer=keras.initializers.RandomNormal(0.0, spread, seed=next(seeds)),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
    )(x)
