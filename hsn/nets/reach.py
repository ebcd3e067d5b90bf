"""Reach: how far from a pixel a net looks, and how tiles must lie under its poolings."""

import keras

from . import fullnet, resunet, unet


def reach_of(net, margin_px=None):
    """The margin of tiles, and what their starts must be multiples of, both in pixels of the net.

    Parameters
    ----------
    net : keras.Model
        A U-Net, ResUNet or FullNet of this room.
    margin_px : int, optional
        A narrower margin; by default as far as the net looks, so that tiles cannot be told in the maps.

    Examples
    --------
    >>> reach_of(unet.build(depth=2, width=2)), reach_of(unet.build(depth=2, width=2), 8)
    ((26, 4), (8, 4))
    """
    kinds = [type(layer) for layer in net.layers]
    poolings = kinds.count(keras.layers.MaxPooling2D)
    # A ResUNet halves by strides, and makes up for each by a transposed convolution.
    halvings = max(poolings, kinds.count(keras.layers.Conv2DTranspose))
    if margin_px is not None:
        return margin_px, 2**halvings
    if halvings > poolings:
        return resunet.reach_px(net), 2**halvings
    enlarged = keras.layers.UpSampling2D in kinds
    return (unet.reach_px(poolings), 2**poolings) if enlarged else (fullnet.reach_px(net), 1)
