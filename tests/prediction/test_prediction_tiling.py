"""Tiled prediction: no seam with a halo as wide as the receptive field, any reader, symmetries averaged, progress."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsn.config import Normalization, Tiling
from hsn.images.symmetries import SYMMETRIES
from hsn.images.tiles import ArrayReader
from hsn.nets import unet
from hsn.prediction import compiled, tiling
from hsn.prediction.tiling import predict_tiled
from hsn.progress import Cancelled

NORMALIZATION = Normalization(mean=(100,) * 3, std=(50,) * 3)


def predict(net, image, *, progress=None, **tiling):
    return predict_tiled(net, image, NORMALIZATION, Tiling(**tiling), progress=progress)


@pytest.fixture(scope="module")
def blur():
    """A net with a receptive field of 5 px."""
    net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Conv2D(2, 5, padding="same")])
    net.set_weights([np.random.default_rng(0).normal(size=(5, 5, 3, 2)), np.zeros(2)])
    return net


@pytest.fixture(scope="module")
def pooling():
    """A net with a receptive field of 53 px that needs sides that divide by 4, and shows what is far away."""
    net, rng = unet.build(2, depth=2, width=4, batch_norm=True, seed=1), np.random.default_rng(1)
    net.set_weights([w + rng.normal(0, 0.2, w.shape) if w.ndim == 4 else w for w in net.get_weights()])
    return net


def noise(*shape):
    return np.random.default_rng(shape).integers(0, 256, (*shape, 3), dtype=np.uint8)


@settings(max_examples=15)
@given(st.integers(3, 40), st.integers(3, 40), st.integers(1, 20))
def test_the_result_does_not_depend_on_the_tiles(blur, height, width, tile_px):
    image = noise(height, width)
    whole = predict(blur, image, tile_px=64, halo_px=8)
    assert whole.shape == (height, width, 2)
    np.testing.assert_allclose(predict(blur, image, tile_px=tile_px), whole, atol=1e-4)


@pytest.mark.parametrize("shape", [(70, 90), (33, 61)])
def test_the_result_does_not_depend_on_the_tiles_of_a_net_that_pools(pooling, shape):
    whole = predict(pooling, noise(*shape))
    for tile_px in (18, 50):
        tiled = predict(pooling, noise(*shape), tile_px=tile_px)
        np.testing.assert_allclose(tiled, whole, atol=2e-5)
    assert np.abs(predict(pooling, noise(*shape), tile_px=18, halo_px=4) - whole).max() > 1e-3


def test_batches_do_not_change_the_result(pooling, monkeypatch):
    one_by_one = predict(pooling, noise(70, 90), tile_px=24)
    monkeypatch.setattr(tiling, "BATCH_PX", 8 * (24 + 56) ** 2)
    np.testing.assert_allclose(predict(pooling, noise(70, 90), tile_px=24), one_by_one, atol=1e-5)


def test_a_compiled_net_has_the_same_predictions(pooling, monkeypatch):
    x = noise(64, 64)[None].astype(np.float32) / 100
    monkeypatch.setattr(compiled, "COMPILE_FROM_PX", 0)
    expected = keras.ops.convert_to_numpy(pooling(x, training=False))
    np.testing.assert_allclose(compiled.predict_batch(pooling, x), expected, atol=1e-5)


def test_a_compiled_net_follows_its_weights(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_FROM_PX", 0)
    net = unet.build(2, depth=1, width=2, seed=0)
    x = noise(8, 8)[None].astype(np.float32) / 100
    compiled.predict_batch(net, x)
    net.set_weights([w + 0.1 for w in net.get_weights()])
    expected = keras.ops.convert_to_numpy(net(x, training=False))
    np.testing.assert_allclose(compiled.predict_batch(net, x), expected, atol=1e-5)


def test_a_last_batch_may_be_smaller(pooling):
    x = noise(16, 16)[None].astype(np.float32)
    assert compiled.predict_batch(pooling, x, batch_size=3).shape == (1, 16, 16, 2)


def test_a_halo_that_is_too_narrow_leaves_seams(blur):
    whole, seamed = (predict(blur, noise(30, 30), tile_px=10, halo_px=h) for h in (2, 0))
    assert np.abs(whole - seamed).max() > 0.1


def test_windows_are_multiples_of_the_size_divisor_and_no_larger_than_needed(monkeypatch):
    shapes = []

    class Witness(keras.layers.Layer):
        def call(self, x):
            shapes.append(x.shape[1:3])
            return x

    net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.MaxPooling2D(32), Witness(),
                            keras.layers.UpSampling2D(32)])  # fmt: skip
    shapes.clear()
    assert predict(net, noise(50, 70), tile_px=512, halo_px=20).shape == (50, 70, 3)
    assert shapes == [(4, 5)]  # 64 x 96 px and twice 32


def test_the_mean_over_symmetries_turns_with_the_image(pooling):
    image = noise(13, 18)
    straight = predict(pooling, image, tile_px=8, tta=8)
    for symmetry in SYMMETRIES:
        moved = predict(pooling, symmetry.move(image), tile_px=8, tta=8)
        np.testing.assert_allclose(symmetry.move(straight), moved, atol=1e-4)


def test_the_mean_over_symmetries_is_that_of_moved_images(pooling):
    image = noise(37, 50)
    moved = [s.back(predict(pooling, s.move(image), tile_px=24, halo_px=8)) for s in SYMMETRIES]
    averaged = predict(pooling, image, tile_px=24, halo_px=8, tta=8)
    np.testing.assert_allclose(averaged, np.mean(moved, axis=0), atol=1e-5)


class Strict(ArrayReader):
    """A reader that records the largest box and allows none that reaches beyond the image."""

    largest = 0

    def read(self, row, col, height, width):
        assert row >= 0
        assert col >= 0
        assert row + height <= self.shape[0]
        assert col + width <= self.shape[1]
        self.largest = max(self.largest, height * width)
        return super().read(row, col, height, width)


@pytest.mark.parametrize("tta", [1, 8])
def test_a_reader_is_read_box_by_box_inside_the_image(pooling, tta):
    image, options = noise(70, 50), {"tile_px": 20, "halo_px": 12, "tta": tta}
    reader = Strict(image)
    np.testing.assert_array_equal(predict(pooling, reader, **options), predict(pooling, image, **options))
    assert reader.largest <= (20 + 2 * 12) ** 2


def test_progress_counts_tiles_and_can_cancel(blur):
    events = []
    predict(blur, noise(20, 30), tile_px=10, progress=events.append)
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("predicting", 6, 6)

    def cancel(event):
        raise Cancelled

    with pytest.raises(Cancelled):
        predict(blur, noise(20, 30), progress=cancel)


def test_a_small_image_is_not_enlarged_to_a_tile(blur, monkeypatch):
    shapes = []

    def witness(net, x, **options):
        shapes.append(x.shape)
        return np.zeros((*x.shape[:3], 2))

    monkeypatch.setattr(tiling, "predict_batch", witness)
    predict(blur, noise(20, 30))
    assert shapes == [(1, 24, 34, 3)]
