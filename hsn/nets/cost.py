"""Cost of a net: multiply-adds, computed from its layers."""

import math
from fractions import Fraction

from keras import layers

_STRIDED = (layers.Conv2D, layers.DepthwiseConv2D, layers.MaxPooling2D, layers.AveragePooling2D)


def multiply_adds(net, sides_px):
    """Return the multiply-adds of all convolutions for one image.

    Parameters
    ----------
    net : keras.Model
        Made of stock layers, each used once.
    sides_px : (int, int)
        Height and width of the image.

    Returns
    -------
    int

    Examples
    --------
    >>> import keras
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(4, 3, 2, padding="same")])
    >>> multiply_adds(net, (10, 10)) == 3 * 3 * 3 * 4 * 5 * 5
    True
    """
    scales = [_scales(net, axis) for axis in (0, 1)]
    total = Fraction(0)
    for layer in net.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)):
            # A kernel entry is used once per output pixel; in a transposed convolution, per input pixel.
            tensor = layer.input if isinstance(layer, layers.Conv2DTranspose) else layer.output
            height, width = (side * scale[id(tensor)] for side, scale in zip(sides_px, scales, strict=True))
            total += math.prod(layer.kernel.shape) * height * width
    return round(total)


def _tensors(value):
    return value if isinstance(value, (list, tuple)) else [value]


def _scales(net, axis):
    """Return output pixels per input pixel of every tensor, by its identity."""
    scales = {id(tensor): Fraction(1) for tensor in net.inputs}
    for layer in (layer for layer in net.layers if not isinstance(layer, layers.InputLayer)):
        (scale,) = {scales[id(tensor)] for tensor in _tensors(layer.input)}
        if isinstance(layer, (layers.Conv2DTranspose, layers.UpSampling2D)):
            scale *= (layer.strides if isinstance(layer, layers.Conv2DTranspose) else layer.size)[axis]
        elif isinstance(layer, _STRIDED):
            scale /= layer.strides[axis]
        scales |= {id(tensor): scale for tensor in _tensors(layer.output)}
    return scales
