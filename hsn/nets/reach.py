"""Receptive field and size divisor of a net.

Both are computed from the layers. A net that is loaded from a file has the same values as the net that was built.
"""

from functools import wraps

import numpy as np
from keras import layers

from ..errors import InputError

_POINTWISE = (
    layers.Activation, layers.Add, layers.AlphaDropout, layers.Average, layers.BatchNormalization, layers.Concatenate,
    layers.Dropout, layers.ELU, layers.GaussianDropout, layers.GaussianNoise, layers.Identity,
    layers.LayerNormalization, layers.LeakyReLU, layers.Maximum, layers.Minimum, layers.Multiply, layers.PReLU,
    layers.ReLU, layers.Rescaling, layers.Softmax, layers.SpatialDropout2D, layers.Subtract, layers.UnitNormalization,
)  # fmt: skip


def _cached_on_net(function):
    """Cache the result of a function of a net on the net."""
    name = f"_hsn_{function.__name__}"

    @wraps(function)
    def cached(net):
        if name not in net.__dict__:
            net.__dict__[name] = function(net)  # Keras would track an attribute
        return net.__dict__[name]

    return cached


@_cached_on_net
def receptive_field_px(net):
    """Compute the receptive field: side of the square of input pixels that affect its central output pixel.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, channels) -> (N, H, W, classes). Each layer is used once.

    Returns
    -------
    int
        In pixels.

    Raises
    ------
    InputError
        "receptive-field-unbounded" if a layer depends on the whole image, or its type is unknown.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> receptive_field_px(unet.build(depth=2, width=2))
    53
    """
    farthest = 0
    for axis in (0, 1):
        for pixel in range(size_divisor(net)):  # the pooling grid repeats after `size_divisor` pixels
            first, last = _input_range(net, pixel, axis)
            farthest = max(farthest, pixel - first, last - pixel)
    return 2 * farthest + 1


def halo_px(net):
    """Return the margin of a tile for seamless prediction: half the receptive field, in pixels.

    Tiles must start on multiples of `size_divisor`. Raises the same error as `receptive_field_px`.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> halo_px(unet.build(depth=2, width=2))
    26
    """
    return receptive_field_px(net) // 2


@_cached_on_net
def size_divisor(net):
    """Return the number by which the height and width of an image must be divisible.

    Layers of unknown types are assumed to keep the size of their input.

    Examples
    --------
    >>> from hsn.nets import resunet
    >>> size_divisor(resunet.build(2, depth=18, width=2))
    32
    """
    scales = {}  # tensor id -> stride of its pixels, in input pixels
    for layer in net.layers:
        input_scale = max((scales.get(id(x), 1) for x in _inputs(layer)), default=1)
        if isinstance(layer, layers.Conv2DTranspose):
            scale = input_scale / layer.strides[0]
        elif isinstance(layer, layers.UpSampling2D):
            scale = input_scale / layer.size[0]
        else:
            scale = input_scale * _strides(layer)[0] / getattr(layer, "factor", 1)
        scales[id(layer.output)] = scale
    return int(np.ceil(max(scales.values())))


def _strides(layer):
    strides = getattr(layer, "strides", 1)
    return strides if isinstance(strides, tuple | list) else (strides, strides)


def _input_range(net, pixel, axis):
    """Return the first and last input pixel, along an axis, that affect an output pixel."""
    ranges = {id(net.outputs[0]): (pixel, pixel)}
    for layer in reversed(net.layers):
        if id(layer.output) not in ranges or isinstance(layer, layers.InputLayer):
            continue
        mapped = _layer_range(layer, *ranges.pop(id(layer.output)), axis)
        if mapped is None:
            raise InputError(
                "receptive-field-unbounded",
                "`halo_px` must be given for a net without a bounded receptive field",
                got=f"{net.name} with a layer {type(layer).__name__}",
                hint="give the margin of tiles in pixels, or run the net on whole images",
            )
        for x in _inputs(layer):
            first, last = ranges.get(id(x), mapped)
            ranges[id(x)] = (min(first, mapped[0]), max(last, mapped[1]))
    return ranges[id(net.inputs[0])]


def _inputs(layer):
    inputs = layer.input
    return inputs if isinstance(inputs, list | tuple) else [inputs]


def _layer_range(layer, first, last, axis):
    """Map the range of output pixels of a layer to its input pixels; return None if it is unbounded."""
    if isinstance(layer, layers.Conv2DTranspose):
        side, stride = layer.kernel_size[axis], layer.strides[axis]
        before = max(side - stride, 0) // 2 if layer.padding == "same" else 0
        return -(-(first + before - side + 1) // stride), (last + before) // stride
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        side = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        return _window(layer, first, last, side, axis)
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return _window(layer, first, last, layer.pool_size[axis], axis)
    if isinstance(layer, layers.UpSampling2D):
        size = layer.size[axis]
        if layer.interpolation == "nearest":
            return first // size, last // size
        # Pixel centers: input = (output + 1/2) / size - 1/2, between two neighbors.
        between = (2 * first + 1 - size) // (2 * size), -(-(2 * last + 1 - size) // (2 * size))
        return between if layer.interpolation == "bilinear" else None
    if isinstance(layer, layers.ZeroPadding2D):
        return first - layer.padding[axis][0], last - layer.padding[axis][0]
    if isinstance(layer, layers.Cropping2D):
        return first + layer.cropping[axis][0], last + layer.cropping[axis][0]
    return (first, last) if isinstance(layer, _POINTWISE) else None


def _window(layer, first, last, side, axis):
    stride = _strides(layer)[axis]
    before = max(side - stride, 0) // 2 if layer.padding == "same" else 0
    return first * stride - before, last * stride - before + side - 1
