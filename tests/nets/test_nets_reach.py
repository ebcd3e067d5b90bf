"""Geometry of nets: the receptive field is what a changed pixel changes, and it survives the file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.nets import fullnet, histonet, resunet, unet
from hsn.nets.reach import halo_px, receptive_field_px, size_divisor


def farthest_change(net, logits, side):
    """How far from a changed pixel the logits change, over all places under the poolings."""
    net.set_weights([abs(w) for w in net.get_weights()])  # of one sign, every change passes the ReLU
    to_logits = keras.Model(net.input, logits.output)
    image, farthest = np.ones((1, side, side, 3), "float32"), 0
    plain = ops.convert_to_numpy(to_logits(image, training=False))
    for place in range(side // 2, side // 2 + size_divisor(net)):
        other = image.copy()
        other[0, place, place] += 1e6
        changed = np.argwhere(ops.convert_to_numpy(to_logits(other, training=False)) != plain)[:, 1:3]
        farthest = max(farthest, abs(changed - place).max())
    return farthest


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_pixel_affects_half_the_receptive_field_of_a_unet(depth):
    net = unet.build(depth=depth, width=2, seed=1)
    assert size_divisor(net) == 2**depth
    assert farthest_change(net, unet.logits_layer(net), 160) == halo_px(net)


def test_a_pixel_affects_half_the_receptive_field_of_a_fullnet():
    net = fullnet.build(layers_per_block=4, growth=2, dilations=(1, 2, 1), seed=1)
    assert (size_divisor(net), halo_px(net)) == (1, 1 + 4 + 8 + 4 + 1)
    assert farthest_change(net, fullnet.logits_layer(net), 48) == halo_px(net)


@pytest.mark.slow
def test_a_pixel_affects_half_the_receptive_field_of_a_resunet():
    net = resunet.build(1, depth=18, width=2, seed=1)
    assert farthest_change(net, resunet.logits_layer(net), 1344) == halo_px(net)


@pytest.mark.parametrize(
    ("options", "side"), [({}, 437), ({"hybrid": False}, 437), ({"layers_per_block": 4}, 299)]
)
def test_fullnets_have_the_published_receptive_field(options, side):
    assert receptive_field_px(fullnet.build(growth=2, **options)) == side


def test_the_receptive_field_of_a_resunet_grows_with_its_blocks():
    nets = [resunet.build(1, depth=depth, width=2) for depth in (18, 34, 50)]
    assert [receptive_field_px(net) for net in nets] == [617, 1081, 609]
    assert {size_divisor(net) for net in nets} == {32}


def test_a_loaded_net_has_the_geometry_of_the_net_that_was_saved(tmp_path):
    for net in (unet.build(3, depth=2, width=2, batch_norm=True), resunet.build(2, depth=18, width=2)):
        net.save(tmp_path / "net.keras")
        again = keras.saving.load_model(tmp_path / "net.keras", compile=False)
        assert (receptive_field_px(again), size_divisor(again)) == (
            receptive_field_px(net),
            size_divisor(net),
        )


@pytest.mark.parametrize(
    ("layer", "side", "divisor"),
    [
        (layers.Conv2D(1, 3), 5, 1),
        (layers.Conv2D(1, 4, padding="same"), 5, 1),
        (layers.DepthwiseConv2D(5, padding="same", dilation_rate=2), 9, 1),
        (layers.UpSampling2D(2), 1, 1),
    ],
    ids=["valid", "even", "depthwise", "nearest"],
)
def test_layers_of_other_nets_are_supported(layer, side, divisor):
    net = keras.Sequential([layers.Input((None, None, 3)), layer])
    assert (receptive_field_px(net), size_divisor(net)) == (side, divisor)


def test_a_net_over_the_whole_image_has_an_unbounded_receptive_field(raises_code):
    pooled = fullnet.build(growth=2, layers_per_block=4, pooled=True)
    assert size_divisor(pooled) == 16
    for net in (pooled, histonet.m4(2, width=0.1, input_px=None)):
        with raises_code("receptive-field-unbounded"):
            halo_px(net)
