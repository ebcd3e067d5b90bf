"""GlaS from tags with the pretrained encoder: train in two stages, choose on validation, score test A once.

    python benchmarks/encoder_tags.py train --seeds 0 --out out/encoder-tags   # resumes; writes pretrained/glas-tags
    python benchmarks/encoder_tags.py test --out out/encoder-tags    # once; writes benchmarks/results/encoder_tags.json

Annotation and split are those of `benchmarks/glas_tags.py`: two tags per crop of 48 px at 1.24 um/px (gland, other
tissue; from a quarter of its area), 67 training images, 18 validation images.

First stage: the net's softmax is averaged over each crop, and this share is compared with a quarter, the definition of
a tag: binary cross-entropy of ``sigmoid(12 (share - 0.25))``. The map itself is the segmentation; there is no Grad-CAM
and no threshold. Second stage: the ImageNet encoder again, trained on the confident pixels of the first stage's masks
(mean of eight symmetries); the moving average of its weights is kept.

Nothing is chosen by epoch. Validation chooses the seed, the window and whether symmetries are averaged. Times are
processor seconds with one thread.
"""

import argparse
import json
from pathlib import Path

import cv2
import keras
import numpy as np
from encoder_training import Schedule, Training, predict, single_thread
from glas_tags import TAXONOMY, samples, summarize_counts, tagged_tiles
from glas_tags import ship as write_net
from keras import ops

from hsn import tags
from hsn.data import glas
from hsn.images.read import resample
from hsn.metrics.counts import confusion_matrix
from hsn.nets import encoder_unet, segmenters
from hsn.supervision import method_of, open_model
from hsn.training.augment import draw, draw_warp

RESULTS = Path(__file__).parent / "results" / "encoder_tags.json"

TILE_PX = 320  # tiles of 208 px at 1.24 um/px, enlarged
SCALE = 0.5 * TILE_PX / 208  # of the images' resolution: 0.81 um/px
WINDOW, STEP = 18, 12  # of a crop in the first stage's map, whose stride is 4
SHARE, SLOPE = 0.25, 12.0  # a tag's definition, and how sharply it is compared
UNSURE = (0.3, 0.7)  # pseudo-masks between these are ignored
CROP_PX = 256
BATCH = 8
NUMBERS = {"rates": (5e-4, 1e-3), "warmup": 30, "decay": 1e-3, "floor": 0.02}
FIRST = {"decoder": (96, 64, 32)}
SECOND = {"decoder": (96, 64, 32, 24)}


def share_loss(logits, tags, _):
    """Compare the share of each class in each crop with a tag's definition."""
    share = ops.average_pool(ops.softmax(logits), WINDOW, STEP)  # (N, 6, 6, 2)
    return ops.mean(ops.binary_crossentropy(tags, SLOPE * (share - SHARE), from_logits=True))


def pixel_loss(logits, labels, weight):
    """Compute the cross-entropy of the pixels with weight."""
    loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.sum(loss * weight) / ops.maximum(ops.sum(weight), 1.0)


def first_stage(seed, learned, out):
    """Train on tags alone; return the net and its processor seconds."""
    net = encoder_unet.build(2, seed=seed, **FIRST)
    images, grids = tagged_tiles(learned)
    grids = grids.astype(np.float32)
    per_epoch = len(images) // BATCH
    logits = net.get_layer("logits_conv2d").output
    training = Training(net, logits, share_loss, out, Schedule(steps=10 * per_epoch, **NUMBERS))

    def batch(step):
        order = np.random.default_rng([seed, 1, step // per_epoch]).permutation(len(images))
        rng = np.random.default_rng([seed, 2, step])
        first = step % per_epoch * BATCH
        pairs = [_tagged(rng, images[i], grids[i]) for i in order[first : first + BATCH]]
        x, tags = (np.stack(part) for part in zip(*pairs, strict=True))
        return x, tags, np.float32(0)

    training.run(batch)
    return net, training.seconds


def _tagged(rng, tile, tags):
    drawn = draw(rng, gain=0.15, offset=15.0, stain_gain=0.3, stain_offset=0.05)
    image = cv2.resize(drawn.paint(tile), (TILE_PX, TILE_PX), interpolation=cv2.INTER_LINEAR)
    return encoder_unet.preprocess(image), np.ascontiguousarray(drawn.move(tags))


def second_stage(seed, learned, gland, out):
    """Train on confident pixels of the first stage's maps `gland`; return the net and its processor seconds."""
    net = encoder_unet.build(2, seed=seed + 50, **SECOND)
    plan = Schedule(steps=500, ema=0.98, **NUMBERS)
    training = Training(net, net.get_layer("logits").output, pixel_loss, out, plan)
    data = []
    for (image, _), p in zip(learned, gland, strict=True):
        shape = p.shape
        weight = (p < UNSURE[0]) | (p > UNSURE[1])
        data.append((resample(image, shape), (p > 0.5).astype(np.int32), weight.astype(np.float32)))

    def batch(step):
        rng = np.random.default_rng([seed, 3, step])
        rows = [_warped(rng, *data[i]) for i in rng.integers(0, len(data), BATCH)]
        return tuple(np.stack(part) for part in zip(*rows, strict=True))

    training.run(batch)
    return net, training.seconds


def _warped(rng, image, labels, weight):
    warp = draw_warp(rng, labels.shape, CROP_PX, zoom=(0.7, 1.4), flips=(True, True), rotation_deg=180.0,
                     affine_jitter=0.1,
                     elastic_px=6.0)  # fmt: skip
    color = draw(
        rng, flips=False, quarter_turns=False, gain=0.2, offset=20.0, stain_gain=0.4, stain_offset=0.05
    )
    x = encoder_unet.preprocess(color.paint(warp.image(image)))
    return x, warp.labels(labels), (warp.weight(weight) > 0.99).astype(np.float32)


def _shape(image):
    """Return height and width of an image at the nets' scale."""
    return tuple(round(side * SCALE) for side in image.shape[:2])


def counts_of(net, pairs, *, tta):
    """Return one confusion matrix per image, at the images' own resolution."""
    counts = []
    for image, labels in pairs:
        p = resample(predict(net, image, _shape(image), tta=tta), labels.shape)
        counts.append(confusion_matrix(labels, p.argmax(2), 2))
    return counts


def row_of(counts):
    """Return pooled scores, with the interval of the mean IoU over images."""
    return {"images": len(counts)} | summarize_counts(counts)


def _scored(out, net, pairs):
    """Return the validation scores of a stage, kept in its folder."""
    path = out / "validation.json"
    if not path.exists():
        rows = {
            views: row_of(counts_of(net, pairs, tta=views == "8 views")) for views in ("1 view", "8 views")
        }
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    rows = json.loads(path.read_text(encoding="utf-8"))
    print(json.dumps({"stage": out.name} | {views: row["mIoU"] for views, row in rows.items()}), flush=True)
    return rows


def train(out, seeds):
    """Train both stages with each seed; write `summary.json` with the choice."""
    learned, held_out = samples("learn"), samples("validation")
    found = {}
    for seed in seeds:
        net, seconds = first_stage(seed, learned, out / f"first-{seed}")
        rows = {"first": _scored(out / f"first-{seed}", net, held_out) | {"core_s": round(seconds)}}
        maps = out / f"first-{seed}" / "maps.npz"
        if not maps.exists():
            np.savez(
                maps,
                *(
                    predict(net, image, _shape(image), tta=True)[..., 1].astype(np.float16)
                    for image, _ in learned
                ),
            )
        with np.load(maps) as archive:
            gland = [archive[name].astype(np.float32) for name in archive.files]
        counts = [confusion_matrix(labels, (resample(p, labels.shape) > 0.5).astype(int), 2)
                  for (_, labels), p in zip(learned, gland, strict=True)]  # fmt: skip
        unsure = np.mean([((p >= UNSURE[0]) & (p <= UNSURE[1])).mean() for p in gland])
        rows["pseudo-masks"] = {"mIoU": row_of(counts)["mIoU"], "ignored": round(float(unsure), 3)}
        print(json.dumps(rows["pseudo-masks"]), flush=True)
        keras.backend.clear_session()
        net, seconds = second_stage(seed, learned, gland, out / f"second-{seed}")
        rows["second"] = _scored(out / f"second-{seed}", net, held_out) | {"core_s": round(seconds)}
        found[str(seed)] = rows
        keras.backend.clear_session()
    choice = max(((seed, views) for seed in found for views in ("1 view", "8 views")),
                 key=lambda pair: found[pair[0]]["second"][pair[1]]["mIoU"])  # fmt: skip
    summary = {"seeds": found, "choice": {"seed": int(choice[0]), "views": choice[1]}}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary["choice"]), flush=True)


def ship(out):
    """Write `pretrained/glas-tags`, with the window size that is best on validation."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    seed, views = summary["choice"]["seed"], summary["choice"]["views"]
    net = keras.models.load_model(out / f"second-{seed}" / "net.keras", compile=False)
    mpp = glas.MPP / SCALE
    config = tags.Config(
        classes=TAXONOMY.names,
        thresholds=(0.0, 0.0),
        taxonomies=(TAXONOMY,),
        mpp=mpp,
        image_mpp=glas.MPP,
        normalization=segmenters.pretrained_normalization("encoder-unet"),
        cam_layers=None,
        tta=8 if views == "8 views" else 1,
        crf={"glas": tags.CRFConfig(iterations=0)},
    )
    pairs = samples("validation")
    found = {}
    for window_px in (256, 384, 512):
        counts = house_counts(net, config.replace(window_px=window_px), pairs)
        found[window_px] = row_of(counts)["mIoU"]
        print(json.dumps({"window_px": window_px, "mIoU": found[window_px]}), flush=True)
    best = max(found, key=found.get)
    config = config.replace(window_px=best)
    refined = config.replace(crf={"glas": tags.CRFConfig()})
    with_crf = row_of(house_counts(net, refined, pairs))["mIoU"]
    print(json.dumps({"with dense CRF": with_crf}), flush=True)
    if with_crf > found[best]:
        config = refined
    scores = {"GlaS validation mIoU": max(found[best], with_crf)}
    notes = (
        "encoder: EfficientNet-Lite0, ImageNet weights (Apache-2.0); trained on pseudo-masks of a first stage"
    )
    write_net("glas-tags", net, config, scores, notes, source="benchmarks/encoder_tags.py train")
    (out / "shipped.json").write_text(
        json.dumps({"windows": found, "window_px": best, "with CRF": with_crf}) + "\n", encoding="utf-8"
    )


def house_counts(net, config, pairs):
    """Return one confusion matrix per image, of what `hsn.segment` gives."""
    return [
        confusion_matrix(labels, tags.segment(net, image, config, mpp=glas.MPP).labels, 2)
        for image, labels in pairs
    ]


def test(out):
    """Score the shipped net on test A, once."""
    if RESULTS.exists():
        raise SystemExit(f"{RESULTS} exists: test images are scored once")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    shipped = json.loads((out / "shipped.json").read_text(encoding="utf-8"))
    model = open_model("glas-tags")
    scores = row_of(house_counts(model.net, method_of(model)[1], samples("testA")))
    result = {
        "command": "python benchmarks/encoder_tags.py train, then test",
        "data": f"GlaS, {glas.MPP} um/px; tags of 67 images",
        "keras": keras.__version__,
        "threads": 1,
        **summary,
        "validation by window": shipped,
        "test A": scores,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(scores))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "test"))
    parser.add_argument("--out", type=Path, default=Path("out/encoder-tags"))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,))
    given = parser.parse_args()
    single_thread()
    if given.what == "train":
        train(given.out, given.seeds)
        ship(given.out)
    else:
        test(given.out)


if __name__ == "__main__":
    main()
