"""Density: light and density are each other's inverse, and a jitter changes the stains that it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb_from_hed

from hsn import InputError
from hsn.stains.density import HAEMATOXYLIN_EOSIN, completed, density, jittered, light, restained
from hsn.stains.macenko import separate

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)


def test_light_undoes_density_at_every_level():
    np.testing.assert_array_equal(np.rint(light(density(LEVELS))), LEVELS)


def test_density_is_the_logarithm():
    bright = LEVELS[1:]
    np.testing.assert_allclose(density(bright), -np.log(bright / 255), rtol=1e-5, atol=1e-6)
    assert np.isfinite(density(LEVELS)).all()


def test_no_change_is_no_change(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.rint(restained(image, np.eye(3), np.zeros(3))), image)
    np.testing.assert_array_equal(np.rint(jittered(image, (1, 1), (0, 0))), image)


amounts = st.tuples(st.floats(0.7, 1.3), st.floats(0.7, 1.3))
offsets = st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))


@given(amounts, offsets)
def test_a_jitter_changes_each_stain_by_what_it_says_and_nothing_else(gain, offset):
    rng = np.random.default_rng(1)
    amounts = np.stack([rng.uniform(0.2, 1, (9, 9)), rng.uniform(0.2, 1, (9, 9)), np.zeros((9, 9))], axis=2)
    basis = completed(HAEMATOXYLIN_EOSIN)
    image = np.rint(light(amounts @ basis)).astype(np.uint8)
    painted = jittered(image, gain, offset)
    assert painted.dtype == np.float32
    found = -np.log(painted / 255) @ np.linalg.inv(basis)
    wanted = separate(image, HAEMATOXYLIN_EOSIN) * (*gain, 1) + (*offset, 0)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_stains_are_those_of_scikit_image():
    np.testing.assert_allclose(HAEMATOXYLIN_EOSIN, rgb_from_hed[:2])


def test_a_third_direction_is_at_a_right_angle_to_both():
    basis = completed(HAEMATOXYLIN_EOSIN)
    np.testing.assert_allclose(basis[:2] @ basis[2], 0, atol=1e-12)
    assert np.linalg.norm(basis[2]) == pytest.approx(1)
    np.testing.assert_array_equal(completed(rgb_from_hed), rgb_from_hed)


@pytest.mark.parametrize(
    ("stains", "words"),
    [
        (np.eye(3)[0], "stains are directions in red, green and blue"),
        ([[1, 0, np.nan], [0, 1, 0]], "stains are directions in red, green and blue"),
        ([[1, 1, 1], [2, 2, 2.01]], "these stains cannot be told apart"),
        ([[0, 0, 0], [1, 0, 0]], "these stains cannot be told apart"),
        ([[1, 0, 0], [0, 1, 0], [1, 1, 0]], "these stains cannot be told apart"),
    ],
)
def test_odd_stains_are_refused(stains, words):
    with pytest.raises(InputError, match=words):
        completed(stains)


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="must be an 8-bit RGB image"):
        density(np.zeros((4, 4, 3)))
