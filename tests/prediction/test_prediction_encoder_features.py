"""Features of the encoder inside a net."""

import numpy as np
import pytest

from hsn.config import Normalization
from hsn.nets import encoder_unet
from hsn.prediction.encoder_features import encoder_features

GRAY = Normalization(mean=(128.0,) * 3, std=(50.0,) * 3)


@pytest.fixture(scope="module")
def net():
    return encoder_unet.build(1, weights=None, encoder_stride=16, decoder=(4, 4), seed=0)


def test_features_are_the_means_of_the_maps_that_the_decoder_joins(net, rng):
    image = rng.integers(0, 256, (64, 96, 3), np.uint8)
    features = encoder_features(net, GRAY)(image)
    encoder = encoder_unet.extract_encoder(net)
    coarsest = np.asarray(encoder((image[None] - np.float32(128)) / np.float32(50), training=False))
    np.testing.assert_allclose(features[:112], coarsest.mean(axis=(0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (33, 70), (32, 32)])
def test_images_of_any_size_have_features(net, shape):
    features = encoder_features(net, GRAY)(np.full((*shape, 3), 90, np.uint8))
    assert features.shape == (112 + 40 + 24,)
    assert np.isfinite(features).all()
