"""Objects as targets: insides and contours by plain numbers; the methods' own tests walk the rest."""

import numpy as np
import pytest

from hsn import InputError
from hsn.losses.objects import encode, object_loss, weights_of
from hsn.objects.borders import outline_weights

TWO = np.zeros((9, 14), int)
TWO[2:7, 2:7], TWO[2:7, 7:12] = 4, 9


@pytest.mark.parametrize("outputs", [1, 3])
def test_every_pixel_is_of_one_class_and_parts_are_numbered(outputs):
    target = encode(TWO, outputs)
    assert (target.shape, target.dtype) == ((9, 14, outputs + 1), np.float32)
    inside = target[..., 0 if outputs == 1 else 1]
    np.testing.assert_array_equal(target[..., -1] > 0, inside > 0)
    assert target[..., -1].max() == (1 if outputs == 1 else 2)  # contours keep neighbours apart
    if outputs == 3:
        np.testing.assert_array_equal(target[..., :3].sum(axis=2), 1)


def test_contours_reach_inwards_as_far_as_is_said_and_one_pixel_out():
    row = encode(TWO, 3, contour_px=2)[4, :, :3].argmax(axis=1).tolist()
    assert row == [0, 2, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 0]
    shrunk = encode(TWO, 3, shrink_px=1)[4, :, :3].argmax(axis=1).tolist()
    assert shrunk == [0, 0, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 0, 0]


def test_borders_weigh_more_by_their_height():
    np.testing.assert_array_equal(weights_of(TWO, sigma_px=3, height=0), 1)
    made = weights_of(TWO, sigma_px=3, height=5)
    np.testing.assert_allclose(made, 1 + outline_weights(TWO, sigma_px=3, height=5))
    assert made[4, 6] > 3 > made[0, 0]


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_weight_of_nothing_and_a_factor_of_the_variance(rng, outputs):
    target = encode(TWO, outputs)[None]
    prediction = rng.dirichlet([1] * 3, (1, 9, 14)).astype(np.float32)[..., :outputs]
    nothing = np.zeros((1, 9, 14), np.float32)
    assert float(object_loss(target, prediction, nothing)) == 0
    spread = float(object_loss(target, prediction, nothing, variance=1.0))
    assert spread > 0
    assert float(object_loss(target, prediction, nothing, variance=2.0)) == pytest.approx(2 * spread)


def test_what_is_no_label_image_is_refused():
    with pytest.raises(InputError, match="label image"):
        encode(TWO / 2, 3)
