"""Optical density and stain augmentation: inverse functions, exact gains and offsets, error codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb_from_hed

from hsn.stains.density import (
    HEMATOXYLIN_EOSIN,
    complete_basis,
    from_density,
    jitter_stains,
    optical_density,
    transform_density,
)
from hsn.stains.macenko import separate_stains

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)


def test_light_undoes_density_at_every_level():
    np.testing.assert_array_equal(np.rint(from_density(optical_density(LEVELS))), LEVELS)


def test_density_is_the_logarithm():
    bright = LEVELS[1:]
    np.testing.assert_allclose(optical_density(bright), -np.log(bright / 255), rtol=1e-5, atol=1e-6)
    assert np.isfinite(optical_density(LEVELS)).all()


def test_default_gains_do_not_change_the_image(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.rint(transform_density(image, np.eye(3), np.zeros(3))), image)
    np.testing.assert_array_equal(np.rint(jitter_stains(image, (1, 1), (0, 0))), image)


amounts = st.tuples(st.floats(0.7, 1.3), st.floats(0.7, 1.3))
offsets = st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))


@given(amounts, offsets)
def test_a_jitter_changes_each_stain_by_its_gain_and_offset_only(gain, offset):
    rng = np.random.default_rng(1)
    amounts = np.stack([rng.uniform(0.2, 1, (9, 9)), rng.uniform(0.2, 1, (9, 9)), np.zeros((9, 9))], axis=2)
    basis = complete_basis(HEMATOXYLIN_EOSIN)
    image = np.rint(from_density(amounts @ basis)).astype(np.uint8)
    painted = jitter_stains(image, gain, offset)
    assert painted.dtype == np.float32
    found = -np.log(painted / 255) @ np.linalg.inv(basis)
    wanted = separate_stains(image, HEMATOXYLIN_EOSIN) * (*gain, 1) + (*offset, 0)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_default_stains_equal_scikit_image():
    np.testing.assert_allclose(HEMATOXYLIN_EOSIN, rgb_from_hed[:2])


def test_a_third_direction_is_at_a_right_angle_to_both():
    basis = complete_basis(HEMATOXYLIN_EOSIN)
    np.testing.assert_allclose(basis[:2] @ basis[2], 0, atol=1e-12)
    assert np.linalg.norm(basis[2]) == pytest.approx(1)
    np.testing.assert_array_equal(complete_basis(rgb_from_hed), rgb_from_hed)


@pytest.mark.parametrize(
    ("stains", "code"),
    [
        (np.eye(3)[0], "stains-shape"),
        ([[1, 0, np.nan], [0, 1, 0]], "stains-shape"),
        ([[1, 1, 1], [2, 2, 2.01]], "stains-parallel"),
        ([[0, 0, 0], [1, 0, 0]], "stains-parallel"),
        ([[1, 0, 0], [0, 1, 0], [1, 1, 0]], "stains-parallel"),
    ],
)
def test_invalid_stains_are_errors(stains, code, raises_code):
    with raises_code(code):
        complete_basis(stains)


def test_an_array_that_is_not_an_image_is_an_error(raises_code):
    with raises_code("image-dtype"):
        optical_density(np.zeros((4, 4, 3)))
