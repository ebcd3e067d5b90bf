"""Scaling: equal scales need no resampling, each channel has its own mean."""

import numpy as np

from hsn.images.scaling import normalize, rescale


def test_equal_scales_need_no_resampling(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert rescale(image, 0.5, 0.502) is image
    assert rescale(image, 0.25, 0.5).shape == (10, 15, 3)
    assert rescale(image, 0.5, 0.25).shape == (40, 60, 3)


def test_each_channel_has_its_own_mean():
    np.testing.assert_array_equal(normalize([[[10, 20, 30]]], (10, 10, 10), (1, 2, 4)), [[[0, 5, 5]]])
