"""Geometry and cost of a net, computed from its graph: receptive field, size divisor, multiply-adds.

The functions follow each output pixel backwards through the layers, so they hold for skips, strides and any kernels,
and for a net that was loaded from a file. They know the stock layers below and raise an error at any other.
"""

import math
from fractions import Fraction

from keras import layers

from ..errors import InputError

_POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.InputLayer,
    layers.LeakyReLU,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout2D,
)
_POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
_WINDOWS = (layers.Conv2D, layers.DepthwiseConv2D, *_POOLINGS)


def receptive_field_px(net):
    """Return the side of the square of input pixels that one output pixel may depend on, in pixels.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, C) -> one or more outputs; of stock layers.

    Returns
    -------
    int
        Odd: twice `halo_px` and the pixel itself.

    Raises
    ------
    InputError
        "receptive-field-unknown" if a layer has no fixed receptive field.

    Examples
    --------
    >>> import keras
    >>> net = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(4, 3, 2), layers.Conv2DTranspose(1, 2, 2)])
    >>> receptive_field_px(net), size_divisor(net)
    (5, 2)
    """
    return 2 * halo_px(net) + 1


def halo_px(net):
    """Return the largest distance, along rows or columns, of an input pixel on which an output pixel depends.

    Tiles that overlap by twice this, and start at multiples of `size_divisor`, give the result of the whole image.

    Parameters
    ----------
    net : keras.Model
        As for `receptive_field_px`.

    Returns
    -------
    int

    Examples
    --------
    >>> import keras
    >>> halo_px(keras.Sequential([layers.Input((None, None, 1)), layers.Conv2D(1, 5, dilation_rate=2)]))
    8
    """
    return max(_halo(net, axis) for axis in (0, 1))


def size_divisor(net):
    """Return the number by which both sides of an image must divide: the least common multiple of all strides.

    Parameters
    ----------
    net : keras.Model
        As for `receptive_field_px`.

    Returns
    -------
    int

    Examples
    --------
    >>> import keras
    >>> size_divisor(keras.Sequential([layers.Input((None, None, 1)), layers.MaxPooling2D(2), layers.MaxPooling2D(2)]))
    4
    """
    return math.lcm(*(s.denominator for axis in (0, 1) for s in _scales(net, axis).values()))


def multiply_adds(net, sides_px):
    """Return the multiply-adds of all convolutions for one image.

    Parameters
    ----------
    net : keras.Model
        As for `receptive_field_px`.
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


def _unknown(layer):
    raise InputError("receptive-field-unknown", "`net` must consist of layers with a fixed receptive field",
                     got=f"{type(layer).__name__} {layer.name}", hint="Try whole images")  # fmt: skip


def _window(layer, axis):
    """Return extent, stride and padding before of a convolution or pooling; sides divide by the stride."""
    if isinstance(layer, _POOLINGS):
        extent = layer.pool_size[axis]
    else:
        extent = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    stride = layer.strides[axis]
    before = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
    return extent, stride, before


def _backward(layer, first, last, axis):
    """Return the range of input indices on which output indices `first` to `last` depend."""
    if isinstance(layer, layers.Conv2DTranspose):
        stride = layer.strides[axis]
        if layer.kernel_size[axis] != stride:
            _unknown(layer)
        return first // stride, last // stride
    if isinstance(layer, _WINDOWS):
        extent, stride, before = _window(layer, axis)
        return first * stride - before, last * stride - before + extent - 1
    if isinstance(layer, layers.ZeroPadding2D):
        return first - layer.padding[axis][0], last - layer.padding[axis][0]
    if isinstance(layer, layers.Cropping2D):
        return first + layer.cropping[axis][0], last + layer.cropping[axis][0]
    if isinstance(layer, layers.UpSampling2D):
        factor = layer.size[axis]
        if layer.interpolation == "nearest":
            return first // factor, last // factor
        if layer.interpolation == "bilinear":  # between the two pixels whose centers enclose this one's
            places = [Fraction(2 * place + 1, 2 * factor) - Fraction(1, 2) for place in (first, last)]
            return math.floor(places[0]), math.ceil(places[1])
    if not isinstance(layer, _POINTWISE):
        _unknown(layer)
    return first, last


def _scales(net, axis):
    """Return output pixels per input pixel of every tensor, by its identity."""
    scales = {id(tensor): Fraction(1) for tensor in net.inputs}
    for layer in (layer for layer in net.layers if not isinstance(layer, layers.InputLayer)):
        (scale,) = {scales[id(tensor)] for tensor in _tensors(layer.input)}
        if isinstance(layer, (layers.Conv2DTranspose, layers.UpSampling2D)):
            scale *= (layer.strides if isinstance(layer, layers.Conv2DTranspose) else layer.size)[axis]
        elif isinstance(layer, _WINDOWS):
            scale /= layer.strides[axis]
        scales |= {id(tensor): scale for tensor in _tensors(layer.output)}
    return scales


def _halo(net, axis):
    scales = _scales(net, axis)
    if any(scales[id(tensor)] != 1 for tensor in net.outputs):
        raise InputError("receptive-field-unknown", "`net` must have outputs at full resolution", got=net.name,
                         hint="Try the net with its decoder")  # fmt: skip
    period = math.lcm(*(scale.denominator for scale in scales.values()))
    farthest = 0
    for place in range(period):  # output pixels differ only in their place below the strides
        needed = {id(tensor): (place, place) for tensor in net.outputs}
        for layer in reversed(net.layers):
            ranges = [needed[id(t)] for t in _tensors(layer.output) if id(t) in needed]
            if not ranges or isinstance(layer, layers.InputLayer):
                continue
            new = _backward(layer, min(r[0] for r in ranges), max(r[1] for r in ranges), axis)
            for tensor in _tensors(layer.input):
                old = needed.get(id(tensor), new)
                needed[id(tensor)] = min(old[0], new[0]), max(old[1], new[1])
        first, last = needed[id(net.inputs[0])]
        farthest = max(farthest, place - first, last - place)
    return farthest
