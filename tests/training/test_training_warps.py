"""Warps: image, labels, weights and points move together; each transform is tested alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.training.augment import Warp, draw_warp

EVERYTHING = {
    "zoom": (0.7, 1.4),
    "flips": (True, True),
    "rotation_deg": 180,
    "shear_deg": 15,
    "affine_jitter": 0.3,
    "elastic_px": 6.0,
    "elastic_spacing_px": 9.0,
    "noise_elastic_px": (0, 40),
}


def still(side, matrix=((1, 0), (0, 1)), centre=None):
    middle = (side - 1) / 2
    return Warp(centre or (middle, middle), np.array(matrix, float), np.zeros((2, side, side)))


@given(st.integers(0, 2**32 - 1))
def test_image_labels_and_weight_move_together(seed):
    warp = draw_warp(np.random.default_rng(seed), (40, 50), 24, **EVERYTHING)
    labels = np.zeros((40, 50), np.int32)
    labels[:, 20:] = 7
    image = np.repeat((labels * 30)[..., None], 3, axis=2).astype(np.uint8)
    known = warp.weight(np.ones((40, 50))) == 1
    # Where the blend of four pixels is pure, the nearest of them says the same.
    pure = known & np.isin(warp.image(image)[..., 0], (0, 210))
    np.testing.assert_array_equal(warp.labels(labels)[pure] * 30, warp.image(image)[..., 0][pure])
    assert pure.sum() > 0.5 * known.sum()


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (((-1, 0), (0, 1)), lambda a: a[::-1]),
        (((1, 0), (0, -1)), lambda a: a[:, ::-1]),
        (((0, -1), (1, 0)), lambda a: np.rot90(a, -1)),
        (((0, 1), (-1, 0)), np.rot90),
    ],
)
def test_flips_and_quarter_turns_are_exact(matrix, expected):
    array = np.arange(25).reshape(5, 5)
    np.testing.assert_array_equal(still(5, matrix).labels(array), expected(array))


def test_zoom_enlarges_tissue(rng):
    array = np.zeros((41, 41), int)
    array[15:26, 15:26] = 1
    larger = draw_warp(rng, array.shape, 41, zoom=(2, 2)).labels(array)
    assert larger.sum() == pytest.approx(4 * array.sum(), rel=0.1)


def test_outside_of_the_image_weights_are_0_and_pixels_are_mirrored():
    warp = still(5, centre=(0.0, 2.0))
    assert warp.weight(np.full((5, 5), 3.0))[:, 2].tolist() == [0, 0, 3, 3, 3]
    assert warp.labels(np.full((5, 5), 4))[:, 2].tolist() == [0, 0, 4, 4, 4]
    image = np.repeat(np.arange(5, dtype=np.uint8)[:, None, None], 5, axis=1).repeat(3, axis=2)
    assert warp.image(image)[:, 2, 0].tolist() == [1, 0, 0, 1, 2]


def test_a_small_image_gives_a_crop_too(rng):
    warp = draw_warp(rng, (10, 50), 24)
    known = warp.weight(np.ones((10, 50)))
    assert known.shape == (24, 24)
    assert known.sum() == 240


def test_crops_reach_every_corner(rng):
    seen = sum(draw_warp(rng, (6, 7), 4).labels(np.arange(42).reshape(6, 7)).min() == 0 for _ in range(100))
    assert 3 < seen < 25  # one of twelve places


def test_many_objects_keep_their_numbers(rng):
    labels = np.arange(300 * 300).reshape(300, 300)
    np.testing.assert_array_equal(draw_warp(rng, (300, 300), 300).labels(labels), labels)


def test_the_spline_equals_the_released_one(rng):
    # Coefficients of 15 px give about 7 px: a cubic B-spline averages neighbours (0.479 of the variance an axis).
    bends = [
        draw_warp(rng, (250, 250), 250, elastic_px=15, elastic_spacing_px=250 / 6).displacement
        for _ in range(20)
    ]
    assert np.sqrt(np.mean(np.square(bends))) == pytest.approx(15 * 0.479, rel=0.1)
    assert np.abs(np.diff(bends[0], axis=1)).max() < 1.5  # smooth: no jump from pixel to pixel


def test_ripples_are_smoothed_noise(rng):
    bend = draw_warp(rng, (64, 64), 64, noise_elastic_px=(40, 40), noise_elastic_sigma_px=(5, 5)).displacement
    expected = 40 * np.sqrt(1 / 3) / (2 * np.sqrt(np.pi) * 5)  # of a Gaussian over even noise
    assert bend[:, 10:-10, 10:-10].std() == pytest.approx(expected, rel=0.35)


def test_a_seed_repeats_the_draw():
    one, two = (draw_warp(np.random.default_rng(3), (60, 60), 32, **EVERYTHING) for _ in range(2))
    np.testing.assert_array_equal(one.displacement, two.displacement)
    np.testing.assert_array_equal(one.matrix, two.matrix)
    assert one.center == two.center


@pytest.mark.parametrize("elastic_px", [0.0, 2.0])
def test_points_move_with_the_image(rng, elastic_px):
    spots = np.zeros((80, 80), np.uint8)
    points = np.array([[30, 30], [30, 50], [50, 40], [45, 55]])
    for k, (row, column) in enumerate(points, 1):
        spots[row - 1 : row + 2, column - 1 : column + 2] = k
    warp = draw_warp(rng, spots.shape, 80, zoom=(0.8, 1.25), flips=(True, True), rotation_deg=180, affine_jitter=0.2,
                     elastic_px=elastic_px)  # fmt: skip
    moved = warp.labels(spots)
    there = warp.points(points)
    for k in range(1, 5):
        np.testing.assert_allclose(there[k - 1], np.argwhere(moved == k).mean(axis=0), atol=0.5)
