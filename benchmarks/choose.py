"""Measure how well selected patches represent all patches, against random ones; and the time of the clustering.

    HSN_DATA=FOLDER python benchmarks/choose.py coverage [--n 6] [--work out/choose]
    python benchmarks/choose.py time [--patches 30000] [--length 2048]

The data are MultiOrgan's 12 training images, 1000 x 1000 px, in patches of 256 px with a stride of 128 px. Coverage is
the mean distance of all patches to the nearest selected patch, in three feature spaces and in the number of nuclei.
`truth`: number, size and size range of the outlined nuclei, stain inside and outside. `texture`: texture features.
`net`: the deepest maps of `glas-tags`, which was trained on another organ. Features are divided by their standard
deviations.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from hsn import models
from hsn.annotations.mask_files import read as read_instances
from hsn.data import data_folder, multiorgan
from hsn.data.embedding import embed
from hsn.images.read import read
from hsn.prediction.patch_encoders import net_encoder
from hsn.selection.choice import choose
from hsn.selection.encoder import texture_encoder

SIDE_PX, STRIDE_PX, TRIES, SEEDS = 256, 128, 1000, 5


def main():
    """Run the measurement named on the command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=("coverage", "time"))
    options.add_argument("--n", type=int, default=6)
    options.add_argument("--work", type=Path, default=Path("out/choose"))
    options.add_argument("--patches", type=int, default=30_000)
    options.add_argument("--length", type=int, default=2048)
    args = options.parse_args()
    if args.what == "coverage":
        coverage(args.n, args.work)
    else:
        clustering(args.patches, args.length, args.n)


def coverage(n, work):
    """Print a table of the coverage of random and selected patches."""
    samples = multiorgan.list_samples(data_folder("multiorgan"), "train")
    encoders = {
        "texture": texture_encoder(),
        "glas-tags": shipped_encoder("glas-tags"),
    }
    paths = [sample.image_path for sample in samples]
    embedded = {
        name: embed(paths, encoder, work / name, side_px=SIDE_PX, stride_px=STRIDE_PX)
        for name, encoder in encoders.items()
    }
    texture = embedded["texture"]
    truth = np.concatenate(
        [nuclei_features(s, texture.corners[texture.images == k]) for k, s in enumerate(samples)]
    )
    spaces = {"truth": truth, "texture": texture.features, "net": embedded["glas-tags"].features}
    spaces = {name: standardize(values) for name, values in spaces.items()}
    organs = np.unique([sample.group for sample in samples], return_inverse=True)[1][texture.images]

    def measure(chosen):
        distances = [mean_distance(values, chosen) for values in spaces.values()]
        counts = mean_distance(truth[:, :1], chosen)
        return [*distances, counts, len(set(organs[chosen])), len(set(texture.images[chosen]))]

    print(f"{len(truth)} patches, {n} chosen; mean and deviation over seeds")
    print("| choice | " + " | ".join(spaces) + " | nuclei | organs of 4 | images of 12 |")
    rng = np.random.default_rng(0)
    tries = [measure(rng.choice(len(truth), n, replace=False)) for _ in range(TRIES)]
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
        line(f"{name}, {SEEDS} seeds", [measure(choice.patches) for choice in choices])
        beaten = [np.mean([t[0] > measure(c.patches)[0] for t in tries]) for c in choices]
        print(f"  nearer in `truth` than {np.mean(beaten):.0%} of the random choices")


def shipped_encoder(name):
    model = models.load(name)
    mean, std = model.card.normalization.mean, model.card.normalization.std
    return net_encoder(model.net, mean=mean, std=std, scale=multiorgan.MPP / model.card.mpp, name=name)


def nuclei_features(sample, corners):
    """Compute features of the outlined nuclei of each patch: (n, 9)."""
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


def standardize(values):
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1) / np.sqrt(values.shape[1])


def mean_distance(values, chosen):
    """Compute the mean distance of all patches to the nearest chosen patch."""
    distances = np.linalg.norm(values[:, None] - values[None, chosen], axis=2)  # (N, n)
    return distances.min(axis=1).mean()


def line(name, results):
    means, spreads = np.mean(results, axis=0), np.std(results, axis=0)
    cells = (f"{mean:.3g} +- {spread:.2g}" for mean, spread in zip(means, spreads, strict=True))
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def clustering(patches, length, n):
    """Time the selection on random features."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(4 * n, length)).astype(np.float32)
    features = kinds[rng.integers(len(kinds), size=patches)]
    features += rng.normal(size=features.shape).astype(np.float32)
    quarters = np.repeat(features[:, None], 4, axis=1)
    quarters += 0.5 * rng.standard_normal(quarters.shape, np.float32)
    wall, processor = time.perf_counter(), time.process_time()
    choose(features, quarters, n)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{patches} patches of {length} numbers: {wall:.1f} s, CPU time {processor:.1f} s")


if __name__ == "__main__":
    main()
