"""SinGAN's pyramid: published sizes and resampling, and a direct implementation of the operator."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsn.images import pyramid

STEP = (128 / 256) ** (1 / 4)


@pytest.fixture(scope="module")
def levels():
    rows, columns = np.mgrid[:256, :256]
    return ((7 * rows + 13 * columns) % 256).astype(float)


def test_a_patch_of_256_px_has_the_published_sizes():
    assert pyramid.sizes((256, 256)) == [(s, s) for s in (128, 153, 182, 216, 256)]
    assert pyramid.step((256, 256)) == STEP == 0.8408964152537145


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (STEP**4, (128, 10.878661, 158.000000, 227.015625, 127.500000)),
        (STEP**3, (153, 7.220107, 49.887440, 234.456254, 127.502699)),
        (STEP**2, (182, 4.921018, 214.869250, 232.485007, 127.502868)),
        (STEP, (216, 2.044425, 138.371463, 237.552512, 127.501217)),
        (1 / STEP, (305, -0.708534, 15.322936, 238.471954, 127.500310)),
    ],
)
def test_resampling_gives_the_published_numbers(levels, scale, expected):
    made = pyramid.resample(levels, scale)
    assert made.shape == (expected[0], expected[0])
    found = made[0, 0], made[10, 20], made[-1, -1], made.mean()
    assert found == pytest.approx(expected[1:], abs=1e-6)  # as many digits as are printed


def by_words(line, scale):
    """One line resampled tap by tap, as the method is told."""
    n, width = len(line), 4 / min(scale, 1)
    made = []
    for place in range(1, math.ceil(n * scale) + 1):
        centre = place / scale + 0.5 * (1 - 1 / scale)
        first, total, mass = math.floor(centre - width / 2), 0.0, 0.0
        for tap in range(math.ceil(width) + 2):
            at = first + tap - 1
            t = abs(min(scale, 1) * (centre - at - 1))
            weight = 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
            if at < 0 or t >= 2:
                continue
            mirrored = at if at < n else 2 * n - 1 - at
            total, mass = total + weight * line[mirrored], mass + weight
        made.append(total / mass)
    return made


@given(st.lists(st.floats(0, 255), min_size=12, max_size=20), st.floats(0.4, 2.5).filter(lambda s: s != 1))
def test_resampling_equals_the_documented_operator(line, scale):
    length = len(line) * scale
    assume(abs(length - round(length)) > 1e-6)  # otherwise the size is a matter of rounding
    made = pyramid.resample(np.array([line]), scale)
    np.testing.assert_allclose(made[0], by_words(line, scale), atol=1e-10, rtol=0)


def test_the_order_of_axes_does_not_matter(levels):
    turned = pyramid.resample(levels[:40, :60].T, 0.7).T
    np.testing.assert_allclose(pyramid.resample(levels[:40, :60], 0.7), turned, atol=1e-10)


@given(st.floats(0.3, 3), st.integers(0, 255))
def test_a_flat_image_stays_flat(scale, level):
    np.testing.assert_allclose(pyramid.resample(np.full((20, 24, 2), level), scale), level, atol=1e-10)


def test_every_scale_enlarged_fills_the_next(levels):
    image = np.repeat(levels[..., None], 3, axis=2) / 127.5 - 1
    shapes = pyramid.sizes((256, 200))
    enlarge = 1 / pyramid.step((256, 200))
    small = pyramid.resize(image[:, :200], shapes[0])
    for shape in shapes[1:]:
        small = pyramid.resize(small, shape, scale=enlarge)
        assert small.shape == (*shape, 3)
        assert small.dtype == np.float32
        assert abs(small).max() <= 1


def test_resizing_passes_through_eight_bits(levels):
    image = np.linspace(-1, 1, 1001).reshape(7, 11, 13)
    same = pyramid.resize(image, (7, 11))
    steps = (same.astype(float) + 1) * 127.5
    np.testing.assert_allclose(steps, np.floor((image + 1) * 127.5), atol=1e-4)
    assert pyramid.resize(np.full((2, 2, 1), -7.0), (2, 2)).tolist() == np.full((2, 2, 1), -1.0).tolist()


def test_masks_take_the_pixel_of_the_rounded_down_place():
    assert pyramid.nearest(np.arange(6)[None], (1, 4)).tolist() == [[0, 1, 3, 4]]
    assert pyramid.nearest(np.array([[1, 2]]), (2, 5)).tolist() == [[1, 1, 1, 2, 2]] * 2


@pytest.mark.parametrize("options", [{"smallest_px": 65}, {"scales": 0}, {"smallest_px": 0}])
def test_an_impossible_pyramid_is_an_error(options, raises_code):
    with raises_code("pyramid-size"):
        pyramid.sizes((64, 80), **{"smallest_px": 64} | options)


def test_a_result_smaller_than_its_shape_is_an_error(raises_code):
    with raises_code("scale-too-small"):
        pyramid.resize(np.zeros((4, 4, 3)), (9, 9), scale=2)
    with raises_code("scale-positive"):
        pyramid.resample(np.zeros((2, 2)), 0)
