"""Mask R-CNN on nuclei: train the lean preset on Kumar's 12 training images, and score it on the 4 validation images.

    python benchmarks/maskrcnn.py train --out out/nuclei-maskrcnn --epochs 4 --steps 150
    python benchmarks/maskrcnn.py score --out out/nuclei-maskrcnn

Images are taken at half their resolution (0.5 um/px); scores are at their own, per image and as means with 95 %
bootstrap intervals over images. `score` tries thresholds, so it says how well this net can do on images that chose
its threshold. Test images are not touched. A run that was killed goes on when it is started again. `HSN_DATA` names
the folder that holds `multiorgan`.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import keras

from hsn.datasets import multiorgan
from hsn.images.read import resample
from hsn.labels.colors import resize_labels
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, match
from hsn.metrics.table import overlaps
from hsn.nets import maskrcnn
from hsn.training.objects import Learning, fit

DATA = Path(os.environ.get("HSN_DATA", Path(__file__).parents[2] / "shared" / "data")) / "multiorgan"
SCALE = 2  # image pixels a pixel of the net is wide
LEAST_UM2 = 4.0
THRESHOLDS = (0.5, 0.7, 0.9)
NET = "net.weights.h5"


def half(sample):
    """An image and its objects at the net's scale."""
    image = sample.image()
    shape = tuple(side // SCALE for side in image.shape[:2])
    return resample(image, shape), resize_labels(sample.instances(), shape)


def system(least_score=0.5):
    """The lean preset as it starts."""
    numbers = replace(maskrcnn.LEAN, least_score=least_score)
    return maskrcnn.MaskRCNN(maskrcnn.build(numbers, seed=0), numbers)


def train(out, epochs, steps):
    """Train; the weights of the best epoch are written."""
    learned, held_out = (multiorgan.images(DATA, split) for split in ("train", "validation"))
    images, objects = zip(*((s.image(), s.instances()) for s in (*learned, *held_out)), strict=True)
    learning = Learning(
        epochs=epochs, steps=steps, batch=2, crop_px=256, rate=2e-3, lowest_rate=2e-5, stain_gain=0.3,
        stain_offset=0.05, bend_px=4.0, monitor="aji", validation=tuple(range(len(learned), len(images))),
    )  # fmt: skip
    learner = system()
    begun = time.process_time()
    history = fit(learner, images, objects, learning, out=out)
    learner.net.save_weights(out / NET)
    print(json.dumps({"cpu_seconds": round(time.process_time() - begun), "epochs": history.epochs}))


def scores(truth, found):
    """AJI, Dice, F1 and PQ of one image."""
    table = overlaps(truth, found)
    matching = match(table)
    both = ((truth > 0) & (found > 0)).sum()
    dice = 2 * both / max((truth > 0).sum() + (found > 0).sum(), 1)
    return {"AJI": aji(table).score, "Dice": dice, "F1": matching.f1, "PQ": matching.pq}


def score(out):
    """Print a line a threshold, and the rows of the last one."""
    samples = multiorgan.images(DATA, "validation")
    for least_score in THRESHOLDS:
        judge = system(least_score)
        judge.net.load_weights(out / NET)
        rows = []
        for sample in samples:
            image, _ = half(sample)
            report = judge.segment(image, least_px=LEAST_UM2 / (SCALE * multiorgan.MPP) ** 2)
            truth = sample.instances()
            found = resize_labels(report.scored.instances, truth.shape)
            rows.append({"image": sample.name, "found": len(report.scored.scores), "truth": int(truth.max()),
                         "said": list(report.said), **scores(truth, found)})  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
        means = {k: interval([row[k] for row in rows]) for k in ("AJI", "Dice", "F1", "PQ")}
        told = "; ".join(f"{k} {v.value:.3f} [{v.low:.3f}, {v.high:.3f}]" for k, v in means.items())
        print(f"score from {least_score}, {len(rows)} images: {told}", flush=True)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "score"))
    parser.add_argument("--out", type=Path, default=Path("out") / "nuclei-maskrcnn")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    if given.what == "train":
        train(given.out, given.epochs, given.steps)
    else:
        score(given.out)


if __name__ == "__main__":
    main()
