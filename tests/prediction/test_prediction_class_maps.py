"""Maps: the release's table of GlaS windows, and evidence that does not depend on how the image is cut."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.nets import histonet
from hsn.prediction.class_maps import Seer, cover, stitched

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
def test_windows_of_glas_are_those_of_the_release(size, small, starts, starts_full, margins):
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
    maps, scores = stitched(seer(), windows, keep=[0, 2])
    assert maps.shape == (*size, 2)
    assert np.isfinite(maps).all()
    assert scores.shape[1] == 3


def seer(net=None, thresholds=(0, 0, 0), cam_norm="per_class"):
    net = net or histonet.m4(3, width=0.1, input_px=None, seed=1)
    return Seer(net, features="activation_4", logits="dense_1", thresholds=thresholds, mean=128, std=50,
                cam_norm=cam_norm)  # fmt: skip


def test_a_class_that_does_not_pass_has_an_empty_map(ihc):
    looked = seer(thresholds=(0, 1.1, 1.1))
    maps, scores = looked.look(ihc[None, :32, :32])
    assert (maps[..., 1:] == 0).all()
    assert (maps.max(axis=(1, 2)) <= scores + 1e-6).all()
    forced, _ = looked.look(ihc[None, :32, :32], always=[1])
    assert forced[..., 1].max() == pytest.approx(scores[0, 1], rel=1e-5) or forced[..., 1].max() == 0


def test_a_head_without_closed_form_is_explained_by_its_gradient(ihc):
    net = histonet.m5(3, width=0.1, input_px=32, seed=1)
    maps, _ = Seer(net, features="activation_7", logits="dense_1", thresholds=(0, 0, 0), mean=128, std=50,
                   cam_norm="per_image").look(ihc[None, :32, :32])  # fmt: skip
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


def test_evidence_of_a_pointwise_net_does_not_depend_on_the_windows(ihc):
    look = Seer(
        brightness(), features=None, logits=None, thresholds=(0, 0), mean=128, std=50, cam_norm="per_class"
    )
    maps = [stitched(look, cover(ihc, window_px=px, scale=1), keep=[0, 1])[0] for px in (64, 100, 512)]
    for one in maps[1:]:
        np.testing.assert_allclose(one, maps[0], atol=1e-5)
    assert maps[0].std() > 0.1
