"""Fitting from masks in lower precision and on JAX: run for real, on drawn tissue, and opened again on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hsn.data import synthetic
from hsn.nets import unet
from hsn.supervision import masks, segment

ROOT = Path(__file__).parents[2]
MPP = 0.31  # um per pixel: nuclei of 8 to 30 px

RUN_ON_JAX = """
import sys
from pathlib import Path
import keras, numpy as np
sys.path.insert(0, sys.argv[2])
from test_supervision_masks_backends import learned
assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])
history, _, seen = learned(folder / "net")
np.savez(folder / "seen.npz", evidence=seen.evidence, instances=seen.instances, loss=history.column("loss"))
"""


def learned(out, **learning):
    """Train a tiny net for a few steps; its history, the net, and what it then says of an image."""
    drawn = [synthetic.draw_tissue(seed, (64, 64), mpp=MPP) for seed in range(3)]
    small = masks.preset("cpu")
    numbers = small.train.replace(
        epochs=2, steps=6, batch_size=2, crop_px=32, learning_rate=0.005, validation=(0,), **learning
    )
    config = small.replace(mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, train=numbers)
    net = unet.build(3, depth=2, width=6, batch_norm=True, seed=0)
    history = masks.fit(net, [d.image for d in drawn], [d.instances for d in drawn], config, out=out)
    return history, net, segment(drawn[0].image, out)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_lower_precision_learns_from_masks(tmp_path, precision):
    history, net, seen = learned(tmp_path / "net", precision=precision)
    losses = history.column("loss")
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0]
    assert {w.dtype for w in net.weights} == {"float32"}
    assert {layer.compute_dtype for layer in net.layers} == {"float32"}
    assert np.isfinite(seen.evidence).all()


@pytest.mark.slow
def test_jax_learns_from_masks_and_tensorflow_opens_what_it_wrote(tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [
        sys.executable,
        "-c",
        RUN_ON_JAX,
        tmp_path,
        ROOT / "tests" / "supervision",
    ]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = np.load(tmp_path / "seen.npz")
    assert np.isfinite(told["loss"]).all()
    assert told["loss"][1] < told["loss"][0]
    again = segment(synthetic.draw_tissue(0, (64, 64), mpp=MPP).image, tmp_path / "net")
    np.testing.assert_allclose(again.evidence, told["evidence"], atol=1e-4)
