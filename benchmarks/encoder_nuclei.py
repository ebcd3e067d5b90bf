"""Nuclei of Kumar's images with the pretrained encoder: train from masks, choose on validation, score the tests once.

    python benchmarks/encoder_nuclei.py train --out out/encoder-nuclei   # continues after an interruption
    python benchmarks/encoder_nuclei.py test --out out/encoder-nuclei   # writes benchmarks/results/encoder_nuclei.json

Split, targets, weights and loss are those of `benchmarks/masks.py nuclei`: background, inside and contour, weighted
cross-entropy and the variance inside nuclei. The net works at the images' own scale, 0.25 um/px; its encoder ends at
stride 16 and its decoder at stride 2. The moving average of the last step's weights is kept.

The four validation images choose the thresholds of objects and whether symmetries are averaged, by mean AJI; nothing is
chosen by epoch. Times are processor seconds with one thread.
"""

import argparse
import json
import os
from itertools import product
from pathlib import Path

import keras
import numpy as np
from encoder_training import Schedule, Training, predict, single_thread

from hsn.data import multiorgan
from hsn.losses.objects import compute_weights, encode_targets, object_loss
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, match
from hsn.metrics.table import overlaps
from hsn.nets import encoder_unet
from hsn.objects.labeling import objects
from hsn.training.augment import draw, draw_warp

DATA = Path(os.environ.get("HSN_DATA", Path(__file__).parents[2] / "shared" / "data")) / "multiorgan"
RESULTS = Path(__file__).parent / "results" / "encoder_nuclei.json"

MPP = multiorgan.MPP  # um/px of images and net
CROP_PX, BATCH = 256, 4
CONTOUR_PX = 2
BORDER = {"sigma_px": 5.0, "height": 5.0}
PLAN = Schedule(steps=1600, rates=(1e-3, 2e-3), warmup=100, decay=1e-4, floor=0.01, ema=0.995)
GROW_UM, MIN_AREA_UM2 = 0.75, 2.0
CHOICES = [{"inside": i, "waist_um": h} for i, h in product((0.2, 0.3, 0.4, 0.5), (0.0, 0.15, 0.3))]


def train(out, seed):
    """Train one net and choose on validation; write `summary.json`."""
    data = [(s.image(), s.instances()) for s in multiorgan.images(DATA, "train")]
    data = [(image, ids.astype(np.int32), compute_weights(ids, **BORDER)) for image, ids in data]
    net = encoder_unet.build(3, dropout=0.0, seed=seed, **encoder_unet.SIZES["small"])

    def loss(prediction, target, weight):
        return object_loss(target, prediction, weight, variance=1.0)

    def batch(step):
        rng = np.random.default_rng([seed, step])
        rows = [_crop(rng, *data[i]) for i in rng.permutation(len(data))[:BATCH]]
        return tuple(np.stack(part) for part in zip(*rows, strict=True))

    training = Training(net, net.output, loss, out, PLAN)
    training.run(batch)
    samples = multiorgan.images(DATA, "validation")
    found = []
    for tta in (False, True):
        maps = [_maps(net, s, tta) for s in samples]
        for choice in CHOICES:
            rows = [_scores(s.instances(), _objects(m, choice)) for m, s in zip(maps, samples, strict=True)]
            found.append({**choice, "tta": tta, **_mean(rows)})
            print(json.dumps(found[-1]), flush=True)
    best = max(found, key=lambda row: row["AJI"])
    summary = {"seed": seed, "core_s": round(training.seconds), "validation": found, "choice": best}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _crop(rng, image, ids, weight):
    warp = draw_warp(rng, ids.shape, CROP_PX, zoom=(0.8, 1.25), flips=(True, True), turn_deg=180.0, skew=0.1)
    color = draw(
        rng, flips=False, quarter_turns=False, gain=0.15, offset=15.0, stain_gain=0.3, stain_offset=0.05
    )
    x = encoder_unet.preprocess(color.paint(warp.image(image)))
    return x, encode_targets(warp.labels(ids), 3, contour_px=CONTOUR_PX), warp.weight(weight)


def _maps(net, sample, tta):
    image = sample.image()
    return predict(net, image, image.shape[:2], tta=tta)


def _objects(maps, choice):
    return objects(maps, inside=choice["inside"], separate="marker_watershed", grow_px=GROW_UM / MPP,
                   waist_px=choice["waist_um"] / MPP, least_px=MIN_AREA_UM2 / MPP**2, fill=True)  # fmt: skip


def _scores(truth, found):
    table, both = overlaps(truth, found), ((truth > 0) & (found > 0)).sum()
    return {
        "AJI": aji(table).score,
        "PQ": match(table).pq,
        "Dice": 2 * both / ((truth > 0).sum() + (found > 0).sum()),
    }


def _mean(rows):
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def test(out):
    """Score the test images once, with what validation chose."""
    if RESULTS.exists():
        raise SystemExit(f"{RESULTS} exists: test images are scored once")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    net, choice = keras.models.load_model(out / "net.keras", compile=False), summary["choice"]
    result, everything = {"keras": keras.__version__, "threads": 1, **summary}, []
    for split in ("testA", "testB"):
        samples = multiorgan.images(DATA, split)
        rows = [_scores(s.instances(), _objects(_maps(net, s, choice["tta"]), choice)) for s in samples]
        result[split] = {
            "images": len(rows),
            **_mean(rows),
            "AJI of images": [round(float(r["AJI"]), 4) for r in rows],
        }
        everything += rows
    between = interval(np.array([row["AJI"] for row in everything]))
    result["both"] = {"images": len(everything), **_mean(everything)}
    result["both"]["AJI, 95 % over images"] = [round(float(between.low), 4), round(float(between.high), 4)]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: result[name] for name in ("testA", "testB", "both")}))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "test"))
    parser.add_argument("--out", type=Path, default=Path("out/encoder-nuclei"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    single_thread()
    if given.what == "train":
        train(given.out, given.seed)
    else:
        test(given.out)


if __name__ == "__main__":
    main()
