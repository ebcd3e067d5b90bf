"""Class maps: the GlaS windows of the release, and maps that do not depend on the windows."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.config import Normalization
from hsn.nets import histonet
from hsn.prediction.class_maps import Predictor, cover, predict_windows

NORMALIZATION = Normalization(mean=(128,) * 3, std=(50,) * 3)
GLAS_SCALE = 1.2142857 / 0.620

# image, at the net's scale, windows there, windows on the image, mirrored margins
RELEASE = [
    ((522, 775), (267, 396), ([0, 43], [0, 172]), ([0, 83], [0, 336]), (0, 0)),
    ((453, 589), (231, 301), ([0, 7], [0, 77]), ([0, 14], [0, 150]), (0, 0)),
    ((442, 581), (226, 297), ([0, 2], [0, 73]), ([0, 3], [0, 142]), (0, 0)),
    ((433, 574), (224, 293), ([0], [0, 69]), ([0], [0, 135]), (3, 0)),
    ((433, 578), (224, 295), ([0], [0, 71]), ([0], [0, 139]), (3, 0)),
    ((430, 567), (225, 290), ([0, 1], [0, 66]), ([0, 1], [0, 128]), (5, 0)),
]


@pytest.mark.parametrize(("size", "small", "starts", "starts_full", "margins"), RELEASE)
def test_windows_of_glas_equal_the_windows_of_the_release(size, small, starts, starts_full, margins):
    windows = cover(np.zeros((*size, 3), np.uint8), window_px=224, scale=GLAS_SCALE)
    assert windows.small.shape[:2] == small
    assert windows.starts == starts
    assert windows.starts_full == starts_full
    assert windows.margins == margins
    assert windows.window_full_px == 439


@pytest.mark.parametrize("size", [(16, 16), (17, 400), (300, 31), (223, 225)])
@pytest.mark.parametrize("scale", [0.5, 1, 1.7])
def test_an_image_of_any_size_is_covered(size, scale, rng):
    image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    windows = cover(image, window_px=32, scale=scale)
    assert min(windows.small.shape[:2]) >= 32
    ((maps, scores),) = predict_windows(predictor(), [windows], keep=[0, 2])
    assert maps.shape == (*size, 2)
    assert np.isfinite(maps).all()
    assert scores.shape[1] == 3


def predictor(net=None, thresholds=(0, 0, 0), cam_norm="per_class"):
    net = net or histonet.m4(3, width=0.1, input_px=None, seed=1)
    return Predictor(
        net, NORMALIZATION, layers=("activation_4", "dense_1"), thresholds=thresholds, cam_norm=cam_norm
    )


def test_a_class_below_its_threshold_has_an_empty_map(ihc):
    looked = predictor(thresholds=(0, 1.1, 1.1))
    maps, scores = looked.predict(ihc[None, :32, :32])
    assert (maps[..., 1:] == 0).all()
    assert (maps.max(axis=(1, 2)) <= scores + 1e-6).all()
    forced, _ = looked.predict(ihc[None, :32, :32], always=[1])
    assert forced[..., 1].max() == pytest.approx(scores[0, 1], rel=1e-5) or forced[..., 1].max() == 0


def test_a_head_without_closed_form_is_explained_by_its_gradient(ihc):
    net = histonet.m5(3, width=0.1, input_px=32, seed=1)
    layers = ("activation_7", "dense_1")
    explained = Predictor(net, NORMALIZATION, layers=layers, thresholds=(0, 0, 0), cam_norm="per_image")
    maps, _ = explained.predict(ihc[None, :32, :32])
    assert maps.shape == (1, 32, 32, 3)
    assert maps.max() > 0


def brightness():
    """A "segmentation net" whose two classes are how bright and how dark a pixel is."""
    x = layers.Input((None, None, 3))
    bright = layers.Conv2D(2, 1, name="bright")
    y = layers.Activation("sigmoid")(bright(x))
    net = keras.Model(x, y)
    bright.set_weights([np.array([[[[1, -1]] * 3]]), np.zeros(2)])
    return net


def test_maps_of_a_pointwise_net_do_not_depend_on_the_windows(ihc):
    pointwise = Predictor(brightness(), NORMALIZATION, layers=None, thresholds=(0, 0), cam_norm="per_class")
    covers = [cover(ihc, window_px=px, scale=1) for px in (64, 100, 512)]
    maps = [next(predict_windows(pointwise, [windows], keep=[0, 1]))[0] for windows in covers]
    for one in maps[1:]:
        np.testing.assert_allclose(one, maps[0], atol=1e-5)
    assert maps[0].std() > 0.1


def test_batches_go_over_the_borders_of_images(ihc, monkeypatch):
    images = [ihc[:size, :size] for size in (40, 64, 100, 33)]
    covers = [cover(image, window_px=32, scale=1) for image in images]
    alone = [next(predict_windows(predictor(), [windows], keep=[1])) for windows in covers]
    monkeypatch.setattr("hsn.prediction.class_maps.BATCH", 5)
    together = list(predict_windows(predictor(), iter(covers), keep=[1]))
    assert [maps.shape[:2] for maps, _ in together] == [image.shape[:2] for image in images]
    for (maps, scores), (expected, expected_scores) in zip(together, alone, strict=True):
        np.testing.assert_allclose(maps, expected, atol=1e-5)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
