"""Training on masks in lower precision, on synthetic tissue."""

import numpy as np
import pytest

from hsn.data import synthetic
from hsn.nets import unet
from hsn.supervision import masks, segment

MPP = 0.31  # um per pixel: nuclei of 8 to 30 px


def learned(out, **learning):
    """Train a tiny net for a few steps; return its history, the net, and its prediction for an image."""
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
def test_the_loss_falls_with_lower_precision(tmp_path, precision):
    history, net, seen = learned(tmp_path / "net", precision=precision)
    losses = history.column("loss")
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0]
    assert {w.dtype for w in net.weights} == {"float32"}
    assert {layer.compute_dtype for layer in net.layers} == {"float32"}
    assert np.isfinite(seen.probabilities).all()
