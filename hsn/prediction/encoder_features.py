"""Mean feature vectors of an image: what the pretrained encoder inside a net sees."""

from collections.abc import Callable

import keras
import numpy as np

from ..images.scaling import normalize
from ..nets import encoder_unet
from .compiled import predict_batch

MIN_SIDE_PX = 32  # of an image that has a pixel in the coarsest map


def encoder_features(net: keras.Model, normalization) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function from an image to the means of the encoder's feature maps.

    Parameters
    ----------
    net : keras.Model
        A net of `hsn.nets.encoder_unet`; the maps that its decoder joins are used.
    normalization : hsn.config.Normalization
        Of the net's pixels.

    Returns
    -------
    callable or None
        uint8 (H, W, 3) at the net's scale -> float64 (d,). None for a net without such an encoder.

    Examples
    --------
    >>> from hsn.config import Normalization
    >>> from hsn.nets import encoder_unet, unet
    >>> gray = Normalization(mean=(128, 128, 128), std=(50, 50, 50))
    >>> net = encoder_unet.build(1, weights=None, encoder_stride=16, decoder=(4, 4))
    >>> encoder_features(net, gray)(np.zeros((64, 64, 3), np.uint8)).shape
    (176,)
    >>> encoder_features(unet.build(depth=2, width=2), gray) is None
    True
    """
    if "_hsn_means" not in net.__dict__:  # Keras would track an attribute
        net.__dict__["_hsn_means"] = _means(net)
    means = net.__dict__["_hsn_means"]
    if means is None:
        return None

    def describe(image: np.ndarray) -> np.ndarray:
        missing = [(0, max(0, MIN_SIDE_PX - side)) for side in image.shape[:2]]
        height, width = (max(MIN_SIDE_PX, side // MIN_SIDE_PX * MIN_SIDE_PX) for side in image.shape[:2])
        image = np.pad(image, [*missing, (0, 0)], mode="symmetric")[:height, :width]
        return predict_batch(means, normalize(image, normalization.mean, normalization.std)[None])[0].astype(
            float
        )

    return describe


def _means(net: keras.Model) -> keras.Model | None:
    """Return a net that ends with the means of the maps that the decoder joins."""
    maps = encoder_unet.encoder_maps(net)
    if not maps:
        return None
    means = [keras.layers.GlobalAveragePooling2D()(feature_map) for feature_map in maps]
    return keras.Model(net.input, keras.layers.Concatenate()(means))
