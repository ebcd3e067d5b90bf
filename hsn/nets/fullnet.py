"""FullNet: dense blocks at full resolution, which preserve thin gaps between objects.

The net has no pooling and no strides. Dilated convolutions give it a large receptive field. "Hybrid" dilations differ
from layer to layer: they avoid gridding, with the receptive field of the nominal dilations. A unit is a convolution, a
leaky ReLU and a batch normalization, in this order [1]_. The classes are background, inside and contour
(`hsn.objects.contours`).

References
----------
.. [1] Qu et al., Improving nuclei/gland instance segmentation in histopathology images by full resolution neural
   network and spatial constrained loss, MICCAI 2019.
"""

from collections.abc import Sequence

import keras
from keras import layers, ops

from ..errors import InputError
from .parts import seed_stream

STEM = 24  # channels before the first block, independent of the growth
DILATIONS = (1, 2, 4, 8, 16, 4, 1)  # nominal, one for each block
# nominal dilation -> dilation of every layer, for 6 and for 4 layers per block
HYBRID = {
    6: {
        1: (1, 1, 1, 1, 1, 1),
        2: (1, 2, 3, 1, 2, 3),
        4: (1, 2, 3, 5, 6, 7),
        8: (2, 5, 7, 9, 11, 14),
        16: (10, 13, 16, 17, 19, 21),
    },
    4: {1: (1, 1, 1, 1), 2: (1, 2, 3, 2), 4: (1, 2, 5, 9), 8: (3, 7, 10, 13), 16: (13, 15, 17, 19)},
}
SLOPE = 0.01  # of the leaky ReLU
EPSILON, MOMENTUM = 1e-5, 0.9  # of batch normalization
POOLED, UPSAMPLED = (1, 2, 3, 4), (5, 6)  # blocks of the pooled baseline before a pooling and an upsampling

# RGB / 255: of the 12 training images of MultiOrgan, and of a GlaS training set.
NUCLEI_MEAN, NUCLEI_STD = (0.747710, 0.545743, 0.671449), (0.158095, 0.197792, 0.150966)
GLANDS_MEAN, GLANDS_STD = (0.78780, 0.51202, 0.78494), (0.16766, 0.24838, 0.13225)


def build(
    classes: int = 3,
    *,
    layers_per_block: int = 6,
    growth: int = 24,
    compression: float = 0.5,
    dropout: float = 0.1,
    dilations: Sequence[int] = DILATIONS,
    hybrid: bool = True,
    bottleneck: bool = False,
    pooled: bool = False,
    seed: int | None = None,
    name: str = "fullnet",
) -> keras.Model:
    """Build a FullNet.

    Parameters
    ----------
    classes : int
        Number of output channels.
    layers_per_block : int
        Dense layers in each block; 6 or 4 with `hybrid`.
    growth : int
        Channels that each dense layer adds.
    compression : float
        Fraction of the channels that is kept after each block, rounded down.
    dropout : float
        Dropout rate after each dense layer.
    dilations : sequence of int
        Nominal dilation of each block.
    hybrid : bool
        Vary the dilation of the layers of a block around the nominal one; see `HYBRID`.
    bottleneck : bool
        Add a 1x1 unit with 4 times the growth before each 3x3 unit.
    pooled : bool
        Build the paper's baseline "FCN_pooling": a 2x2 max pooling after the first four blocks, and an upsampling by 4
        after the fifth and the sixth. The sides of the image must then be multiples of 16.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, classes) probabilities that sum to 1.

    Raises
    ------
    InputError
        "fullnet-hybrid" if there are no hybrid dilations for these layers and dilations; "fullnet-pooled-blocks" if
        the baseline does not have seven blocks.

    Examples
    --------
    >>> build(layers_per_block=4, growth=2).output_shape
    (None, None, None, 3)
    """
    if hybrid and not set(dilations) <= set(HYBRID.get(layers_per_block, ())):
        raise InputError(
            "fullnet-hybrid",
            "hybrid blocks must have 6 or 4 layers and dilations of 1, 2, 4, 8 or 16",
            got=f"{layers_per_block} layers, {tuple(dilations)}",
            hint="use hybrid=False",
        )
    if pooled and len(dilations) != len(DILATIONS):
        raise InputError(
            "fullnet-pooled-blocks",
            "`dilations` must have seven entries for the pooled baseline",
            got=len(dilations),
            hint="use pooled=False",
        )
    seeds = seed_stream(seed)
    x = inputs = layers.Input((None, None, 3), name="image")
    x = _unit(x, STEM, 3, 1, seeds)  # (N, H, W, 24)
    for block, nominal in enumerate(dilations, 1):
        inner = HYBRID[layers_per_block][nominal] if hybrid else (nominal,) * layers_per_block
        for dilation in inner:
            new = _unit(x, 4 * growth, 1, 1, seeds) if bottleneck else x
            new = _unit(new, growth, 3, dilation, seeds)
            new = layers.Dropout(dropout, seed=next(seeds))(new)
            x = layers.Concatenate()([x, new])
        x = _unit(x, int(x.shape[-1] * compression), 1, 1, seeds)
        if pooled and block in POOLED:
            x = layers.MaxPooling2D(2)(x)
        if pooled and block in UPSAMPLED:
            x = CornerUpsampling2D(4)(x)
    x = _convolution(classes, 3, 1, seeds, name="logits")(x)
    x = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name=name)


def _convolution(channels, side, dilation, seeds, **options):
    """Return a convolution without bias, with He initialization (fan out)."""
    stddev = (2 / (side * side * channels)) ** 0.5
    return layers.Conv2D(
        channels,
        side,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=stddev, seed=next(seeds)),
        **options,
    )


def _unit(x, channels, side, dilation, seeds):
    x = _convolution(channels, side, dilation, seeds)(x)
    x = layers.LeakyReLU(negative_slope=SLOPE)(x)
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)(x)


@keras.saving.register_keras_serializable("hsn")
class CornerUpsampling2D(layers.Layer):
    """Upsample bilinearly with aligned corners; `keras.layers.UpSampling2D` aligns the outer edges.

    Parameters
    ----------
    factor : int
        Factor of both sides.

    Examples
    --------
    >>> upsampled = CornerUpsampling2D(2)(ops.reshape([0.0, 3.0], (1, 1, 2, 1)))
    >>> ops.convert_to_numpy(upsampled)[0, 0, :, 0].round().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        x = ops.einsum("oh,nhwc->nowc", self._mixing(ops.shape(x)[1], x.dtype), x)
        return ops.einsum("ow,nhwc->nhoc", self._mixing(ops.shape(x)[2], x.dtype), x)

    def _mixing(self, size, dtype):
        """Return the interpolation matrix, (size * factor, size)."""
        old = ops.cast(ops.arange(size), "float32")
        new = ops.cast(ops.arange(size * self.factor), "float32")
        step = ops.cast(size - 1, "float32") / ops.cast(size * self.factor - 1, "float32")
        return ops.cast(ops.relu(1 - ops.abs(new[:, None] * step - old[None])), dtype)

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        return (count, height and height * self.factor, width and width * self.factor, channels)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def logits_layer(net: keras.Model) -> layers.Layer:
    """Return the layer before the softmax."""
    return net.get_layer("logits")
