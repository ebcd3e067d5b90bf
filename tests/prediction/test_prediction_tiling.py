"""Tiled maps: no seam where the margin reaches far enough, starts on what the net halves, views averaged."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsn.prediction.tiling import maps_of, normalize, rescale
from hsn.training.augment import SYMMETRIES


@pytest.fixture(scope="module")
def blur():
    """A net that looks 2 px around."""
    net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Conv2D(2, 5, padding="same")])
    net.set_weights([np.random.default_rng(0).normal(size=(5, 5, 3, 2)), np.zeros(2)])
    return net


@settings(max_examples=15)
@given(st.integers(3, 40), st.integers(3, 40), st.integers(1, 20), st.sampled_from([1, 2, 4]))
def test_tiles_cannot_be_told_where_the_margin_reaches(blur, height, width, tile_px, step_px):
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    options = {"mean": 100, "std": 50, "step_px": step_px}
    whole = maps_of(blur, image, tile_px=64, margin_px=8, **options)
    assert whole.shape == (height, width, 2)
    np.testing.assert_allclose(
        maps_of(blur, image, tile_px=tile_px, margin_px=2, **options), whole, atol=1e-4
    )


def test_a_margin_that_is_too_narrow_leaves_seams(blur, rng):
    image = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    whole, seamed = (maps_of(blur, image, mean=100, std=50, tile_px=10, margin_px=m) for m in (2, 0))
    assert np.abs(whole - seamed).max() > 0.1


def test_windows_are_multiples_of_what_the_net_halves():
    seen = []

    class Witness(keras.layers.Layer):
        def call(self, x):
            seen.append(x.shape[1:3])
            return x

    net = keras.Sequential([keras.layers.Input((None, None, 3)), Witness()])
    maps_of(net, np.zeros((50, 70, 3), np.uint8), mean=0, std=1, tile_px=40, margin_px=20, step_px=32)
    assert seen[1:]
    assert all(side % 32 == 0 for window in seen[1:] for side in window)


def test_the_mean_over_views_turns_with_the_image(blur, rng):
    image = rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)
    options = {"mean": 100, "std": 50, "tile_px": 64, "margin_px": 4, "views": SYMMETRIES}
    straight, turned = maps_of(blur, image, **options), maps_of(blur, np.rot90(image), **options)
    np.testing.assert_allclose(np.rot90(straight), turned, atol=1e-4)


def test_scales_that_are_alike_need_no_resampling(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert rescale(image, 0.5, 0.502) is image
    assert rescale(image, 0.25, 0.5).shape == (10, 15, 3)
    assert rescale(image, 0.5, 0.25).shape == (40, 60, 3)


def test_each_channel_has_its_own_mean():
    np.testing.assert_array_equal(normalize([[[10, 20, 30]]], (10, 10, 10), (1, 2, 4)), [[[0, 5, 5]]])
