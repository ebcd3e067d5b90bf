"""HistoNet: VGG16 cut short, to say which tissues a patch holds.

A patch goes through 3x3 convolutions (each followed by ReLU, *then* batch normalization), is halved after each
block, turned into one vector by the vectoriser, and scored for every class by a sigmoid of its own. Few poolings
keep the class activation maps sharp; that shallower nets segment better though they classify worse is the finding of
the family (Chan et al., IJCV 2021).

Sources: HistoSegNet (Chan et al., ICCV 2019), the released ``histonet_X1.7_clrdecay_5``; its successor study for
M1..M7 and the VGG16 variant.

The feature layer of a net (Grad-CAM looks at it) is its last convolution's ReLU, before batch normalization; the
logits are the dense layer before the sigmoid. `features_of` and `logits_of` find both.
"""

import keras
from keras import layers, regularizers

from ..errors import refuse
from .parts import seeds_from

# Pixels 0..255, the same for red, green and blue; ADP's training patches. The release adds 1e-7 to the deviation.
MEAN = 193.09203
STD = 56.450138 + 1e-7
INPUT_PX = 224  # at 1.2142857 um/px: 1088 px at 0.25 um/px
EPSILON = 1e-3  # of batch normalization
L2 = 5e-4

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def normalize(image, *, mean=MEAN, std=STD):
    """Pixels as the net wants them: ``(x - mean) / std``, float32.

    Parameters
    ----------
    image : array, shape (..., 3)
        RGB, 0..255.

    Examples
    --------
    >>> float(normalize([[193.09203] * 3])[0, 0])
    0.0
    """
    image = keras.ops.convert_to_numpy(image).astype("float32")
    return (image - mean) / std


def build(
    blocks,
    outputs,
    *,
    vectoriser="average",
    hidden=None,
    inner_dropout=(),
    last_dropout=0.5,
    pooled_blocks=None,
    batch_norm=True,
    momentum=0.99,
    width=1.0,
    input_px=INPUT_PX,
    seed=None,
    name="histonet",
):
    """A patch classifier of the HistoNet family.

    Parameters
    ----------
    blocks : sequence of sequences of int
        Channels of each 3x3 convolution, block by block.
    outputs : int
        Number of classes.
    vectoriser : {"average", "max", "flatten"}
        How the last maps become one vector.
    hidden : int, optional
        Units of a hidden dense layer (ReLU, batch normalization, dropout 0.5) before the last.
    inner_dropout : sequence of float
        Dropout after each convolution in turn; 0 or a missing entry means none.
    last_dropout : float
        Dropout before the vectoriser.
    pooled_blocks : int, optional
        How many of the blocks, from the first, are followed by a 2x2 max pooling; all by default.
    batch_norm : bool
        Whether each ReLU is followed by batch normalization.
    momentum : float
        Of batch normalization's running statistics: 0.99 as released needs hundreds of steps to forget the
        initial ones; a lab with a few hundred patches takes 0.9.
    width : float
        Factor on all channels, to fit the machine.
    input_px : int or None
        Side of the input; None takes any size (not with "flatten").
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, input_px, input_px, 3) normalize pixels -> (N, outputs) in [0, 1].

    Raises
    ------
    InputError
        If `vectoriser` is unknown, or "flatten" is asked for an open input size.

    Examples
    --------
    >>> build(((4,), (8,)), 3, input_px=None).output_shape
    (None, 3)
    """
    if vectoriser not in ("average", "max", "flatten") or (vectoriser == "flatten" and input_px is None):
        refuse("this vectoriser cannot be built", expected="'average', 'max' or, with a fixed `input_px`, 'flatten'",
               received=f"{vectoriser!r} with input_px={input_px}", remedy="choose one of these")  # fmt: skip
    seeds = seeds_from(seed)
    inner_dropout = list(inner_dropout)
    pooled_blocks = len(blocks) if pooled_blocks is None else pooled_blocks
    x = inputs = layers.Input((input_px, input_px, 3), name="patch")
    count = 0
    for b, block in enumerate(blocks):
        for channels in block:
            count += 1
            x = _convolution(x, max(1, round(channels * width)), count, batch_norm and momentum, next(seeds))
            rate = inner_dropout.pop(0) if inner_dropout else 0
            if rate:
                x = layers.Dropout(rate, seed=next(seeds), name=f"dropout_{count}")(x)
        if b < pooled_blocks:
            x = layers.MaxPooling2D(2, name=f"max_pooling2d_{b + 1}")(x)
    if last_dropout:
        x = layers.Dropout(last_dropout, seed=next(seeds), name="dropout_last")(x)
    x = {
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }[vectoriser](name=vectoriser)(x)  # (N, channels)
    if hidden:
        x = layers.Dense(hidden, kernel_initializer=_normal(next(seeds)), name="dense_hidden")(x)
        x = layers.BatchNormalization(epsilon=EPSILON, name="batch_normalization_hidden")(layers.ReLU()(x))
        x = layers.Dropout(0.5, seed=next(seeds), name="dropout_hidden")(x)
    x = layers.Dense(
        outputs,
        kernel_initializer=_normal(next(seeds)),
        kernel_regularizer=regularizers.L2(L2),
        name="dense_1",
    )(x)
    x = layers.Activation("sigmoid", name=f"activation_{count + 1}", dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def _normal(seed):
    return keras.initializers.RandomNormal(stddev=0.05, seed=seed)


def _convolution(x, channels, number, momentum, seed):
    """3x3 convolution, ReLU, batch normalization: in this order, which the release has and others reverse."""
    x = layers.Conv2D(
        channels,
        3,
        padding="same",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        kernel_regularizer=regularizers.L2(L2),
        name=f"conv2d_{number}",
    )(x)
    x = layers.Activation("relu", name=f"activation_{number}")(x)
    if momentum:
        x = layers.BatchNormalization(
            momentum=momentum, epsilon=EPSILON, name=f"batch_normalization_{number}"
        )(x)
    return x


def x1_7(outputs=51, *, vectoriser="max", **options):
    """X1.7, the released net: VGG16 cut after block 3, with dropout inside; 1,753,203 parameters for 51 outputs.

    The released file pools by the maximum; the successor study's builder by the average (`vectoriser`).

    Examples
    --------
    >>> x1_7().count_params()
    1753203
    """
    dropout = (0.3, 0, 0.4, 0, 0.4, 0.4, 0)
    return build(
        VGG16[:3],
        outputs,
        vectoriser=vectoriser,
        inner_dropout=dropout,
        last_dropout=0,
        name="histonet_x1_7",
        **options,
    )


def m1(outputs=31, **options):
    """M1: 13 convolutions, average."""
    return build(VGG16, outputs, name="histonet_m1", **options)


def m2(outputs=31, **options):
    """M2: 10 convolutions, average."""
    return build(VGG16[:4], outputs, name="histonet_m2", **options)


def m3(outputs=31, **options):
    """M3: 7 convolutions, average."""
    return build(VGG16[:3], outputs, name="histonet_m3", **options)


def m4(outputs=31, **options):
    """M4: 4 convolutions, average."""
    return build(VGG16[:2], outputs, name="histonet_m4", **options)


def m5(outputs=31, **options):
    """M5: 7 convolutions, average, a hidden layer of 256."""
    return build(VGG16[:3], outputs, hidden=256, name="histonet_m5", **options)


def m6(outputs=31, **options):
    """M6: 7 convolutions, all positions flattened."""
    return build(VGG16[:3], outputs, vectoriser="flatten", name="histonet_m6", **options)


def m7(outputs=31, **options):
    """M7: 7 convolutions, maximum; X1.7 without the dropout inside."""
    return build(VGG16[:3], outputs, vectoriser="max", name="histonet_m7", **options)


def vgg16(outputs=31, *, input_px=321, **options):
    """The study's VGG16: 13 convolutions and two of 1024 channels, halved three times only (maps at 1/8)."""
    return build(
        (*VGG16, (1024, 1024)), outputs, pooled_blocks=3, input_px=input_px, name="histonet_vgg16", **options
    )


FAMILY = {"x1.7": x1_7, "m1": m1, "m2": m2, "m3": m3, "m4": m4, "m5": m5, "m6": m6, "m7": m7, "vgg16": vgg16}


def over_cells(net, *, cell_px, stride_px):
    """The same net, scoring every cell of a grid instead of the whole patch: for tags of crops that lie side by side.

    A cell is scored by the average over its own maps, but those maps have looked around it: unlike a crop cut
    out, a cell has no border of zeros. Both nets share their weights.

    Parameters
    ----------
    net : keras.Model
        Of this family, with the vectoriser "average" and no hidden layer.
    cell_px, stride_px : int
        Side of a cell, and from one cell to the next; multiples of how far the net shrinks its maps.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> (N, R, S, outputs), ``R = (H - cell_px) // stride_px + 1``.

    Raises
    ------
    InputError
        If the net has another head, or a size does not divide.

    Examples
    --------
    >>> over_cells(m4(2, width=0.1, input_px=64), cell_px=32, stride_px=16).output_shape
    (None, 3, 3, 2)
    """
    shrink = 2 ** sum(isinstance(layer, layers.MaxPooling2D) for layer in net.layers)
    names = [layer.name for layer in net.layers]
    if "average" not in names or "dense_hidden" in names:
        refuse("this net cannot score cells", expected="the vectoriser 'average' and no hidden layer",
               received=net.name, remedy="use m1 to m4, or x1_7 with vectoriser='average'")  # fmt: skip
    if cell_px < shrink or stride_px < shrink or cell_px % shrink or stride_px % shrink:
        refuse("cells must fit the net's maps", expected=f"multiples of {shrink} px",
               received=f"cells of {cell_px} px every {stride_px} px", remedy="choose other sizes")  # fmt: skip
    pooling = layers.AveragePooling2D(cell_px // shrink, strides=stride_px // shrink, name="cells")
    x = pooling(net.get_layer("average").input)  # (N, R, S, channels)
    x = layers.Activation("sigmoid", dtype="float32", name="cell_scores")(logits_of(net)(x))
    return keras.Model(net.input, x, name=f"{net.name}_cells")


def logits_of(net):
    """The layer whose output the sigmoid is applied to."""
    return net.get_layer("dense_1")


def features_of(net):
    """The layer that Grad-CAM looks at: the last convolution's ReLU, before normalization and pooling."""
    last = max(int(layer.name.split("_")[1]) for layer in net.layers if layer.name.startswith("conv2d_"))
    return net.get_layer(f"activation_{last}")
