"""Measure how well chosen patches stand for all, against random ones; and how long clustering takes.

    HSN_DATA=FOLDER python benchmarks/choose.py coverage [--n 6] [--work out/choose]
    python benchmarks/choose.py time [--patches 30000] [--length 2048]

Coverage is of MultiOrgan's 12 training images, 1000 x 1000 px, in patches of 256 px every 128 px. It is the mean, over
all patches, of the distance to the nearest chosen one: in a space that the choice did not see, and in the number of
nuclei. Spaces: `truth`, of the outlined nuclei (number, size and its spread, stain of nuclei and of what is between);
`texture`, of stain and texture; `net`, of the deepest maps of `glas-tags`, which learned from other images of another
organ. Each number of a space counts in units of its spread.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from hsn import models
from hsn.annotations.mask_files import read as read_instances
from hsn.data import data_folder, multiorgan
from hsn.images.read import read
from hsn.prediction.embedding import embed, texture_encoder
from hsn.prediction.patch_encoders import net_encoder
from hsn.selection.choice import choose

SIDE_PX, STRIDE_PX, TRIES, SEEDS = 256, 128, 1000, 5


def main():
    """Run one of the two."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=("coverage", "time"))
    options.add_argument("--n", type=int, default=6)
    options.add_argument("--work", type=Path, default=Path("out/choose"))
    options.add_argument("--patches", type=int, default=30_000)
    options.add_argument("--length", type=int, default=2048)
    told = options.parse_args()
    if told.what == "coverage":
        coverage(told.n, told.work)
    else:
        clustering(told.patches, told.length, told.n)


def coverage(n, work):
    """Print a table: how the choice is made, against what it reaches."""
    samples = multiorgan.list_samples(data_folder("multiorgan"), "train")
    encoders = {
        "texture": texture_encoder(),
        "glas-tags": of_shipped("glas-tags"),
    }
    paths = [sample.image_path for sample in samples]
    embedded = {
        name: embed(paths, encoder, work / name, side_px=SIDE_PX, stride_px=STRIDE_PX)
        for name, encoder in encoders.items()
    }
    one = embedded["texture"]
    truth = np.concatenate([of_truth(s, one.corners[one.images == k]) for k, s in enumerate(samples)])
    spaces = {"truth": truth, "texture": one.features, "net": embedded["glas-tags"].features}
    spaces = {name: standardised(values) for name, values in spaces.items()}
    organs = np.unique([sample.group for sample in samples], return_inverse=True)[1][one.images]

    def reached(chosen):
        near = [nearest(values, chosen) for values in spaces.values()]
        counts = nearest(truth[:, :1], chosen)
        return [*near, counts, len(set(organs[chosen])), len(set(one.images[chosen]))]

    print(f"{len(truth)} patches, {n} chosen; mean and deviation over seeds")
    print("| choice | " + " | ".join(spaces) + " | nuclei | organs of 4 | images of 12 |")
    rng = np.random.default_rng(0)
    tries = [reached(rng.choice(len(truth), n, replace=False)) for _ in range(TRIES)]
    line(f"random, {TRIES} seeds", tries)
    for name, encoder in encoders.items():
        choices = [
            choose(
                embedded[name].features,
                embedded[name].quarters,
                n,
                standardize=encoder.standardize,
                seed=seed,
            )
            for seed in range(SEEDS)
        ]
        line(f"{name}, {SEEDS} seeds", [reached(choice.patches) for choice in choices])
        beaten = [np.mean([t[0] > reached(c.patches)[0] for t in tries]) for c in choices]
        print(f"  nearer in `truth` than {np.mean(beaten):.0%} of the random choices")


def of_shipped(name):
    model = models.load(name)
    numbers = model.card.normalization
    return net_encoder(
        model.net, mean=numbers.mean, std=numbers.std, scale=multiorgan.MPP / model.card.mpp, name=name
    )


def of_truth(sample, corners):
    """What an annotator would find in each patch: (n, 9)."""
    image = read(sample.image_path)
    instances = read_instances(sample.instances_path, image.shape[:2])
    density = -np.log10(np.maximum(image, 1) / np.float32(255))
    rows = []
    pairs = zip(windows(instances, corners), windows(density, corners), strict=True)
    for objects, light in pairs:
        areas = np.bincount(objects.ravel())[1:]
        sizes = np.log(areas[areas > 0]) if (areas > 0).any() else np.zeros(1)
        inside = objects > 0
        stains = [light[mask].mean(axis=0) if mask.any() else np.zeros(3) for mask in (inside, ~inside)]
        low, middle, high = np.quantile(sizes, (0.25, 0.5, 0.75))
        rows.append([np.count_nonzero(areas), middle, high - low, *stains[0], *stains[1]])
    return np.array(rows)


def windows(array, corners):
    return [array[r : r + SIDE_PX, c : c + SIDE_PX] for r, c in corners]


def standardised(values):
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1) / np.sqrt(values.shape[1])


def nearest(values, chosen):
    """Mean distance of all to the nearest chosen one."""
    away = np.linalg.norm(values[:, None] - values[None, chosen], axis=2)  # (N, n)
    return away.min(axis=1).mean()


def line(name, results):
    means, spreads = np.mean(results, axis=0), np.std(results, axis=0)
    cells = (f"{mean:.3g} +- {spread:.2g}" for mean, spread in zip(means, spreads, strict=True))
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def clustering(patches, length, n):
    """Time both rounds of clustering and the score on made features."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(4 * n, length)).astype(np.float32)
    features = kinds[rng.integers(len(kinds), size=patches)]
    features += rng.normal(size=features.shape).astype(np.float32)
    quarters = np.repeat(features[:, None], 4, axis=1)
    quarters += 0.5 * rng.standard_normal(quarters.shape, np.float32)
    wall, processor = time.perf_counter(), time.process_time()
    choose(features, quarters, n)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{patches} patches of {length} numbers: {wall:.1f} s, of processors {processor:.1f} s")


if __name__ == "__main__":
    main()
