"""Encoders: what turns patches into vectors that can be compared.

Two kinds: stain and texture, which need no weights; and the deepest maps of a net, averaged. The patch selection of
Lou et al. (IEEE TMI 2022) takes a ResNet-50 of ImageNet (`hsn.nets.resnet_state.encoder_from`) that sees pixels over
255 with nothing subtracted: ``of_net(net, mean=0, std=255)``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from .._refuse import refuse
from ..images.read import resample
from ..selection import texture
from .tiled import normalised

_STEP_PX = 32  # the sides of what a net sees: every net here halves them at most five times
_BATCH = 16  # patches a forward pass: bounds memory


@dataclass(frozen=True)
class Encoder:
    """How patches become vectors.

    Attributes
    ----------
    name : str
        What it is; with the weights' fingerprint, so that vectors of two encoders are never mixed.
    describe : callable
        uint8 (n, px, px, 3) -> float32 (n, d), for any n and px.
    standardise : bool
        Whether its numbers are of different kinds, each to be compared in units of its own spread.
    """

    name: str
    describe: Callable
    standardise: bool


def of_texture():
    """The encoder that needs no weights: `hsn.selection.texture`.

    Examples
    --------
    >>> of_texture().describe(np.zeros((2, 64, 64, 3), np.uint8)).shape
    (2, 43)
    """
    return Encoder("texture", texture.describe, standardise=True)


def of_net(net, *, mean, std, scale=1.0, name=None):
    """The deepest maps of a net, averaged over the patch.

    Parameters
    ----------
    net : keras.Model
        A classifier or a segmentation net of this library, or an encoder alone: (N, H, W, 3) -> (N, h, w, d).
    mean, std : float or three floats
        Its normalisation, for pixels 0..255.
    scale : float
        How many pixels of the net a pixel of the patches is wide: um/px of the patches over um/px of the net.
        What the net sees is rounded to sides that divide by 32; a net for images of one size gets that size.
    name : str, optional
        By default the net's own.

    Returns
    -------
    Encoder

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.AveragePooling2D(2)])
    >>> of_net(net, mean=0, std=255).describe(np.full((2, 64, 64, 3), 51, np.uint8)).round(2)[1].tolist()
    [0.20000000298023224, 0.20000000298023224, 0.20000000298023224]
    """
    if not scale > 0:
        refuse("`scale` must be positive", expected="um/px of the patches over um/px of the net", received=scale,
               remedy="leave it out where both have one scale")  # fmt: skip
    maps = deepest_of(net)
    pooled = layers.GlobalAveragePooling2D(dtype="float32")(maps) if len(maps.shape) == 4 else maps
    to_vector = keras.Model(net.input, pooled)

    def describe(patches):
        sides = tuple(
            fixed or max(_STEP_PX, _STEP_PX * round(side * scale / _STEP_PX))
            for fixed, side in zip(net.input_shape[1:3], patches.shape[1:3], strict=True)
        )
        blocks = [np.empty((0, pooled.shape[-1]), np.float32)]
        for first in range(0, len(patches), _BATCH):
            batch = [
                resample(p, sides) if p.shape[:2] != sides else p for p in patches[first : first + _BATCH]
            ]
            x = normalised(np.stack(batch), mean, std)
            blocks.append(keras.ops.convert_to_numpy(to_vector(x, training=False)))
        return np.concatenate(blocks)

    digest = hashlib.sha256()
    for array in to_vector.get_weights():
        digest.update(np.ascontiguousarray(array))
    told = f"{name or net.name} x {scale:.4g} {digest.hexdigest()[:12]}"
    return Encoder(told, describe, standardise=False)


def deepest_of(net):
    """What a net knows before it enlarges, pools or decides: the tensor of its deepest maps.

    Of a U-Net that is its turning point, of a classifier what its pooling averages, of a net at full resolution what
    its last convolution sees; an encoder alone is deepest at its end.

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(5, 1), layers.UpSampling2D()])
    >>> deepest_of(net).shape
    (None, None, None, 5)
    """
    ends = (
        layers.UpSampling2D,
        layers.Conv2DTranspose,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
        layers.Flatten,
    )
    end = next((layer for layer in net.layers if isinstance(layer, ends)), None)
    if end is None and isinstance(net.layers[-1], layers.Activation | layers.Softmax):
        end = next(layer for layer in reversed(net.layers) if layer.weights)
    return net.output if end is None else end.input
