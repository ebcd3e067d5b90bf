"""FullNet: the published sizes, wiring, dilations and reach."""

import keras
import numpy as np
import pytest
from keras import ops

from hsn.nets import fullnet


@pytest.fixture(scope="module")
def default():
    return fullnet.build()


def trainable(net):
    return sum(int(np.prod(w.shape)) for w in net.trainable_weights)


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"hybrid": False}, 1_780_233),
        ({"layers_per_block": 4}, 783_223),
        ({"bottleneck": True}, 1_803_129),
        ({"pooled": True}, 1_780_233),
    ],
)
def test_each_variant_has_its_published_size(options, weights):
    assert trainable(fullnet.build(**options)) == weights


def test_the_default_has_its_published_size_and_keeps_3840_running_statistics(default):
    assert trainable(default) == 1_780_233
    assert default.count_params() - trainable(default) == 3_840


def test_channels_after_each_block_are_the_published_ones(default):
    units = [layer for layer in default.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(units) == 51
    assert [c.filters for c in units if c.kernel_size == (1, 1)] == [84, 114, 129, 136, 140, 142, 143]
    assert [c.dilation_rate[0] for c in units[22:30]] == [2, 5, 7, 9, 11, 14, 1, 10]
    dropouts = [layer for layer in default.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(dropouts) == 42
    assert {layer.rate for layer in dropouts} == {0.1}


def test_the_logits_equal_the_published_ones():
    """Published: given weights, the logits of a given image, computed by the original code."""
    net = fullnet.build()
    convolutions = [layer for layer in net.layers if isinstance(layer, keras.layers.Conv2D)]
    for number, layer in enumerate(convolutions):
        rows, columns, taken, given = layer.kernel.shape
        spread = np.sqrt(2 / (rows * columns * given))
        kernel = np.random.RandomState(1000 + number).randn(given, taken, rows, columns) * spread
        layer.kernel.assign(kernel.astype("float32").transpose(2, 3, 1, 0))
    image = np.random.RandomState(7).rand(1, 3, 48, 48) - 0.5
    to_logits = keras.Model(net.input, fullnet.logits_layer(net).output)
    logits = ops.convert_to_numpy(to_logits(image.transpose(0, 2, 3, 1).astype("float32"), training=False))[0]
    assert logits.mean() == pytest.approx(91_655.3, rel=1e-3)
    assert logits.std() == pytest.approx(102_286, rel=1e-3)
    for place, expected in (
        ((0, 0), (-62422.9, 7977.2, -1717.6)),
        ((24, 24), (109811.4, -35596.9, 241799.2)),
        ((47, 10), (-173.8, 105491.7, 75972.1)),
    ):
        assert logits[place].tolist() == pytest.approx(expected, rel=1e-3, abs=1)  # sums of terms of 1e5
    assert np.bincount(logits.argmax(axis=-1).ravel()).tolist() == [144, 280, 1880]


def test_output_is_probabilities_of_the_size_of_the_image(rng):
    for options in ({"bottleneck": True}, {"pooled": True}):
        net = fullnet.build(layers_per_block=4, growth=2, **options)
        probabilities = ops.convert_to_numpy(
            net(rng.normal(size=(2, 32, 48, 3)).astype("float32"), training=False)
        )
        assert probabilities.shape == (2, 32, 48, 3)
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_corner_upsampling_keeps_corners_and_is_saved(tmp_path, rng):
    x = rng.normal(size=(2, 3, 4, 5)).astype("float32")
    enlarged = ops.convert_to_numpy(fullnet.CornerUpsampling2D(4)(x))
    assert enlarged.shape == (2, 12, 16, 5)
    np.testing.assert_allclose(
        enlarged[:, [0, 0, -1, -1], [0, -1, 0, -1]], x[:, [0, 0, -1, -1], [0, -1, 0, -1]], rtol=1e-5
    )
    line = np.interp(np.linspace(0, 3, 16), np.arange(4), x[0, 0, :, 0])
    np.testing.assert_allclose(enlarged[0, 0, :, 0], line, rtol=1e-4, atol=1e-5)
    net = fullnet.build(layers_per_block=4, growth=2, pooled=True)
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", compile=False)
    image = rng.normal(size=(1, 16, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(net(image, training=False)),
        ops.convert_to_numpy(again(image, training=False)),
        rtol=1e-5,
    )


def test_a_seed_repeats_the_initial_weights_at_hes_scale():
    one, two, other = (
        fullnet.build(layers_per_block=4, dilations=(1, 2), seed=s).get_weights() for s in (3, 3, 4)
    )
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))
    assert one[0].std() == pytest.approx(np.sqrt(2 / (9 * 24)), rel=0.1)


def test_invalid_arguments_raise_input_errors(raises_code):
    for options in ({"layers_per_block": 5}, {"dilations": (1, 3)}):
        with raises_code("fullnet-hybrid"):
            fullnet.build(**options)
    assert fullnet.build(layers_per_block=2, growth=2, dilations=(1, 3), hybrid=False)
    with raises_code("fullnet-pooled-blocks"):
        fullnet.build(dilations=(1, 2), pooled=True)
