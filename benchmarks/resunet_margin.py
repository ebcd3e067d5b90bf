"""Measure the required halo of the tiles of a ResUNet; its receptive field is 1081 px.

    HSN_DATA=FOLDER python benchmarks/resunet_margin.py [--net FOLDER] [--steps 300] [--width 16]

Without a trained folder a narrow ResUNet learns nuclei from MultiOrgan's 12 training images first. Then the 4
validation images are run whole (one tile, mirrored by half the receptive field) and in tiles of 256 px with narrower
halos; the table says how much the probabilities differ.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from hsn import models
from hsn.annotations.mask_files import read as read_instances
from hsn.config import Normalization, Tiling
from hsn.data import data_folder, multiorgan
from hsn.images.read import read
from hsn.images.scaling import normalize
from hsn.nets import fullnet, reach, resunet
from hsn.prediction.tiling import predict_tiled

MEAN, STD = (tuple(255 * x for x in numbers) for numbers in (fullnet.NUCLEI_MEAN, fullnet.NUCLEI_STD))
MARGINS_PX = (0, 32, 64, 96, 128, 160, 192, 256)
TILE_PX, CROP_PX, BATCH = 256, 224, 4


def main():
    """Train or load a net, then print one line per margin."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--net", type=Path)
    options.add_argument("--steps", type=int, default=300)
    options.add_argument("--width", type=int, default=16)
    told = options.parse_args()
    net = models.load(told.net).net if told.net else learned(told.steps, told.width)
    widest = reach.halo_px(net)
    images = [
        read(sample.image_path) for sample in multiorgan.list_samples(data_folder("multiorgan"), "validation")
    ]
    whole = [tiled(net, image, max(image.shape), widest) for image in images]
    print(f"half the receptive field: {widest} px")
    print("| halo px | mean change | 99.9 % of pixels below | largest | cross 0.5 |")
    for margin in MARGINS_PX:
        parts = zip(images, whole, strict=True)
        pairs = [(tiled(net, image, TILE_PX, margin)[..., -1], maps[..., -1]) for image, maps in parts]
        change = np.concatenate([abs(a - b).ravel() for a, b in pairs])
        crossed = np.mean([((a > 0.5) != (b > 0.5)).mean() for a, b in pairs])
        low, high = change.mean(), np.quantile(change, 0.999)
        print(f"| {margin} | {low:.5f} | {high:.4f} | {change.max():.3f} | {crossed:.3%} |", flush=True)


def tiled(net, image, tile_px, halo_px):
    return predict_tiled(net, image, Normalization(MEAN, STD), Tiling(tile_px, halo_px))


def learned(steps, width):
    """Train a ResUNet on `steps` batches of random crops and their nuclei."""
    samples = multiorgan.list_samples(data_folder("multiorgan"), "train")
    pixels = [normalize(read(s.image_path), MEAN, STD) for s in samples]
    truth = [read_instances(s.instances_path, x.shape[:2]) > 0 for s, x in zip(samples, pixels, strict=True)]
    rng = np.random.default_rng(0)
    net = resunet.build(1, width=width, seed=0)
    net.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    for step in range(steps):
        crops = [crop(rng, pixels[k], truth[k]) for k in rng.integers(len(pixels), size=BATCH)]
        loss = net.train_on_batch(*(np.stack(x) for x in zip(*crops, strict=True)))
        if step % 50 == 0:
            print(f"step {step}: loss {float(loss):.3f}", flush=True)
    return net


def crop(rng, pixels, truth):
    row, column = (rng.integers(side - CROP_PX + 1) for side in truth.shape)
    window = np.s_[row : row + CROP_PX, column : column + CROP_PX]
    return pixels[window], truth[window][..., None].astype("float32")


if __name__ == "__main__":
    main()
