"""Receptive field and size divisor: as measured by changing single pixels, for any graph of known layers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.errors import InputError
from hsn.nets import fullnet, resunet, unet
from hsn.nets.geometry import halo_px, multiply_adds, receptive_field_px, size_divisor

dotted = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="ResUNet names its layers with dots, which torch refuses"
)


def measured_halo(net, side):
    """The largest distance at which a changed pixel changes the output; all weights are made positive before.

    Every pixel of one period of the strides is changed in turn, along one diagonal.
    """
    net.set_weights([np.abs(w) + 1e-3 for w in net.get_weights()])
    divisor, middle, farthest = size_divisor(net), side // 2 // 32 * 32, 0
    plain = np.zeros((1, side, side, 3), "float32")
    before = ops.convert_to_numpy(net(plain, training=False))
    for place in range(middle, middle + divisor):
        image = plain.copy()
        image[0, place, place] = 1e4
        changed = np.argwhere(
            np.abs(ops.convert_to_numpy(net(image, training=False)) - before)[0, ..., 0] > 0
        )
        farthest = max(farthest, np.abs(changed - place).max())
    return farthest


def chain(*steps):
    return keras.Sequential([layers.Input((None, None, 3)), *steps])


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain(layers.Conv2D(1, 3, dilation_rate=3, padding="same")),
        lambda: chain(layers.Conv2D(1, (3, 7), padding="same")),
        lambda: chain(layers.Conv2D(1, 3, 2, padding="same"), layers.UpSampling2D(2)),
        lambda: chain(layers.Conv2D(1, 5, 2, padding="same"), layers.UpSampling2D(2, interpolation="bilinear")),
        lambda: chain(layers.AveragePooling2D(4), layers.UpSampling2D(4, interpolation="bilinear")),
        lambda: chain(layers.ZeroPadding2D(2), layers.Conv2D(1, 5)),
        lambda: chain(layers.DepthwiseConv2D(5, 2, padding="same"), layers.Conv2D(1, 1),
                      layers.Conv2DTranspose(1, 2, 2)),
        lambda: chain(layers.ZeroPadding2D(((0, 0), (0, 3))), layers.Conv2D(1, 3, padding="same"),
                      layers.Cropping2D(((0, 0), (0, 3)))),
    ],
)  # fmt: skip
def test_the_receptive_field_of_layers_is_the_measured_one(make):
    net = make()
    assert halo_px(net) == measured_halo(net, 96)


@pytest.mark.parametrize(
    ("make", "halo", "divisor"),
    [
        (lambda: unet.build(depth=3, width=2), 58, 8),
        (lambda: unet.build(depth=4, width=2), 122, 16),
        (lambda: fullnet.build(growth=2), 218, 1),
        pytest.param(lambda: resunet.build(1, depth=18, width=2), 308, 32, marks=dotted),
        pytest.param(lambda: resunet.build(1, depth=34, width=2), 540, 32, marks=dotted),
    ],
)
def test_the_known_nets_have_their_known_receptive_field(make, halo, divisor):
    net = make()
    assert (halo_px(net), size_divisor(net), receptive_field_px(net)) == (halo, divisor, 2 * halo + 1)


def test_a_layer_without_a_fixed_receptive_field_is_an_error():
    inputs = layers.Input((None, None, 3))
    net = keras.Model(inputs, layers.UpSampling2D(2, interpolation="bicubic")(layers.MaxPooling2D(2)(inputs)))
    for wrong in (net, chain(layers.MaxPooling2D(2)), chain(layers.Conv2DTranspose(1, 3))):
        with pytest.raises(InputError) as caught:
            receptive_field_px(wrong)
        assert caught.value.code == "receptive-field-unknown"


def test_multiply_adds_count_each_use_of_each_weight():
    net = chain(layers.Conv2D(4, 3, 2, padding="same"), layers.DepthwiseConv2D(3, padding="same"),
                layers.Conv2DTranspose(2, 2, 2), layers.BatchNormalization())  # fmt: skip
    assert multiply_adds(net, (8, 16)) == 4 * 8 * (3 * 9 * 4 + 9 * 4 + 4 * 2 * 4)
