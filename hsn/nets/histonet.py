"""HistoNet: truncated VGG16 nets that classify the tissue types of a patch.

A patch passes 3x3 convolutions, each followed by ReLU and then batch normalization. A max pooling follows each block.
Global pooling gives one vector, and one sigmoid per class gives the scores. Few poolings keep class activation maps
sharp: shallower nets segment better, although they classify worse [2]_.

`feature_layer` returns the layer for Grad-CAM, the ReLU of the last convolution. `logits_layer` returns the dense layer
before the sigmoid.

References
----------
.. [1] Chan et al., HistoSegNet, ICCV 2019, and the released net ``histonet_X1.7_clrdecay_5`` (X1.7).
.. [2] Chan et al., A comprehensive analysis of weakly-supervised semantic segmentation in different image domains,
   IJCV 2021 (M1 to M7 and the VGG16 variant).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, regularizers

from ..checks import one_of
from ..errors import InputError
from .parts import seed_stream

# Of ADP's training patches, 0..255, for all three channels. The released code adds 1e-7 to the standard deviation.
MEAN = 193.09203
STD = 56.450138 + 1e-7
INPUT_PX = 224  # at 1.2142857 um/px: 1088 px at 0.25 um/px
EPSILON = 1e-3  # of batch normalization
L2 = 5e-4

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def normalize(image: np.ndarray, *, mean: float = MEAN, std: float = STD) -> np.ndarray:
    """Normalize pixels: return ``(x - mean) / std`` as float32.

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
    blocks: Sequence[Sequence[int]],
    outputs: int,
    *,
    vectorizer: str = "average",
    hidden: int | None = None,
    inner_dropout: Sequence[float] = (),
    last_dropout: float = 0.5,
    pooled_blocks: int | None = None,
    batch_norm: bool = True,
    momentum: float = 0.99,
    width: float = 1.0,
    input_px: int | None = INPUT_PX,
    seed: int | None = None,
    name: str = "histonet",
) -> keras.Model:
    """Build a patch classifier of the HistoNet family.

    Parameters
    ----------
    blocks : sequence of sequences of int
        Channels of the 3x3 convolutions in each block.
    outputs : int
        Number of classes.
    vectorizer : {"average", "max", "flatten"}
        Layer that turns the last maps into a vector: global pooling, or flattening. Default: "average".
    hidden : int, optional
        Units of a hidden dense layer (ReLU, batch normalization, dropout 0.5) before the last.
    inner_dropout : sequence of float
        Dropout rate after each convolution, in order. Missing entries count as 0.
    last_dropout : float
        Dropout rate before the vectorizer.
    pooled_blocks : int, optional
        Number of blocks, from the first, that are followed by a 2x2 max pooling. Default: all.
    batch_norm : bool
        Add a batch normalization after each ReLU.
    momentum : float
        Momentum of the batch normalizations. The released 0.99 needs hundreds of steps; use 0.9 for a few hundred
        patches. Default: 0.99.
    width : float
        Factor of all channels. Default: 1.
    input_px : int or None
        Side of the input in pixels. None accepts any size, but not with "flatten". Default: 224.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        (N, input_px, input_px, 3) normalized pixels -> (N, outputs) in [0, 1].

    Raises
    ------
    InputError
        "vectorizer-unknown", or "flatten-needs-input-size".

    Examples
    --------
    >>> build(((4,), (8,)), 3, input_px=None).output_shape
    (None, 3)
    """
    one_of("vectorizer", vectorizer, ("average", "max", "flatten"))
    if vectorizer == "flatten" and input_px is None:
        raise InputError(
            "flatten-needs-input-size",
            "`input_px` must be given for the vectorizer 'flatten'",
            got=input_px,
            hint="give the side of the patches",
        )
    seeds = seed_stream(seed)
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
    }[vectorizer](name=vectorizer)(x)  # (N, channels)
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
    """Apply a 3x3 convolution, ReLU and batch normalization, in the order of the released net."""
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


def x1_7(outputs: int = 51, *, vectorizer: str = "max", **options: Any) -> keras.Model:
    """Build X1.7, the released net: three blocks of VGG16 with dropout; 1,753,203 parameters for 51 outputs.

    The released net has maximum pooling; the code of the successor study has average pooling.

    Examples
    --------
    >>> x1_7().count_params()
    1753203
    """
    dropout = (0.3, 0, 0.4, 0, 0.4, 0.4, 0)
    return build(
        VGG16[:3],
        outputs,
        vectorizer=vectorizer,
        inner_dropout=dropout,
        last_dropout=0,
        name="histonet_x1_7",
        **options,
    )


def m1(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M1: 13 convolutions, average pooling."""
    return build(VGG16, outputs, name="histonet_m1", **options)


def m2(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M2: 10 convolutions, average pooling."""
    return build(VGG16[:4], outputs, name="histonet_m2", **options)


def m3(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M3: 7 convolutions, average pooling."""
    return build(VGG16[:3], outputs, name="histonet_m3", **options)


def m4(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M4: 4 convolutions, average pooling."""
    return build(VGG16[:2], outputs, name="histonet_m4", **options)


def m5(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M5: 7 convolutions, average pooling, a hidden layer of 256 units."""
    return build(VGG16[:3], outputs, hidden=256, name="histonet_m5", **options)


def m6(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M6: 7 convolutions, flattened maps."""
    return build(VGG16[:3], outputs, vectorizer="flatten", name="histonet_m6", **options)


def m7(outputs: int = 31, **options: Any) -> keras.Model:
    """Build M7: 7 convolutions, max pooling; X1.7 without the inner dropout."""
    return build(VGG16[:3], outputs, vectorizer="max", name="histonet_m7", **options)


def vgg16(outputs: int = 31, *, input_px: int | None = 321, **options: Any) -> keras.Model:
    """Build the study's VGG16: 13 convolutions, two of 1024 channels, three poolings (maps at 1/8)."""
    return build(
        (*VGG16, (1024, 1024)), outputs, pooled_blocks=3, input_px=input_px, name="histonet_vgg16", **options
    )


FAMILY = {"x1.7": x1_7, "m1": m1, "m2": m2, "m3": m3, "m4": m4, "m5": m5, "m6": m6, "m7": m7, "vgg16": vgg16}


def build_cell_classifier(net: keras.Model, *, cell_px: int, stride_px: int) -> keras.Model:
    """Build a net that classifies every cell of a grid, with the weights of a patch classifier.

    A cell is scored by the average over its own maps. Their receptive field includes the neighbors of the cell, where a
    separate crop would have a border of zeros.

    Parameters
    ----------
    net : keras.Model
        Of this family, with the vectorizer "average" and without a hidden layer.
    cell_px, stride_px : int
        Side of a cell, and distance between cells; multiples of the net's downsampling factor.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> (N, R, S, outputs), ``R = (H - cell_px) // stride_px + 1``.

    Raises
    ------
    InputError
        "cells-unsupported-net" or "cell-size-invalid".

    Examples
    --------
    >>> build_cell_classifier(m4(2, width=0.1, input_px=64), cell_px=32, stride_px=16).output_shape
    (None, 3, 3, 2)
    """
    factor = 2 ** sum(isinstance(layer, layers.MaxPooling2D) for layer in net.layers)
    names = [layer.name for layer in net.layers]
    if "average" not in names or "dense_hidden" in names:
        raise InputError(
            "cells-unsupported-net",
            "`net` must have the vectorizer 'average' and no hidden layer",
            got=net.name,
            hint="use m1 to m4, or x1_7 with vectorizer='average'",
        )
    if cell_px < factor or stride_px < factor or cell_px % factor or stride_px % factor:
        raise InputError(
            "cell-size-invalid",
            f"`cell_px` and `stride_px` must be multiples of {factor}",
            got=f"{cell_px} and {stride_px}",
            hint="choose other sizes",
        )
    pooling = layers.AveragePooling2D(cell_px // factor, strides=stride_px // factor, name="cells")
    x = pooling(net.get_layer("average").input)  # (N, R, S, channels)
    x = layers.Activation("sigmoid", dtype="float32", name="cell_scores")(logits_layer(net)(x))
    return keras.Model(net.input, x, name=f"{net.name}_cells")


def logits_layer(net: keras.Model) -> layers.Layer:
    """Return the layer before the sigmoid."""
    return net.get_layer("dense_1")


def feature_layer(net: keras.Model) -> layers.Layer:
    """Return the layer for Grad-CAM: the ReLU of the last convolution, before normalization and pooling."""
    last = max(int(layer.name.split("_")[1]) for layer in net.layers if layer.name.startswith("conv2d_"))
    return net.get_layer(f"activation_{last}")
