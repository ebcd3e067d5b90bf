"""Object targets, weights and loss, on hand-weights examples."""

import numpy as np
import pytest

from hsn.losses.objects import compute_weights, encode_targets, object_loss
from hsn.objects.borders import outline_weights

TWO = np.zeros((9, 14), int)
TWO[2:7, 2:7], TWO[2:7, 7:12] = 4, 9


@pytest.mark.parametrize("outputs", [1, 3])
def test_every_pixel_has_one_class_and_components_are_numbered(outputs):
    target = encode_targets(TWO, outputs)
    assert (target.shape, target.dtype) == ((9, 14, outputs + 1), np.float32)
    inside = target[..., 0 if outputs == 1 else 1]
    np.testing.assert_array_equal(target[..., -1] > 0, inside > 0)
    assert target[..., -1].max() == (1 if outputs == 1 else 2)  # contours keep neighbours apart
    if outputs == 3:
        np.testing.assert_array_equal(target[..., :3].sum(axis=2), 1)


def test_contours_are_contour_px_wide_inside_and_one_pixel_outside():
    row = encode_targets(TWO, 3, contour_px=2)[4, :, :3].argmax(axis=1).tolist()
    assert row == [0, 2, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 2, 0]
    shrunk = encode_targets(TWO, 3, shrink_px=1)[4, :, :3].argmax(axis=1).tolist()
    assert shrunk == [0, 0, 2, 2, 1, 2, 2, 2, 2, 1, 2, 2, 0, 0]


def test_border_weights_add_to_one():
    np.testing.assert_array_equal(compute_weights(TWO, sigma_px=3, height=0), 1)
    weights = compute_weights(TWO, sigma_px=3, height=5)
    np.testing.assert_allclose(weights, 1 + outline_weights(TWO, sigma_px=3, height=5))
    assert weights[4, 6] > 3 > weights[0, 0]


@pytest.mark.parametrize("outputs", [1, 3])
def test_with_weights_of_zero_only_the_variance_term_counts(rng, outputs):
    target = encode_targets(TWO, outputs)[None]
    prediction = rng.dirichlet([1] * 3, (1, 9, 14)).astype(np.float32)[..., :outputs]
    nothing = np.zeros((1, 9, 14), np.float32)
    assert float(object_loss(target, prediction, nothing)) == 0
    spread = float(object_loss(target, prediction, nothing, variance=1.0))
    assert spread > 0
    assert float(object_loss(target, prediction, nothing, variance=2.0)) == pytest.approx(2 * spread)


def test_an_array_of_floats_is_not_a_label_image(raises_code):
    with raises_code("label-image-invalid"):
        encode_targets(TWO / 2, 3)
