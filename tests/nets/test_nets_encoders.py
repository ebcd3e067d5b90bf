"""Encoders: one contract; EfficientNet-Lite0's sizes, weights and feature maps; torchvision's ResNets."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from hsn.errors import InputError
from hsn.nets import encoders, resnet_state, resunet
from hsn.nets.cost import multiply_adds
from hsn.nets.encoders import efficientnet_lite

sys.path.insert(0, str(Path(__file__).parent))
import lite0_torch

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4  # of feature maps with values up to 30, over backends

ON_BACKEND = """
import sys, keras, numpy as np
sys.path.insert(0, sys.argv[2])
import lite0_torch
from hsn.nets import encoders
assert keras.backend.backend() == sys.argv[1]
model = encoders.build()
found = {}
for sides in lite0_torch.SIDES[:1]:
    maps = model.predict(lite0_torch.image_of(sides), verbose=0)  # compiled: faster than step by step
    found |= {f"{sides[0]}/{k}": lite0_torch.samples(m) for k, m in enumerate(maps)}
np.savez(sys.argv[3], **found)
"""

EACH = list(encoders.NAMES)
EACH_KIND = [*EACH[:2], "mobilenet-v2"]
LARGE = ("resnet34", "resnet50")


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def lite0():
    return encoders.build()


@pytest.fixture(scope="module")
def golden():
    with np.load(lite0_torch.GOLDEN) as archive:
        return dict(archive)


def maps_of(model, image):
    return [ops.convert_to_numpy(m) for m in model(np.asarray(image, "float32"), training=False)]


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize("name", [slow(name) if name in LARGE else name for name in EACH])
def test_an_encoder_gives_the_maps_that_it_declares(name):
    for stride in (8, 32):
        info = encoders.describe(name, stride=stride)
        model = encoders.build(name, weights=None, stride=stride, seed=1)
        assert len(info.out_channels) == len(info.strides) == len(model.outputs)
        assert info.strides[-1] == info.size_divisor == stride
        found = maps_of(model, np.ones((1, 64, 96, 3)))
        for map_, channels, step in zip(found, info.out_channels, info.strides, strict=True):
            assert map_.shape == (1, 64 // step, 96 // step, channels)
        assert model.input_shape == (None, None, None, 3)
        assert info.license
        assert info.source


@pytest.mark.parametrize("name", EACH_KIND)
def test_random_weights_repeat_with_a_seed(name):
    one, two, other = (
        encoders.build(name, weights=None, stride=8, seed=s).get_weights() for s in (1, 1, 500)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", EACH_KIND)
def test_every_layer_of_an_encoder_is_a_stock_layer(name):
    model = encoders.build(name, weights=None)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2"])
def test_named_arrays_move_from_one_net_to_another(name):
    source = encoders.build(name, weights=None, seed=1)
    arrays = encoders.arrays_of(source)
    target = encoders.build(name, weights=arrays, stride=8, seed=2)  # a part of it
    for layer in (layer for layer in target.layers if layer.weights):
        same = zip(layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in same)


def test_pixels_are_normalized_by_the_published_mean_and_deviation():
    info = encoders.describe("efficientnet-lite0")
    white = np.full((1, 1, 3), 255, np.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert info.preprocess(white)[0, 0].tolist() == pytest.approx(expected, rel=1e-6)
    assert info.preprocess(white).dtype == np.float32


@pytest.mark.parametrize(
    ("stride", "parameters", "statistics", "megamacs"),
    [(16, 700_768, 16_160, 243), (32, 2_958_848, 39_456, 364)],
)
def test_lite0_has_the_published_size(stride, parameters, statistics, megamacs):
    model = encoders.build(weights=None, stride=stride)
    assert trainable(model) == parameters
    assert model.count_params() - parameters == statistics
    assert round(multiply_adds(model, (224, 224)) / 1e6) == megamacs


def test_lite0s_maps_are_those_of_torch(lite0, golden):
    for sides in lite0_torch.SIDES:
        for k, found in enumerate(maps_of(lite0, lite0_torch.image_of(sides))):
            expected = golden[f"{sides[0]}/{k}"]
            assert np.abs(lite0_torch.samples(found) - expected).max() < TOLERANCE
            assert expected[-1] > 0.3  # not a constant map


@pytest.mark.parametrize("sides", [(192, 192), (256, 256), (97, 130)])
def test_lite0_equals_the_net_in_torch_at_every_pixel(lite0, sides):
    pytest.importorskip("torch", reason="torch is not installed; its golden values are checked instead")
    image = lite0_torch.image_of(sides)
    maps = lite0_torch.torch_maps(encoders.arrays_of(lite0), image)
    for found, expected in zip(maps_of(lite0, image), maps, strict=True):
        assert np.abs(found - expected).max() < TOLERANCE


def test_lite0_classifies_three_pictures(lite0, golden):
    """The golden logits come from float32 weights; the shipped ones are half precision."""
    spec = importlib.util.spec_from_file_location("convert", ROOT / "benchmarks" / "convert_encoder.py")
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    best = {"chelsea": 285, "coffee": 967, "rocket": 657}
    for name, image in convert.pictures().items():
        features = maps_of(lite0, efficientnet_lite.INFO.preprocess(image)[None])[-1][0]
        logits = convert.logits_of(features.astype(np.float64), golden)
        assert np.abs(logits - golden[name]).max() < 0.05
        assert lite0_torch.CLASSES[int(logits.argmax())] == best[name]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_lite0s_maps_are_the_same_on_every_backend(backend, golden, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if keras.backend.backend() == backend:
        pytest.skip(f"the other tests run on {backend}")
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", ON_BACKEND, backend, Path(__file__).parent, tmp_path / "found.npz"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    with np.load(tmp_path / "found.npz") as found:
        assert len(found.files) == 5
        for name in found.files:
            assert np.abs(found[name] - golden[name]).max() < TOLERANCE, name


def test_a_net_to_a_finer_stride_gives_the_same_maps(lite0):
    image = lite0_torch.image_of((64, 64))
    shallow = maps_of(encoders.build(stride=8), image)
    for a, b in zip(shallow, maps_of(lite0, image)[:3], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_odd_sides_are_rounded_up_at_every_stride(lite0):
    found = maps_of(lite0, np.zeros((1, 61, 77, 3)))
    assert [m.shape[1:3] for m in found] == [(-(-61 // s), -(-77 // s)) for s in (2, 4, 8, 16, 32)]


def test_an_encoder_survives_its_file(lite0, tmp_path):
    lite0.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    image = lite0_torch.image_of((64, 96))
    for a, b in zip(maps_of(lite0, image), maps_of(again, image), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_card_is_that_of_the_file():
    folder = efficientnet_lite.FILE.parent
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    info = encoders.describe("efficientnet-lite0")
    data = efficientnet_lite.FILE.read_bytes()
    assert card["sha256"] == efficientnet_lite.SHA256 == hashlib.sha256(data).hexdigest()
    assert card["bytes"] == len(data)
    assert (card["name"], card["license"]) == (info.name, info.license)
    assert card["preprocessing"] == {"mean": list(info.mean), "std": list(info.std), "scale": 255}
    assert card["out_channels"] == list(info.out_channels)
    assert card["strides"] == list(info.strides)
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_a_damaged_or_missing_file_is_an_error(tmp_path):
    path = tmp_path / "weights.npz"
    with pytest.raises(InputError) as caught:
        efficientnet_lite.read_weights(path)
    assert caught.value.code == "weights-missing"
    data = bytearray(efficientnet_lite.FILE.read_bytes())
    data[1_000_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        efficientnet_lite.read_weights(path)
    assert caught.value.code == "weights-damaged"


def test_arrays_that_do_not_fit_change_nothing():
    model = encoders.build(weights=None, stride=4, seed=1)
    before = model.get_weights()
    arrays = encoders.arrays_of(encoders.build(weights=None, stride=4, seed=2))
    last = [name for name in arrays if name.endswith("moving_variance")][-1]
    for wrong in ({}, arrays | {last: np.ones(3)}):
        with pytest.raises(InputError) as caught:
            encoders.load_arrays(model, wrong)
        assert caught.value.code == "weights-mismatch"
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "vgg"}, "encoder-name"),
        ({"stride": 3}, "encoder-stride"),
        ({"stride": 64}, "encoder-stride"),
        ({"weights": "noisy-student"}, "weights-type"),
        ({"weights": 7}, "weights-type"),
        ({"name": "resnet18", "weights": "imagenet"}, "weights-type"),
        ({"name": "mobilenet-v2", "weights": "other"}, "weights-type"),
    ],
)
def test_errors_have_codes(options, code):
    with pytest.raises(InputError) as caught:
        encoders.build(**options)
    assert caught.value.code == code


@pytest.mark.parametrize("depth", [18, slow(50)])
def test_torchvisions_weights_reach_every_map_of_a_resnet(depth, rng):
    net = resunet.build(1, depth=depth, seed=3)
    parts = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for layer in resunet.extract_encoder(net).layers:
        for variable in layer.weights:
            array = ops.convert_to_numpy(variable)
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else rng.uniform(0.8, 1.2, array.shape)
            state[f"{resunet.torch_name(layer)}.{parts[variable.name]}"] = array.astype("float32")
    resnet_state.load_encoder(net, state)
    image = rng.normal(size=(1, 64, 64, 3)).astype("float32")
    deepest = ops.convert_to_numpy(resunet.extract_encoder(net)(image, training=False))
    found = maps_of(encoders.build(f"resnet{depth}", weights=state), image)
    np.testing.assert_allclose(found[-1], deepest, rtol=1e-4, atol=1e-4 * np.abs(deepest).max())


def test_mobilenets_download_fails_with_a_hint(monkeypatch):
    def offline(**options):
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(InputError) as caught:
        encoders.build("mobilenet-v2")
    assert caught.value.code == "weights-missing"
