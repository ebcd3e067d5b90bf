"""Generator and critic of one scale of the conditional SinGAN.

The nets follow Lou et al. (IEEE TMI 2022, "Which pixel to annotate", CSinGAN) and SinGAN (Shaham et al., ICCV 2019).
Five 3x3 convolutions without padding have a receptive field of 11 x 11 pixels. The generator adds its output to the
image of the next coarser scale.

Notes
-----
The published critics end in a ReLU6, as each of their blocks: scores lie in 0..6, and a saturated critic has no
gradient. ``activation="leaky"`` is the unbounded critic of SinGAN, and the default.
"""

import keras
from keras import layers, ops

from ...checks import one_of
from ...errors import InputError
from ...nets.parts import seed_stream

BLOCKS = 4  # followed by one more convolution
MARGIN_PX = 5  # five 3x3 convolutions without padding
LEAK = 0.2
WEIGHT_STDDEV = 0.02  # of initial kernels and of the scales of batch normalization
MOMENTUM, EPSILON = 0.9, 1e-5  # torch's defaults, in Keras' convention

# Pixels are in -1..1, the range of tanh.


def build_generator(filters=32, *, seed=None):
    """Build the generator of one scale.

    Parameters
    ----------
    filters : int
        Inner channels. Published: 32, and 64 at the finest of five scales.
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Two inputs with `MARGIN_PX` more pixels on each side than the output. (N, H + 10, W + 10, 4): noise plus the
        coarser image, and the layout (1 inside of nuclei, -1 outside). (N, H + 10, W + 10, 3): the coarser image.
        Output: (N, H, W, 3), about -1..1.

    Raises
    ------
    InputError
        "singan-filters" if `filters` is below 1.

    Examples
    --------
    >>> build_generator(32).count_params() - 2 * 4 * 32  # without the running statistics
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


def build_critic(filters=32, *, activation="leaky", batch_norm=True, seed=None):
    """Build a critic of one scale.

    Parameters
    ----------
    filters : int
        Inner channels, as in the generator.
    activation : {"leaky", "relu6"}
        "relu6" is published; it also bounds the scores. Default: "leaky".
    batch_norm : bool
        Use batch normalization, as published. Real and generated images are in separate batches: the critic then cannot
        compare their brightness and contrast. Without it, He initialization is used.
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> scores (N, H - 10, W - 10, 1), high for real images.

    Raises
    ------
    InputError
        "singan-filters" or "activation-unknown".

    Examples
    --------
    >>> build_critic(32).count_params(), build_critic(32).output_shape
    (29185, (None, None, None, 1))
    """
    one_of("activation", activation, ("leaky", "relu6"))
    seeds = _seeds(filters, seed)
    x = image = layers.Input((None, None, 3), name="image")
    for _ in range(BLOCKS):
        if batch_norm:
            x = BatchStatistics(seed=next(seeds))(_convolution(x, filters, seeds))
        else:
            x = _convolution(x, filters, seeds, stddev=(2 / (9 * x.shape[-1])) ** 0.5)
        x = (layers.ReLU(max_value=6) if activation == "relu6" else layers.LeakyReLU(LEAK))(x)
    x = _convolution(x, 1, seeds)
    if activation == "relu6":
        x = layers.ReLU(max_value=6)(x)
    return keras.Model(image, x, name="critic")


class BatchStatistics(layers.Layer):
    """Normalize batches by their own statistics, with a correct second derivative.

    The gradient penalty needs a second derivative. Keras' `BatchNormalization` uses TensorFlow's `tf.nn.moments`, which
    treats the mean inside of the variance as a constant: its second derivative is wrong. Critics are used only in
    training and need no running statistics.

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
        """Create a scale and an offset for each channel."""
        scales = keras.initializers.RandomNormal(1.0, WEIGHT_STDDEV, seed=self.seed)
        self.gamma = self.add_weight(name="gamma", shape=shape[-1:], initializer=scales)
        self.beta = self.add_weight(name="beta", shape=shape[-1:], initializer="zeros")

    def call(self, x):
        """Normalize each channel, and apply its scale and offset."""
        axes = tuple(range(len(x.shape) - 1))
        centered = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(centered), axes, keepdims=True)
        return self.gamma * centered * ops.rsqrt(variance + EPSILON) + self.beta


def _seeds(filters, seed):
    if filters < 1:
        raise InputError(
            "singan-filters",
            "`filters` must be 1 or more",
            got=filters,
            hint="leave it out for the published 32",
        )
    return seed_stream(seed)


def _block(x, filters, activation, seeds):
    """Apply a convolution, batch normalization and an activation."""
    x = _convolution(x, filters, seeds)
    scales = keras.initializers.RandomNormal(1.0, WEIGHT_STDDEV, seed=next(seeds))
    return activation(
        layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, gamma_initializer=scales)(x)
    )


def _convolution(x, filters, seeds, *, stddev=WEIGHT_STDDEV):
    """Apply a 3x3 convolution without padding; biases are initialized as in torch."""
    bound = (9 * x.shape[-1]) ** -0.5
    return layers.Conv2D(
        filters,
        3,
        kernel_initializer=keras.initializers.RandomNormal(0.0, stddev, seed=next(seeds)),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)),
    )(x)
