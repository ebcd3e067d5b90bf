"""Train the shipped net `glas-tags-cam` and a second stage from tags only, and score shipped nets on test A of GlaS.

    python benchmarks/glas_tags.py train --out out/glas-tags       # both stages; the first is written to pretrained/
    python benchmarks/glas_tags.py windows                         # the first stage on validation, by window
    python benchmarks/glas_tags.py score                           # the shipped nets on test A

Annotation: two tags per crop, gland and other tissue. Crops are 48 x 48 px at 1.24 um/px (60 um), with a stride of 32
px. A class is tagged if it covers at least a quarter of the crop. The training masks are used for these tags only. The
masks of the 18 validation images (patients 3, 5, 7, 14, 15 of the 85 training images) select epochs and the strength;
test images are only scored.

First stage: HistoNet M2 at a quarter of its width. Second stage: a U-Net trained on pseudo-masks of the 67 training
images. The shipped `glas-tags` comes from `benchmarks/encoder_tags.py`, which replaced this second stage.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsn import models, tags, taxonomies
from hsn.annotations.colors import resize_labels
from hsn.annotations.tag_files import tags_from_labels
from hsn.data import data_folder, glas
from hsn.images import tiles
from hsn.images.read import resample
from hsn.metrics.classes import class_scores, confusion_matrix
from hsn.metrics.intervals import interval
from hsn.nets import histonet, unet
from hsn.supervision import method_of, open_model

PRETRAINED = Path(__file__).parents[1] / "pretrained"

MPP = 2 * glas.MPP  # um/px of the nets: half the images' resolution
TILE_PX, CELL_PX, STRIDE_PX = 208, 48, 32  # 6 x 6 crops per tile
MIN_FRACTION = 0.25  # smallest fraction of a crop for a tag
WINDOW_PX = 96  # window of Grad-CAM; best of 48, 64, 80, 96, 112, 208 on validation
SEEDS = (0,)  # seeds of first-stage nets; more nets improve the pseudo-masks
STRENGTHS = ((1.0, 1.0), (1.0, 1.2), (1.0, 1.4), (1.0, 1.7))  # candidates for validation
TAXONOMY = replace(taxonomies.GLAS, other=None, forced=())  # the net has an output for both classes

LICENSE = "research only, like GlaS (MICCAI 2015 challenge)"
DATA_NOTE = (
    "tags (gland shown, other tissue shown; from a quarter of the area on) of crops of 48 x 48 px at 1.24 um/px, every"
    " 32 px, of 67 of the 85 GlaS training images; 18 others (patients 3, 5, 7, 14, 15) for the choice of"
    " epochs and class weight in pseudo-masks"
)


def samples(split):
    """Return images and labels of a split."""
    return [(s.image(), s.truth(TAXONOMY)[0]) for s in glas.list_samples(data_folder("glas"), split)]


def tagged_tiles(pairs, *, factor=1):
    """Make square tiles, uint8 (N, px, px, 3), and the tags of their crops, bool (N, R, R, 2).

    Tiles, crops and strides have `factor` times the sides in pixels, so that they show the same tissue.
    """
    tile_px, cell_px, stride_px = (factor * px for px in (TILE_PX, CELL_PX, STRIDE_PX))
    images, grids = [], []
    for image, labels in pairs:
        shape = tuple(round(factor * side * glas.MPP / MPP) for side in labels.shape)
        image, labels = resample(image, shape), resize_labels(labels, shape)
        rows, columns = (tiles.starts(side, tile_px) for side in shape)
        images.extend(tiles.cut(image, rows, columns, tile_px))
        places = range(0, tile_px - cell_px + 1, stride_px)
        for tile in tiles.cut(labels, rows, columns, tile_px):
            cells = tiles.cut(tile, places, places, cell_px)
            shown = [tags_from_labels(cell, 2, min_fraction=MIN_FRACTION) for cell in cells]
            grids.append(np.reshape(shown, (len(places), len(places), 2)))
    return np.stack(images), np.stack(grids)


def first_stage(out, seed, learned, held_out):
    """Train one classifier from tags, or resume it; return (net, config)."""
    images, grids = tagged_tiles(learned + held_out)
    count = len(tagged_tiles(held_out)[0])
    config = tags.Config(
        classes=TAXONOMY.names,
        thresholds=(0.5, 0.5),
        taxonomies=(TAXONOMY,),
        mpp=MPP,
        image_mpp=glas.MPP,
        window_px=WINDOW_PX,
        normalization={"mean": (float(images.mean()),) * 3, "std": (float(images.std()),) * 3},
        cam_layers=("activation_10", "dense_1"),
        cell_px=CELL_PX,
        cell_stride_px=STRIDE_PX,
        train={
            "epochs": 60,
            "batch_size": 8,
            "crop_px": TILE_PX,
            "augmentation": {"color_gain": 0.15, "color_offset": 20.0},
            "validation": tuple(range(len(images) - count, len(images))),
            "seed": seed,
        },
    )
    net = histonet.m2(2, width=0.25, input_px=None, last_dropout=0.3, momentum=0.9, seed=seed)
    print(f"{len(images)} tiles, {grids.size // 2} crops; shown: {grids.mean(axis=(0, 1, 2)).round(3)}")
    tags.fit(net, images, grids, config, out=out)
    model = models.load(out)
    return model.net, method_of(model)[1]


def strongest(evidence, held_out, config):
    """Return the strength with the highest mean IoU after the CRF on validation, and the scores of all."""
    from hsn.supervision.tags.stage_maps import refine_maps

    found = {}
    for strength in STRENGTHS:
        counts = sum(
            confusion_matrix(
                labels,
                refine_maps(np.clip(e * np.float32(strength), 0, 1), image, config, TAXONOMY).argmax(2),
                2,
            )
            for e, (image, labels) in zip(evidence, held_out, strict=True)
        )
        found[strength] = class_scores(counts, TAXONOMY.names).mean_iou
    return max(found, key=found.get), found


def train(out):
    """Train both stages; write `pretrained/glas-tags-cam` and `pretrained/glas-tags`."""
    from hsn.supervision.tags import distillation

    learned, held_out = samples("learn"), samples("validation")
    teachers = [first_stage(out / f"first-{seed}", seed, learned, held_out) for seed in SEEDS]
    for seed, (net, config) in zip(SEEDS, teachers, strict=True):
        print(f"first stage, seed {seed}: validation mIoU {distillation.score(net, config, held_out):.4f}")
    evidence = [distillation.mean_heatmaps(teachers, image) for image, _ in held_out]
    strength, found = strongest(evidence, held_out, teachers[0][1])
    print(f"both, eight symmetries, refined: validation mIoU by strength {found}")
    pseudo = _cached(out / "pseudo.npz", lambda: [
        distillation.pseudo_labels(teachers, image, strength=strength) for image, _ in learned])  # fmt: skip
    counts = sum(confusion_matrix(labels, p, 2) for (_, labels), p in zip(learned, pseudo, strict=True))
    print(f"pseudo-masks of the learning images: mIoU {class_scores(counts, TAXONOMY.names).mean_iou:.4f}")
    config = distillation.student_config(
        teachers[0][1], window_px=256
    )  # validated in one view, shipped with eight
    student = unet.build(2, depth=4, width=16, batch_norm=True, dropout=0.3, seed=0)
    settings = distillation.DistillationConfig(strength=strength)
    history = distillation.distill(student, [i for i, _ in learned], pseudo, config, settings,
                                   validation=held_out, out=out / "second")  # fmt: skip
    best = history.epochs[history.best]["validation_miou"]
    print(f"second stage: validation mIoU {best:.4f}")
    first = distillation.score(*teachers[0], held_out)
    ship(
        "glas-tags-cam", *teachers[0], {"GlaS validation mIoU": first}, "one first-stage classifier: Grad-CAM"
    )
    best = distillation.score(student, config.replace(tta=8), held_out)
    print(f"second stage, eight views: validation mIoU {best:.4f}")


def _cached(path, make):
    """Return the result of `make`, cached in a file."""
    if not path.exists():
        np.savez_compressed(path, *(m.astype(np.uint8) for m in make()))
    with np.load(path) as archive:
        return [archive[name].astype(np.int32) for name in archive.files]


def ship(name, net, config, scores, notes, *, source="benchmarks/glas_tags.py train"):
    """Write a net to `pretrained`."""
    card = models.Card(
        name=name, method="tags", classes=config.classes, thresholds=config.thresholds, mpp=config.mpp,
        taxonomies=tuple(t.name for t in config.taxonomies), scores=scores, license=LICENSE, data=DATA_NOTE,
        normalization=models.Normalization(mean=config.normalization.mean, std=config.normalization.std), notes=notes,
        source=source,
    )  # fmt: skip
    models.save(PRETRAINED / name, net, card, config.to_dict(), half=True)


def score(split, names):
    """Score the stages of shipped nets, pooled and per image."""
    pairs = samples(split)
    for name in names:
        model = open_model(name)
        _print_stages({"net": name, "split": split}, model.net, method_of(model)[1], pairs)


def windows():
    """Score the shipped first stage on validation for several windows of Grad-CAM."""
    model = open_model("glas-tags-cam")
    config, pairs = method_of(model)[1], samples("validation")
    for window_px in (48, 64, 80, 96, 112, 208):
        for way in ("cover", "overlapped"):
            tried = config.replace(window_px=window_px, windows=way)
            _print_stages({"window_px": window_px, "windows": way}, model.net, tried, pairs)


def _print_stages(what, net, config, pairs):
    counts = {"cam": [], "adjusted": [], "refined": []}
    for image, labels in pairs:
        stages = tags.stages(net, image, config)
        for stage, matrices in counts.items():
            matrices.append(confusion_matrix(labels, resize_labels(stages.labels(stage), labels.shape), 2))
    for stage, matrices in counts.items():
        print(
            json.dumps(what | {"images": len(matrices), "stage": stage} | summarize_counts(matrices)),
            flush=True,
        )


def summarize_counts(counts):
    """Score a list of confusion matrices, one per image: pooled, with the interval over images."""

    def pooled(rows):
        return class_scores(np.sum(rows, axis=0).astype(np.int64), TAXONOMY.names).mean_iou

    scores = class_scores(sum(counts), TAXONOMY.names)
    over_images = interval(np.stack(counts), pooled)
    per_image = [pooled([matrix]) for matrix in counts]
    return {
        "mIoU": round(scores.mean_iou, 4),
        "95 % over images": [round(over_images.low, 4), round(over_images.high, 4)],
        "mean of images' mIoU": round(float(np.mean(per_image)), 4),
        "IoU": dict(zip(TAXONOMY.names, np.round(scores.iou, 4).tolist(), strict=True)),
        "Dice": dict(zip(TAXONOMY.names, np.round(scores.dice, 4).tolist(), strict=True)),
    }


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "windows", "score"))
    parser.add_argument("--out", type=Path, default=Path("out/glas-tags"))
    parser.add_argument("--split", default="testA")
    parser.add_argument("--nets", nargs="+", default=("glas-tags-cam", "glas-tags"))
    given = parser.parse_args()
    if given.what == "train":
        train(given.out)
    elif given.what == "windows":
        windows()
    else:
        score(given.split, given.nets)


if __name__ == "__main__":
    main()
