"""Geometry of nets: how far an output pixel sees, and which sides of an image fit the poolings.

Both follow from the layers, so a net that was loaded from a file has the same numbers as the net that was built.
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


def _once_per_net(measure):
    """Keep what a function returns for a net on the net itself."""
    name = f"_hsn_{measure.__name__}"

    @wraps(measure)
    def kept(net):
        if name not in net.__dict__:
            net.__dict__[name] = measure(net)  # not by attribute: Keras would track it
        return net.__dict__[name]

    return kept


@_once_per_net
def receptive_field_px(net):
    """Return the side of the square outside of which no input pixel changes an output pixel at its center.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, channels) -> (N, H, W, classes), made of layers that are each used once.

    Returns
    -------
    int

    Raises
    ------
    InputError
        "receptive-field-unbounded" if a layer sees the whole image, or its type is unknown.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> receptive_field_px(unet.build(depth=2, width=2))
    53
    """
    farthest = 0
    for axis in (0, 1):
        for place in range(size_divisor(net)):  # output pixels differ by their place under the poolings only
            first, last = _seen_from(net, place, axis)
            farthest = max(farthest, place - first, last - place)
    return 2 * farthest + 1


def halo_px(net):
    """Return the margin that a tile needs on each side to give what the whole image gives: half the receptive field.

    Tiles must start on multiples of `size_divisor`. Raises as `receptive_field_px` does.

    Examples
    --------
    >>> from hsn.nets import unet
    >>> halo_px(unet.build(depth=2, width=2))
    26
    """
    return receptive_field_px(net) // 2


@_once_per_net
def size_divisor(net):
    """Return the number that the height and width of an image must be multiples of.

    A layer of an unknown type counts as one that keeps the size of its input.

    Examples
    --------
    >>> from hsn.nets import resunet
    >>> size_divisor(resunet.build(2, depth=18, width=2))
    32
    """
    scales = {}  # input pixels that one pixel of a tensor stands for
    for layer in net.layers:
        given = max((scales.get(id(x), 1) for x in _inputs(layer)), default=1)
        if isinstance(layer, layers.Conv2DTranspose):
            scale = given / layer.strides[0]
        elif isinstance(layer, layers.UpSampling2D):
            scale = given / layer.size[0]
        else:
            scale = given * _strides(layer)[0] / getattr(layer, "factor", 1)
        scales[id(layer.output)] = scale
    return int(np.ceil(max(scales.values())))


def _strides(layer):
    strides = getattr(layer, "strides", 1)
    return strides if isinstance(strides, tuple | list) else (strides, strides)


def _seen_from(net, place, axis):
    """First and last input pixel, along an axis, that an output pixel depends on."""
    seen = {id(net.outputs[0]): (place, place)}
    for layer in reversed(net.layers):
        if id(layer.output) not in seen or isinstance(layer, layers.InputLayer):
            continue
        mapped = _inputs_of(layer, *seen.pop(id(layer.output)), axis)
        if mapped is None:
            raise InputError(
                "receptive-field-unbounded",
                "`halo_px` must be given for a net that sees the whole image",
                got=f"{net.name} with a layer {type(layer).__name__}",
                hint="give the margin of tiles in pixels, or run the net on whole images",
            )
        for x in _inputs(layer):
            first, last = seen.get(id(x), mapped)
            seen[id(x)] = (min(first, mapped[0]), max(last, mapped[1]))
    return seen[id(net.inputs[0])]


def _inputs(layer):
    given = layer.input
    return given if isinstance(given, list | tuple) else [given]


def _inputs_of(layer, first, last, axis):
    """Pixels of a layer's input on which the pixels `first` to `last` of its output depend, or None if all do."""
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


def reach_of(net, margin_px=None):
    """Return the halo and the size divisor; to be removed."""
    return (halo_px(net) if margin_px is None else margin_px), size_divisor(net)
