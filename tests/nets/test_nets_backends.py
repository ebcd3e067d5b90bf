"""A `.keras` file gives equal predictions on TensorFlow, JAX and torch."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from hsn.models.folders import PRETRAINED
from hsn.nets import histonet, resunet, unet

PREDICT = """
import sys, keras, numpy as np
assert keras.backend.backend() == sys.argv[3]
with np.load(sys.argv[1]) as given:
    results = {k: keras.ops.convert_to_numpy(keras.models.load_model(k)(given[k], training=False)) for k in given}
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """Nets of each kind, an input for each, and the predictions of this backend."""
    folder = tmp_path_factory.mktemp("nets")
    rng = np.random.default_rng(0)
    made = {
        "x1_7": histonet.x1_7(51, width=0.25, input_px=64, seed=0),
        "m5": histonet.m5(7, width=0.1, input_px=64, seed=0),
        "unet": unet.build(2, depth=3, width=8, batch_norm=True, seed=0),
        "resunet": resunet.build(2, depth=34, width=16, seed=0),
        "resunet_odd": resunet.build(1, depth=50, width=4, sides_px=(41, 77), seed=0),
    }
    paths = []
    for name, net in made.items():
        net.save(folder / f"{name}.keras")
        paths.append(folder / f"{name}.keras")
    paths += sorted(PRETRAINED.glob("*/net.keras"))
    sides = {folder / f"{name}.keras": net.input_shape[1:3] for name, net in made.items()}
    inputs = {}
    for path in paths:
        shape = [side or 64 for side in sides.get(path, (64, 64))]
        inputs[str(path)] = rng.normal(size=(2, *shape, 3)).astype("float32")
    outputs = {
        k: keras.ops.convert_to_numpy(keras.models.load_model(k, compile=False)(x, training=False))
        for k, x in inputs.items()
    }
    np.savez(folder / "inputs.npz", **inputs)
    return folder, outputs


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backends_predict_the_same_from_one_file(backend, predictions):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, here = predictions
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", PREDICT, folder / "inputs.npz", folder / f"{backend}.npz", backend],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    with np.load(folder / f"{backend}.npz") as there:
        assert len(here) >= 5
        for name, output in here.items():
            assert np.abs(there[name] - output).max() < 1e-4, name
            assert output.std() > 0, name
