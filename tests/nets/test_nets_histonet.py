"""HistoNet: the published sizes, wiring and order of layers."""

import keras
import numpy as np
import pytest

from hsn.nets import histonet


def test_the_released_net_has_its_published_size():
    net = histonet.x1_7()
    assert net.count_params() == 1_753_203
    assert sum(int(np.prod(w.shape)) for w in net.trainable_weights) == 1_750_899
    assert net.output_shape == (None, 51)


def test_the_released_net_is_wired_as_published():
    net = histonet.x1_7()
    kinds = [type(layer).__name__ for layer in net.layers[1:]]
    unit = ["Conv2D", "Activation", "BatchNormalization"]
    drop, pool = ["Dropout"], ["MaxPooling2D"]
    assert kinds == (
        unit + drop + unit + pool + unit + drop + unit + pool
        + unit + drop + unit + drop + unit + pool + ["GlobalMaxPooling2D", "Dense", "Activation"]
    )  # fmt: skip
    assert [layer.rate for layer in net.layers if isinstance(layer, keras.layers.Dropout)] == [
        0.3,
        0.4,
        0.4,
        0.4,
    ]
    assert {layer.epsilon for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)} == {
        1e-3
    }
    assert histonet.feature_layer(net).output.shape == (None, 56, 56, 256)
    assert histonet.feature_layer(net).name == "activation_7"
    assert histonet.logits_layer(net).name == "dense_1"


def convolutions(net):
    return sum(isinstance(layer, keras.layers.Conv2D) for layer in net.layers)


@pytest.mark.parametrize(
    ("name", "count", "maps"),
    [("x1.7", 7, 56), ("m1", 13, 14), ("m2", 10, 28), ("m3", 7, 56), ("m4", 4, 112), ("m5", 7, 56), ("m6", 7, 56),
     ("m7", 7, 56), ("vgg16", 15, 28)],
)  # fmt: skip
def test_each_net_has_its_published_convolutions_and_maps(name, count, maps):
    net = histonet.FAMILY[name](31, width=0.05, input_px=224)
    assert convolutions(net) == count
    assert histonet.feature_layer(net).output.shape[1] == maps
    assert net.output_shape == (None, 31)


@pytest.mark.parametrize("name", [n for n in histonet.FAMILY if n != "m6"])
def test_a_net_without_input_size_accepts_any_size(name, rng):
    net = histonet.FAMILY[name](3, width=0.05, input_px=None)
    scores = keras.ops.convert_to_numpy(
        net(rng.normal(size=(2, 64, 48, 3)).astype("float32"), training=False)
    )
    assert scores.shape == (2, 3)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_seed_repeats_the_initial_weights():
    one, two, other = (histonet.m4(2, width=0.1, seed=s).get_weights() for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one[0] != other[0]).any()


def test_cells_are_scored_by_the_average_of_their_own_maps(rng):
    nets = [histonet.m2(3, width=0.1, input_px=None, seed=s) for s in (0, 1)]
    for net in nets:  # a second net in one process: names must not collide
        cells = histonet.build_cell_classifier(net, cell_px=32, stride_px=16)
        x = rng.normal(size=(1, 64, 80, 3)).astype("float32")
        scores = keras.ops.convert_to_numpy(cells(x, training=False))
        assert scores.shape == (1, 3, 4, 3)
        maps = keras.Model(net.input, net.get_layer("average").input)(x)
        kernel, bias = histonet.logits_layer(net).get_weights()
        cell = keras.ops.convert_to_numpy(maps)[0, 1:3, 2:4].mean(axis=(0, 1)) @ kernel + bias
        np.testing.assert_allclose(scores[0, 1, 2], 1 / (1 + np.exp(-cell)), rtol=1e-4)


@pytest.mark.parametrize("name", ["m5", "m7"])
def test_nets_with_other_heads_cannot_score_cells(name, raises_code):
    with raises_code("cells-unsupported-net"):
        histonet.build_cell_classifier(
            histonet.FAMILY[name](3, width=0.05, input_px=None), cell_px=32, stride_px=16
        )


@pytest.mark.parametrize(("cell", "stride"), [(40, 16), (32, 8), (0, 16)])
def test_cell_sizes_must_be_multiples_of_the_downsampling_factor(cell, stride, raises_code):
    with raises_code("cell-size-invalid"):
        histonet.build_cell_classifier(
            histonet.m2(3, width=0.05, input_px=None), cell_px=cell, stride_px=stride
        )


def test_unsupported_vectorizers_raise(raises_code):
    with raises_code("vectorizer-unknown"):
        histonet.build(((4,),), 2, vectorizer="middle")
    with raises_code("flatten-needs-input-size"):
        histonet.build(((4,),), 2, vectorizer="flatten", input_px=None)


def test_normalization_is_the_same_for_all_channels():
    assert histonet.normalize(np.full((1, 1, 3), 193.09203 + 56.450138)).round(5).tolist() == [
        [[1.0, 1.0, 1.0]]
    ]
