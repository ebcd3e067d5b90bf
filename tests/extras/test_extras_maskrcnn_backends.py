"""Backends: on each the same net finds the same objects, and learns the same from the same crops."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from hsn.extras.maskrcnn import LEAN, MaskRCNN, build
from hsn.supervision.selected import preset
from hsn.training.object_training import fit

NUMBERS = replace(
    LEAN, blocks=(1, 1, 1, 1), width=8, pyramid=16, rpn=16, box=32, mask=8, mask_layers=1, tile_px=64, margin_px=8,
    least_score=0.5,
)  # fmt: skip
LEARNING = preset("cpu").train.replace(
    epochs=1, steps=2, batch_size=2, crop_px=64, validation=(1,), **{"augmentation.affine_jitter": 0.0}
)


def squares():
    """An image of 90 px with 16 dark squares of 8 to 14 px, and their numbers."""
    instances = np.zeros((90, 90), np.int32)
    for k in range(16):
        top, left, side = 4 + 22 * (k // 4), 5 + 21 * (k % 4), 8 + 2 * (k % 4)
        instances[top : top + side, left : left + side] = k + 1
    return np.where(instances[..., None] > 0, (90, 40, 120), (220, 180, 210)).astype(np.uint8), instances


def run(folder):
    """Find, learn for two steps, and find again, on the backend of this process."""
    backend = keras.backend.backend()
    system = MaskRCNN(keras.models.load_model(folder / "net.keras"), NUMBERS)
    image, objects = squares()
    before = system.segment(image).scored
    history = fit(system, [image] * 2, [objects] * 2, LEARNING, out=folder / backend)
    after = system.segment(image).scored
    np.savez(
        folder / f"{backend}.npz", instances=before.instances, scores=before.scores, after=after.instances,
        loss=history.epochs[0]["loss"],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_detect_and_train_the_same(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    net = build(NUMBERS, seed=0)
    # Heads that have learned nothing know no object: here some regions are one, and boxes differ.
    rng = np.random.default_rng(0)
    for name in ("class_logits", "mask_logits"):
        kernel, bias = net.get_layer(name).get_weights()
        net.get_layer(name).set_weights([rng.normal(0, 0.3, kernel.shape), bias])
    net.save(tmp_path / "net.keras")
    run(tmp_path)
    code = (
        "import sys, pathlib; from test_extras_maskrcnn_backends import run; run(pathlib.Path(sys.argv[1]))"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=True)
    with np.load(tmp_path / "tensorflow.npz") as one, np.load(tmp_path / f"{backend}.npz") as other:
        assert len(one["scores"]) > 10
        assert len(one["scores"]) == len(other["scores"])
        np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-4)
        assert (one["instances"] > 0).mean() > 0.05
        assert ((one["instances"] > 0) == (other["instances"] > 0)).mean() > 0.999
        assert float(other["loss"]) == pytest.approx(float(one["loss"]), rel=0.01)
        assert ((one["after"] > 0) == (other["after"] > 0)).mean() > 0.95
