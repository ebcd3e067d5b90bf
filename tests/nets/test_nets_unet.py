"""U-Nets: published sizes, wiring, and initialization."""

import keras
import numpy as np
import pytest
from keras import ops

from hsn.nets import unet


def test_both_nets_have_their_published_size():
    assert unet.small().count_params() == 7_782_913
    assert unet.full().count_params() == 31_378_945


def test_the_small_net_is_wired_as_published():
    net = unet.small(width=4)
    kinds = [type(layer).__name__ for layer in net.layers[1:]]
    pair = ["Conv2D", "Conv2D"]
    down, up = [*pair, "MaxPooling2D"], ["UpSampling2D", "Concatenate", *pair]
    assert kinds == down * 3 + pair + up * 3 + ["Conv2D", "Activation"]
    joined = [layer for layer in net.layers if isinstance(layer, keras.layers.Concatenate)]
    assert [[t.shape[-1] for t in layer.input] for layer in joined] == [[32, 16], [16, 8], [8, 4]]
    assert {layer.interpolation for layer in net.layers if isinstance(layer, keras.layers.UpSampling2D)} == {
        "bilinear"
    }


def test_upsampling_is_bilinear_between_pixel_centers():
    line = ops.convert_to_numpy(
        keras.layers.UpSampling2D(2, interpolation="bilinear")(np.float32([[[[0], [4], [8]]]]))
    )
    assert line[0, 0, :, 0].tolist() == [0, 1, 3, 5, 7, 8]


@pytest.mark.parametrize("outputs", [1, 3])
def test_output_is_probabilities_of_the_size_of_the_image(outputs, rng):
    net = unet.build(outputs, depth=2, width=4)
    probabilities = ops.convert_to_numpy(net(rng.normal(size=(2, 12, 20, 3)).astype("float32")))
    assert probabilities.shape == (2, 12, 20, outputs)
    assert 0 < probabilities.min() < probabilities.max() < 1
    if outputs > 1:
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    assert unet.logits_layer(net).output.shape[-1] == outputs


def test_the_initialization_equals_torch_and_repeats_with_a_seed():
    one, two, other = (unet.small(width=8, seed=s).get_weights() for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert not (one[0] == other[0]).all()
    for kernel, bias in zip(one[::2], one[1::2], strict=True):
        bound = np.prod(kernel.shape[:3]) ** -0.5
        assert abs(kernel).max() <= bound
        assert abs(bias).max() <= bound
        assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.35)


def test_invalid_arguments_raise_input_errors(raises_code):
    for options in ({"outputs": 0}, {"depth": -1}, {"width": 0}):
        with raises_code("unet-invalid"):
            unet.build(**options)
