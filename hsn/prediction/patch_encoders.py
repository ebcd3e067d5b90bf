"""Patch encoders from nets: the vector of a patch is the mean of the deepest feature maps.

The patch selection of Lou et al. (IEEE TMI 2022) uses a ResNet-50 trained on ImageNet
(`hsn.nets.resnet_state.build_encoder`). Its input is pixels / 255: ``net_encoder(net, mean=0, std=255)``.
"""

import hashlib

import keras
import numpy as np
from keras import layers

from ..checks import positive
from ..images.read import resample
from ..images.scaling import normalize
from ..selection.encoder import Encoder

_STEP_PX = 32  # input sides are multiples: every net here halves them at most five times
_BATCH = 16  # patches per forward pass: bounds memory


def net_encoder(net, *, mean, std, scale=1.0, name=None):
    """Build a patch encoder from a net: the mean of its deepest feature maps.

    Parameters
    ----------
    net : keras.Model
        A classifier or a segmentation net of this library, or an encoder: (N, H, W, 3) -> (N, h, w, d).
    mean, std : float or three floats
        Normalization of the net, for pixels 0..255.
    scale : float
        um/px of the patches divided by um/px of the net. Default: 1. Patches are resampled by this factor, to sides
        that are multiples of 32, or to the fixed input size of the net.
    name : str, optional
        Default: `net.name`.

    Returns
    -------
    Encoder

    Raises
    ------
    InputError
        "scale-positive".

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.AveragePooling2D(2)])
    >>> net_encoder(net, mean=0, std=255).embed(np.full((2, 64, 64, 3), 51, np.uint8)).round(2)[1].tolist()
    [0.20000000298023224, 0.20000000298023224, 0.20000000298023224]
    """
    positive("scale", scale, hint="give um/px of the patches divided by um/px of the net")
    maps = deepest_maps(net)
    pooled = layers.GlobalAveragePooling2D(dtype="float32")(maps) if len(maps.shape) == 4 else maps
    to_vector = keras.Model(net.inputs[0], pooled)

    def embed_patches(patches):
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
    full_name = f"{name or net.name} x {scale:.4g} {digest.hexdigest()[:12]}"
    return Encoder(full_name, embed_patches, standardize=False)


def deepest_maps(net):
    """Return the tensor of the deepest feature maps of a net.

    U-Net: the input of the first upsampling. Classifier: the input of the global pooling. Net at full resolution: the
    input of the last layer with weights. Encoder: the output.

    Examples
    --------
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(5, 1), layers.UpSampling2D()])
    >>> deepest_maps(net).shape
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
