"""Encoders made of nets: the deepest maps of one, averaged over a patch, are its vector.

The patch selection of Lou et al. (IEEE TMI 2022) takes a ResNet-50 of ImageNet (`hsn.nets.resnet_state.build_encoder`)
that sees pixels over 255 with nothing subtracted: ``of_net(net, mean=0, std=255)``.
"""

import hashlib

import keras
import numpy as np
from keras import layers

from ..errors import refuse
from ..images.read import resample
from ..images.scaling import normalize
from .embedding import Encoder

_STEP_PX = 32  # the sides of what a net sees: every net here halves them at most five times
_BATCH = 16  # patches a forward pass: bounds memory


def of_net(net, *, mean, std, scale=1.0, name=None):
    """The deepest maps of a net, averaged over the patch.

    Parameters
    ----------
    net : keras.Model
        A classifier or a segmentation net of this library, or an encoder alone: (N, H, W, 3) -> (N, h, w, d).
    mean, std : float or three floats
        Its normalization, for pixels 0..255.
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
    to_vector = keras.Model(net.inputs[0], pooled)

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
            x = normalize(np.stack(batch), mean, std)
            blocks.append(keras.ops.convert_to_numpy(to_vector(x, training=False)))
        return np.concatenate(blocks)

    digest = hashlib.sha256()
    for array in to_vector.get_weights():
        digest.update(np.ascontiguousarray(array))
    told = f"{name or net.name} x {scale:.4g} {digest.hexdigest()[:12]}"
    return Encoder(told, describe, standardize=False)


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
    return net.outputs[0] if end is None else end.input
