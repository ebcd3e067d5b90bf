"""Cost of nets: each use of each weight counts once."""

import keras
from keras import layers

from hsn.nets.cost import multiply_adds


def test_multiply_adds_count_each_use_of_each_weight():
    net = keras.Sequential([
        layers.Input((None, None, 3)), layers.Conv2D(4, 3, 2, padding="same"),
        layers.DepthwiseConv2D(3, padding="same"), layers.Conv2DTranspose(2, 2, 2), layers.BatchNormalization(),
    ])  # fmt: skip
    assert multiply_adds(net, (8, 16)) == 4 * 8 * (3 * 9 * 4 + 9 * 4 + 4 * 2 * 4)
