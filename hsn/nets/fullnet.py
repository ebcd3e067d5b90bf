"""FullNet: dense blocks at full resolution, so that thin gaps between objects survive.

Nothing is pooled and nothing strided; dilated convolutions see far instead. Dilations that differ from layer to
layer ("hybrid") leave no holes in what is seen, at the same reach as the nominal ones. A unit is convolution,
leaky ReLU, batch normalization, in this order (Qu et al., Improving nuclei/gland instance segmentation in
histopathology images by full resolution neural network and spatial constrained loss, MICCAI 2019).

The classes are background, inside and contour (hsn.objects.contours).
"""

import keras
from keras import layers, ops

from ..errors import refuse
from .parts import seeds_from

STEM = 24  # channels before the first block; not tied to the growth
DILATIONS = (1, 2, 4, 8, 16, 4, 1)  # nominal, one a block
# nominal dilation -> dilation of every layer, for 6 and for 4 layers a block
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
POOLED, ENLARGED = (1, 2, 3, 4), (5, 6)  # blocks of the pooled baseline after which sides are halved, times 4

# Red, green, blue over 255: of the 12 training images of MultiOrgan, and of one user's GlaS training set.
NUCLEI_MEAN, NUCLEI_STD = (0.747710, 0.545743, 0.671449), (0.158095, 0.197792, 0.150966)
GLANDS_MEAN, GLANDS_STD = (0.78780, 0.51202, 0.78494), (0.16766, 0.24838, 0.13225)


def normalize(image, *, mean=NUCLEI_MEAN, std=NUCLEI_STD):
    """Pixels as the net wants them: ``(x / 255 - mean) / std``, float32.

    Parameters
    ----------
    image : array, shape (..., 3)
        RGB, 0..255.
    mean, std : three floats
        Of the training images, over 255.

    Examples
    --------
    >>> normalize([[[0, 51, 255]]], mean=(0, 0, 0), std=(1, 0.5, 0.5)).round(3).tolist()
    [[[0.0, 0.4000000059604645, 2.0]]]
    """
    pixels = ops.convert_to_numpy(image).astype("float32") / 255
    return ((pixels - mean) / std).astype("float32")


def build(
    classes=3,
    *,
    layers_per_block=6,
    growth=24,
    compression=0.5,
    dropout=0.1,
    dilations=DILATIONS,
    hybrid=True,
    bottleneck=False,
    pooled=False,
    seed=None,
    name="fullnet",
):
    """Build a FullNet.

    Parameters
    ----------
    classes : int
        Channels of the output.
    layers_per_block : int
        Dense layers of each block; with `hybrid` 6 or 4.
    growth : int
        Channels that each dense layer adds.
    compression : float
        Share of its channels that is left after each block, the last too; rounded down.
    dropout : float
        Of single elements, after each dense layer, in training.
    dilations : sequence of int
        Nominal dilation of each block.
    hybrid : bool
        Whether the layers of a block vary around the nominal dilation; see `HYBRID`.
    bottleneck : bool
        Whether a 1x1 unit of 4 times the growth comes before each 3x3 unit.
    pooled : bool
        The paper's baseline "FCN_pooling" instead: maxima of 2x2 after the first four blocks, times 4
        after the fifth and the sixth. The sides of the image must then divide by 16.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, H, W, 3) normalize pixels -> (N, H, W, classes) probabilities that sum to 1. `logits_of` finds what
        the softmax is applied to.

    Raises
    ------
    InputError
        If there are no hybrid dilations for the layers and dilations asked for, or the baseline has other than
        seven blocks.

    Examples
    --------
    >>> build(layers_per_block=4, growth=2).output_shape
    (None, None, None, 3)
    """
    if hybrid and not set(dilations) <= set(HYBRID.get(layers_per_block, ())):
        refuse("These blocks have no hybrid dilations", expected="6 or 4 layers a block, dilations 1, 2, 4, 8, 16",
               received=f"{layers_per_block} layers, {tuple(dilations)}", remedy="use hybrid=False")  # fmt: skip
    if pooled and len(dilations) != len(DILATIONS):
        refuse("The pooled baseline has seven blocks", expected="7 dilations", received=len(dilations),
               remedy="use pooled=False")  # fmt: skip
    seeds = seeds_from(seed)
    x = inputs = layers.Input((None, None, 3), name="image")
    x = _unit(x, STEM, 3, 1, seeds)  # (N, H, W, 24)
    for block, nominal in enumerate(dilations, 1):
        each = HYBRID[layers_per_block][nominal] if hybrid else (nominal,) * layers_per_block
        for dilation in each:
            new = _unit(x, 4 * growth, 1, 1, seeds) if bottleneck else x
            new = _unit(new, growth, 3, dilation, seeds)
            new = layers.Dropout(dropout, seed=next(seeds))(new)
            x = layers.Concatenate()([x, new])
        x = _unit(x, int(x.shape[-1] * compression), 1, 1, seeds)
        if pooled and block in POOLED:
            x = layers.MaxPooling2D(2)(x)
        if pooled and block in ENLARGED:
            x = CornerUpsampling2D(4)(x)
    x = _convolution(classes, 3, 1, seeds, name="logits")(x)
    x = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name=name)


def _convolution(channels, side, dilation, seeds, **options):
    """A convolution without bias, at He's scale for what comes out of it."""
    spread = (2 / (side * side * channels)) ** 0.5
    return layers.Conv2D(
        channels,
        side,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=spread, seed=next(seeds)),
        **options,
    )


def _unit(x, channels, side, dilation, seeds):
    x = _convolution(channels, side, dilation, seeds)(x)
    x = layers.LeakyReLU(negative_slope=SLOPE)(x)
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)(x)


@keras.saving.register_keras_serializable("hsn")
class CornerUpsampling2D(layers.Layer):
    """Bilinear enlargement that keeps the corner pixels where they are; stock layers keep the outer edges.

    Parameters
    ----------
    factor : int
        How many times larger both sides become.

    Examples
    --------
    >>> enlarged = CornerUpsampling2D(2)(ops.reshape([0.0, 3.0], (1, 1, 2, 1)))
    >>> ops.convert_to_numpy(enlarged)[0, 0, :, 0].round().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        x = ops.einsum("oh,nhwc->nowc", self._mixing(ops.shape(x)[1], x.dtype), x)
        return ops.einsum("ow,nhwc->nhoc", self._mixing(ops.shape(x)[2], x.dtype), x)

    def _mixing(self, size, dtype):
        """(size * factor, size): how much of each old pixel goes into each new one."""
        old = ops.cast(ops.arange(size), "float32")
        new = ops.cast(ops.arange(size * self.factor), "float32")
        step = ops.cast(size - 1, "float32") / ops.cast(size * self.factor - 1, "float32")
        return ops.cast(ops.relu(1 - ops.abs(new[:, None] * step - old[None])), dtype)

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        return (count, height and height * self.factor, width and width * self.factor, channels)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def logits_of(net):
    """The layer whose output the softmax is applied to."""
    return net.get_layer("logits")
