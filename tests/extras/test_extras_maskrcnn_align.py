"""Alignment: TensorFlow's own operation is the oracle, here and on other backends."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from hsn.extras.maskrcnn import boxes as b
from hsn.extras.maskrcnn.align import Align, crop_and_resize, sample

CROP = """
import sys, numpy as np
from keras import backend, ops
from hsn.extras.maskrcnn.align import crop_and_resize, sample
assert backend.backend() == sys.argv[3]
with np.load(sys.argv[1]) as given:
    features, boxes = (ops.convert_to_tensor(given[k]) for k in ("features", "boxes"))
crops = crop_and_resize(features, boxes, 7)
np.savez(sys.argv[2], crops=ops.convert_to_numpy(crops))
"""


def made(rng, height=16, width=20):
    features = rng.normal(size=(2, height, width, 5)).astype("float32")
    start = rng.uniform(-0.3, 1.0, (2, 30, 2))
    boxes = np.concatenate([start, start + rng.uniform(-0.1, 0.6, (2, 30, 2))], axis=2).astype("float32")
    boxes[0, 0], boxes[0, 1] = [0, 0, 1, 1], [0, 0, 0, 0]  # the whole map, and padding
    return features, boxes


def of_tensorflow(features, boxes, size):
    import tensorflow as tf

    count, regions = boxes.shape[:2]
    crops = tf.image.crop_and_resize(
        features, boxes.reshape(-1, 4), np.repeat(np.arange(count), regions), (size, size)
    )
    return crops.numpy().reshape(count, regions, size, size, -1)


@pytest.mark.parametrize("size", [2, 7, 14])
def test_it_equals_tensorflows_operation(size, rng):
    features, boxes = made(rng)
    crops = ops.convert_to_numpy(crop_and_resize(features, boxes, size))
    wanted = of_tensorflow(features, boxes, size)
    assert np.abs(crops - wanted).max() < 1e-5
    assert (wanted == 0).mean() > 0.1  # some samples do lie outside


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_equal_crops(backend, rng, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    features, boxes = made(rng)
    np.savez(tmp_path / "given.npz", features=features, boxes=boxes)
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", CROP, tmp_path / "given.npz", tmp_path / "made.npz", backend],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    with np.load(tmp_path / "made.npz") as there:
        assert np.abs(there["crops"] - of_tensorflow(features, boxes, 7)).max() < 1e-5


def test_each_region_is_sampled_on_its_own_level(rng):
    fine, boxes = made(rng)
    coarse = rng.normal(size=(2, 8, 10, 5)).astype("float32")
    places = rng.integers(0, 2, boxes.shape[:2]).astype("int32")
    crops = ops.convert_to_numpy(sample([fine, coarse], boxes, places, 7))
    wanted = np.where(
        places[..., None, None, None] == 0, of_tensorflow(fine, boxes, 7), of_tensorflow(coarse, boxes, 7)
    )
    assert np.abs(crops - wanted).max() < 1e-5


def test_pixels_of_a_box_are_its_samples():
    """As many samples as a box has pixels are these pixels, its last one included."""
    image = np.arange(48, dtype="float32").reshape(1, 6, 8, 1)
    boxes = b.normalize(np.array([[1, 2, 4, 5]]), (6, 8))[None]
    crops = ops.convert_to_numpy(crop_and_resize(image, boxes, 3))[0, 0, ..., 0]
    np.testing.assert_allclose(crops, image[0, 1:4, 2:5, 0], atol=1e-4)


def test_gradients_go_to_the_map_and_not_to_the_boxes(rng):
    import tensorflow as tf

    features, boxes = (tf.Variable(x) for x in made(rng))
    with tf.GradientTape() as tape:
        total = ops.sum(crop_and_resize(features, boxes, 7))
    to_map, to_boxes = tape.gradient(total, [features, boxes])
    assert to_boxes is None
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(
            tf.image.crop_and_resize(
                features, tf.reshape(boxes, (-1, 4)), np.repeat([0, 1], boxes.shape[1]), (7, 7)
            )
        )
    np.testing.assert_allclose(tf.convert_to_tensor(to_map), tape.gradient(total, features), atol=1e-3)


def test_the_layer_gives_crops_in_the_order_of_images_then_regions(rng):
    features, boxes = made(rng)
    places = np.zeros(boxes.shape[:2], "int32")
    crops = ops.convert_to_numpy(Align(3)([boxes, places, features]))
    assert np.abs(crops.reshape(2, 30, 3, 3, 5) - of_tensorflow(features, boxes, 3)).max() < 1e-5
    inputs = [keras.layers.Input(s, dtype=d) for s, d in (((None, 4), "float32"), ((None,), "int32"))]
    symbolic = Align(3)([*inputs, keras.layers.Input((None, None, 5))])
    assert symbolic.shape == (None, 3, 3, 5)
