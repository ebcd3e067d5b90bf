"""Losses of critics and generator, with masks inside of the computation, or outside as released."""

import keras
import numpy as np
import pytest
from keras import ops

from hsn.extras.singan.adversarial import critic_images, critic_terms, generator_terms
from hsn.prediction.gradients import gradient


@pytest.fixture
def image(rng):
    return rng.uniform(-1, 1, (1, 4, 5, 3)).astype("float32")


@pytest.fixture
def mask():
    mask = -np.ones((1, 4, 5, 1), "float32")
    mask[0, 1:3, 1:4] = 1
    return mask


def test_each_critic_gets_its_part_on_black(image, mask):
    inside = mask[0, ..., 0] > 0
    whole, nuclei, between = (
        ops.convert_to_numpy(v)[0] for v in critic_images(ops.convert_to_tensor(image), mask)
    )
    assert (whole == image[0]).all()
    assert (nuclei[inside] == image[0][inside]).all()
    assert (nuclei[~inside] == -1).all()
    assert (between[~inside] == image[0][~inside]).all()
    assert (between[inside] == -1).all()


def test_masked_pixels_have_the_mask_color(image, mask):
    inside, hidden = mask[0, ..., 0] > 0, np.float32([[0.25, -0.5, 0.75], [-0.75, 0.5, 0]])
    shown = critic_images(ops.convert_to_tensor(image), mask, mask_colors=hidden)
    _, nuclei, between = (ops.convert_to_numpy(view)[0] for view in shown)
    assert (nuclei[~inside] == hidden[0]).all()
    assert (between[inside] == hidden[1]).all()
    assert (np.where(inside[..., None], nuclei, between) == image[0]).all()


def test_released_masks_are_quantized_to_8_bits(image, mask):
    _, nuclei, between = (ops.convert_to_numpy(v)[0] for v in critic_images(image, mask, released=True))
    together = np.where(mask[0] > 0, nuclei, between)
    np.testing.assert_allclose((together + 1) * 127.5, np.floor((image[0] + 1) * 127.5), atol=2e-4)


@pytest.mark.parametrize(("released", "heard"), [(False, True), (True, False)])
def test_masks_pass_gradients_unless_released(image, mask, released, heard):
    def of_nuclei(x):
        return ops.sum(critic_images(x, mask, released=released)[1])

    def of_all(x):
        return ops.sum(critic_images(x, mask, released=released)[0])

    if released and keras.backend.backend() == "tensorflow":
        slope = gradient(
            lambda x: of_nuclei(x) + 0 * ops.sum(x), image
        )  # TensorFlow gives None without a gradient
    else:
        slope = gradient(of_nuclei, image)
    assert slope.any() == heard
    assert (slope[..., 0] > 0)[0].tolist() == ((mask[0, ..., 0] > 0) & heard).tolist()
    assert (gradient(of_all, image) == 1).all()


def critics():
    return [lambda x, k=k: (k + 1) * x for k in range(3)]


def test_terms_weight_scores_by_their_part():
    real = [np.full((1, 2, 2, 1), value, "float32") for value in (1, 2, 3)]
    made = [np.full((1, 2, 2, 1), value, "float32") for value in (5, 7, 11)]
    real_parts, made_parts = np.ones((3, 1, 2, 2, 1), "float32"), np.ones((3, 1, 2, 2, 1), "float32")
    real_parts[1, 0, 0] = 0  # half of the nuclei's scores
    made_parts[2] = 0.25
    terms = critic_terms(critics(), real, made, real_parts, made_parts, [10.0, 20.0, 30.0], penalty=0.1)
    assert ops.convert_to_numpy(terms) == pytest.approx([5 - 1 + 1, 14 - 2 + 2, 33 / 4 - 9 + 3])


def test_the_generator_loss_has_scores_and_the_reconstruction_error():
    made = [np.full((1, 2, 2, 1), value, "float32") for value in (5, 7, 11)]
    parts = np.ones((3, 1, 2, 2, 1), "float32")
    painted, image = np.full((1, 2, 2, 3), 0.5, "float32"), np.zeros((1, 2, 2, 3), "float32")
    terms = generator_terms(critics(), made, parts, painted, image, reconstruction=8)
    assert ops.convert_to_numpy(terms) == pytest.approx([-5, -14, -33, 2])
