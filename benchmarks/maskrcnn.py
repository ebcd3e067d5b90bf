"""Mask R-CNN on nuclei: train the lean preset on Kumar's 12 training images, score it, and ship it.

    python benchmarks/maskrcnn.py train --out out/nuclei-maskrcnn --epochs 10 --steps 500
    python benchmarks/maskrcnn.py score --out out/nuclei-maskrcnn   # 4 validation images, then the 8 + 6 test images
    python benchmarks/maskrcnn.py ship --out out/nuclei-maskrcnn    # pretrained/nuclei-maskrcnn
    python benchmarks/maskrcnn.py score                             # the shipped net

The 4 validation images select the epoch and the smallest score of a detection; test images are only scored. Scores go
to standard output as means over images with 95 % bootstrap intervals, and to `--json FILE` per image. A killed run
resumes when it is started again. `HSN_DATA` names the folder that holds `multiorgan`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import keras
import masks as bench
import numpy as np

from hsn import models
from hsn.data import data_folder, multiorgan
from hsn.extras import maskrcnn
from hsn.instances import renumber
from hsn.metrics.objects import aji
from hsn.metrics.table import overlaps
from hsn.supervision import method_of, open_model, selected
from hsn.supervision.selected.dense import system_of
from hsn.supervision.selected.training import BEST
from hsn.training.object_training import fit

NAME = "nuclei-maskrcnn"
THRESHOLDS = np.arange(0.1, 0.91, 0.05).round(2).tolist()


def make_config(epochs, steps):
    """Return the config: the lean preset on crops of 64 um, with the stain jitter of the other nuclei nets."""
    train = dict(
        epochs=epochs,
        steps=steps,
        batch_size=2,
        crop_px=256,
        learning_rate=0.002,
        min_learning_rate=2e-05,
        augmentation={"stain_gain": 0.3, "stain_offset": 0.05, "elastic_px": 4.0},
        monitor="aji",
    )
    return selected.Config(
        classes=("background", "nucleus"),
        mpp=multiorgan.MPP,
        image_mpp=multiorgan.MPP,
        normalization={"mean": maskrcnn.LEAN.mean, "std": maskrcnn.LEAN.std},
        detector=maskrcnn.LEAN,
        synthetic=0,
        rounds=0,
        train=train,
    )


def fresh_system(config):
    """Build a Mask R-CNN with initial weights."""
    return system_of(maskrcnn.build(config.detector, seed=0, name="maskrcnn"), config)


def train(config, out):
    """Train on 12 images; 4 others select the epoch."""
    learned, held_out = (
        multiorgan.list_samples(data_folder("multiorgan"), split) for split in ("train", "validation")
    )
    images, objects = zip(*((s.image(), s.instances()) for s in (*learned, *held_out)), strict=True)
    validation = tuple(range(len(learned), len(images)))
    start = time.process_time()
    history = fit(fresh_system(config), images, objects, config.train.replace(validation=validation), out=out)
    print(
        json.dumps({"cpu_seconds": round(time.process_time() - start), "kept": history.epochs[history.best]})
    )


# --- Validation, and shipping -------------------------------------------------------------------------------------


def confident(scored, min_score):
    """Return the objects with at least a score.

    Detections never suppress or overwrite detections with a higher score. Removing low scores afterwards therefore
    equals a detection with this threshold.
    """
    kept = np.append(False, scored.scores >= min_score)
    return renumber(np.where(kept[scored.instances], scored.instances, 0))[0]


def choose(system):
    """Return the threshold with the best mean AJI on validation images, and this AJI."""
    results = [
        (s.instances(), system.segment(s.image()).scored)
        for s in multiorgan.list_samples(data_folder("multiorgan"), "validation")
    ]
    values = [
        np.mean([aji(overlaps(truth, confident(scored, t))).score for truth, scored in results])
        for t in THRESHOLDS
    ]
    best = int(np.argmax(values))
    tried = dict(zip(THRESHOLDS, np.round(values, 4).tolist(), strict=True))
    print(json.dumps({"chosen": THRESHOLDS[best], "validation AJI": tried}), flush=True)
    return THRESHOLDS[best], float(values[best])


def load_chosen(config, out):
    """Load the trained system of a folder; return it, its config with the best threshold, and its validation AJI."""
    system = fresh_system(config.replace(detector=replace(config.detector, least_score=THRESHOLDS[0])))
    system.training_model.load_weights(out / BEST)
    least_score, value = choose(system)
    return system, config.replace(detector=replace(config.detector, least_score=least_score)), value


def ship(config, out):
    """Write `pretrained/nuclei-maskrcnn`."""
    system, config, value = load_chosen(config, out)
    rows = json.loads((out / "history.json").read_text())
    kept = rows["epochs"][rows["best"]]
    config = config.replace(train={"epochs": len(rows["epochs"])})
    card = models.Card(
        name=NAME, method="selected", classes=config.classes, mpp=config.mpp, taxonomies=("nuclei",),
        thresholds=(config.detector.least_score,) * 2, source="benchmarks/maskrcnn.py train",
        normalization=models.Normalization(mean=maskrcnn.LEAN.mean, std=maskrcnn.LEAN.std),
        license=bench.TERMS["nuclei"],
        data=bench.TRAINING_DATA["nuclei"].replace("post-processing", "score threshold"),
        scores={"validation_pq": kept["validation_pq"], "validation AJI": value},
        notes=f"Mask R-CNN, lean preset; epoch {kept['epoch']} of {len(rows['epochs'])} was kept, by validation aji",
    )  # fmt: skip
    models.save(bench.PRETRAINED / NAME, system.net, card, config.to_dict(), half=True)


# --- Scoring ------------------------------------------------------------------------------------------------------


def score(config, out):
    """Score a trained folder, or the shipped net; yield (name, split, per-image rows, summary)."""
    if out:
        system, config, _ = load_chosen(config, out)
    else:
        model = open_model(NAME)
        config = method_of(model)[1]
        system = system_of(model.net, config)
    everything = []
    for split in ("validation", "testA", "testB"):
        rows = [
            score_image(system, sample, config.detector.least_score)
            for sample in multiorgan.list_samples(data_folder("multiorgan"), split)
        ]
        everything += rows if split != "validation" else []
        yield NAME, split, rows, summarize(rows)
    yield NAME, "all", everything, summarize(everything)


def score_image(system, sample, min_score):
    """Score one image; also return the seconds of CPU time and the warnings."""
    start = time.process_time()
    report = system.segment(sample.image())
    seconds = time.process_time() - start
    scores = bench.nuclei_scores(sample.instances(), confident(report.scored, min_score))
    return {"image": sample.name, **scores, "seconds": seconds, "warnings": list(report.warnings)}


def summarize(rows):
    """Compute means over images with their intervals."""
    return bench.summarize(rows, ("AJI", "Dice", "F1", "SQ", "PQ", "seconds"))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "score", "ship"))
    parser.add_argument("--out", type=Path, help="trained folder; default for score: the shipped net")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    config, out = make_config(args.epochs, args.steps), args.out or Path("out") / NAME
    if args.what == "score":
        bench.print_scores(score(config, args.out), args.json)
    elif args.what == "train":
        train(config, out)
    else:
        ship(config, out)


if __name__ == "__main__":
    main()
