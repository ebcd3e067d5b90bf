"""Nuclei from clicks on some of them: train, score and ship, on Kumar's images (MultiOrgan, 40x).

    python benchmarks/points.py train --ratio 0.10 --seed 0 --out out/points-10   # all stages
    python benchmarks/points.py train --masks --seed 0 --out out/points-masks     # the same net from full masks
    python benchmarks/points.py score --out out/points-10 --json out/points-10.jsonl
    python benchmarks/points.py labels                                            # how wrong the coarse labels are
    python benchmarks/points.py ship --out out/points-10                          # writes pretrained/nuclei-points

The 12 training images are clicked: of the middles of their nuclei's boxes a share is drawn with the seed, without
replacement. The 4 validation images of FullNet's split are clicked in full, as in the paper, and choose the epochs of
detection. The 14 test images (8 of the same organs, 6 of others) are only scored. With `--ratio 1` there is no
detection, as in the paper.

`--masks` takes as many steps, on crops of the same size, as all stages of learning from points together.

Detection counts pairs nearer than 2.75 um, over all images together; segmentation scores are means over images. Both
with 95 % bootstrap intervals over images. `HSN_DATA` names the folder that holds `multiorgan`.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from hsn import models
from hsn.annotations.colors import resize_labels
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import data_folder, multiorgan
from hsn.images.scaling import rescale
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, match
from hsn.metrics.outlines import object_dice
from hsn.metrics.points import match_points
from hsn.metrics.table import overlaps
from hsn.nets import resunet
from hsn.objects.labeling import label_instances
from hsn.prediction.tiling import predict_tiled
from hsn.supervision import masks, method_of, open_model, points
from hsn.supervision.points.detection import find_points
from hsn.supervision.points.rounds import BEST, SCORES

PRETRAINED = Path(__file__).parents[1] / "pretrained"
SPLITS = {"same organs": ("testA",), "other organs": ("testB",), "all": ("testA", "testB")}


def samples(*splits):
    """Samples of some splits, in their order."""
    return [each for split in splits for each in multiorgan.list_samples(data_folder("multiorgan"), split)]


def clicks(ratio, seed):
    """Images and clicks to learn from, then those to validate on."""
    learned, held_out = samples("train"), samples("validation")
    rng = np.random.default_rng(seed)
    some = [
        sample_points(points_from_instances(each.instances()), ratio, rng_or_seed=rng) for each in learned
    ]
    return (
        [*learned, *held_out],
        [*some, *(points_from_instances(each.instances()) for each in held_out)],
        len(learned),
    )


def normalization(images):
    """Mean and deviation of each channel."""
    pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in images])
    moments = {"mean": tuple(pixels.mean(axis=0).tolist()), "std": tuple(pixels.std(axis=0).tolist())}
    return {"normalization": moments}


def changed(config, numbers):
    """The config with some numbers changed; dots reach nested ones, and those of `train` need none."""
    train = set(config.train.to_dict())
    return config.replace(**{f"train.{k}" if k in train else k: v for k, v in numbers.items()})


def net_of(args, outputs):
    """The net that both ways of learning share."""
    return resunet.build(outputs, depth=args.depth, width=args.width, seed=args.seed)


def train(args):
    """Train from clicks; a run that was killed goes on."""
    files, annotations, learned = clicks(args.ratio, args.seed)
    config = points.preset("cpu").replace(
        image_mpp=multiorgan.MPP,
        postprocess={"h_um": 0.0},
        **normalization([each.image() for each in files[:learned]]),
    )
    numbers = {
        "validation": tuple(range(learned, len(files))),
        "complete_validation": True,
        "seed": args.seed,
        "rounds": None if args.ratio == 1 else args.rounds,
        **json.loads(args.set),
    }
    config = changed(config, numbers)
    paths = [each.image_path for each in files]
    history = points.fit(net_of(args, 2), paths, annotations, config, out=args.out)
    print(json.dumps({"clicks": sum(map(len, annotations[:learned])), "kept": history.epochs[history.best]}))


def train_on_masks(args):
    """Train the same net from full masks, for as many steps."""
    learned, held_out = samples("train"), samples("validation")
    images = [each.image() for each in (*learned, *held_out)]
    quick = changed(points.preset("cpu"), json.loads(args.set))
    epochs = quick.train.epochs + quick.refinement_epochs + (args.rounds + 1) * quick.detection_epochs
    small = masks.preset("cpu")
    learning = small.train.replace(
        epochs=epochs,
        steps=quick.train.steps,
        batch_size=quick.train.batch_size,
        seed=args.seed,
        crop_px=quick.train.crop_px,
        validation=tuple(range(len(learned), len(images))),
    )
    config = small.replace(
        mpp=points.preset("cpu").mpp,
        image_mpp=multiorgan.MPP,
        postprocess={"grow_um": 0.75, "min_area_um2": 2.0},
        train=learning,
        **normalization(images[: len(learned)]),
    )
    annotations = [each.instances() for each in (*learned, *held_out)]
    history = masks.fit(net_of(args, len(config.classes)), images, annotations, config, out=args.out)
    print(json.dumps({"kept": history.epochs[history.best]}))


# --- Scoring ------------------------------------------------------------------------------------------------------


def segmentation_scores(truth, prediction):
    """Scores of one image, those of the paper and PQ."""
    table, mask, found = overlaps(truth, prediction), truth > 0, prediction > 0
    return {
        "accuracy": float((mask == found).mean()),
        "F1": 2 * (mask & found).sum() / max(mask.sum() + found.sum(), 1),
        "object Dice": object_dice(table),
        "AJI": aji(table).score,
        "AJI (paper)": aji(table, rule="paper-points").score,
        "PQ": match(table).pq,
    }


def pooled(k):
    """Precision, recall and F1 of rows of (TP, FP, FN), counted together: the k-th of them."""

    def score(rows):
        hits, false, missed = np.sum(rows, axis=0)
        return (hits / max(hits + false, 1), hits / max(hits + missed, 1),
                2 * hits / max(2 * hits + false + missed, 1))[k]  # fmt: skip

    return score


def detection_rows(detector, config, tests, threshold):
    """Per image the counts of points found within the radius, optimally paired and as the paper pairs."""
    for each in tests:
        image = each.image()
        small = rescale(image, each.mpp, config.mpp)
        maps = predict_tiled(detector, small, config.normalization, config.tiling)[..., 0]
        found = (find_points(maps, config, threshold=threshold) + 0.5) * np.divide(
            image.shape[:2], maps.shape
        ) - 0.5
        truth = points_from_instances(each.instances())
        row = {"image": each.name, "truth": len(truth), "found": len(found)}
        for rule in ("optimal", "greedy"):
            told = match_points(truth, found, radius_px=config.radius_um / each.mpp, rule=rule)
            row[rule] = [told.true_positives, told.false_positives, told.false_negatives]
        yield row


def detectors(out, net, config):
    """Each round's name, its detector, and from which probability on that one finds something."""
    for folder in sorted((out / "detection").glob("round-*")):
        detector = resunet.rebuild(net, 1)
        detector.load_weights(folder / BEST)
        yield (
            folder.name,
            detector,
            json.loads((folder / SCORES).read_text()).get("threshold", config.detection_threshold),
        )


def by_split(what, rows, summarised):
    """One (what, split, rows, summary) for each split."""
    for split, parts in SPLITS.items():
        names = {each.name for each in samples(*parts)}
        own = [row for row in rows if row["image"] in names]
        yield what, split, own, summarised(own)


def rates(rows):
    """Precision, recall and F1 of points, counted together."""
    return {
        f"{what} ({rule})": interval([row[rule] for row in rows], pooled(k))
        for rule in ("optimal", "greedy")
        for k, what in enumerate(("precision", "recall", "F1"))
    }


def means(rows):
    """Means over images."""
    return {name: interval([row[name] for row in rows]) for name in rows[0] if name != "image"}


def score(args):
    """Score a trained folder: (what, split, per-image rows, summary)."""
    model = open_model(args.out or "nuclei-points")
    method, config = method_of(model)
    tests, by_points = samples("testA", "testB"), model.card.method == "points"
    if args.out and by_points:
        for name, detector, threshold in detectors(args.out, model.net, config):
            rows = list(detection_rows(detector, config, tests, threshold))
            yield from by_split(f"detection {name}", rows, rates)
    found = [method.segment(model.net, each.image(), config, mpp=each.mpp) for each in tests]
    told = {"segmentation": [each.instances for each in found]}  # connected parts, as published
    if args.out and by_points:
        parted = choose(model.net, config)[0]
        told[f"segmentation, waists of {parted.waist_um} um"] = [
            label_instances(one.probabilities, parted.postprocess, mpp=each.mpp)
            for one, each in zip(found, tests, strict=True)
        ]
    for what, several in told.items():
        rows = [{"image": each.name, **segmentation_scores(each.instances(), instances)}
                for each, instances in zip(tests, several, strict=True)]  # fmt: skip
        yield from by_split(what, rows, means)


def tell(told, path):
    """Print a table, and write JSON lines where a path is given."""
    lines = []
    for name, split, rows, summary in told:
        lines += [{"what": name, "split": split, **row} for row in rows if split != "all"]
        lines.append(
            {"what": name, "split": split, "images": len(rows), **{k: list(v) for k, v in summary.items()}}
        )
        cells = (f"{k} {v.value:.4g} [{v.low:.4g}, {v.high:.4g}]" for k, v in summary.items())
        print(f"{name}, {split}, {len(rows)} images:", "; ".join(cells), flush=True)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def labels(args):
    """How wrong the coarse labels of the training images are, at the scale that nets see them at."""
    config = points.preset("cpu")
    rows = []
    for each in samples("train"):
        image, truth = rescale(each.image(), each.mpp, config.mpp), each.instances()
        small = resize_labels(truth, image.shape[:2])
        told = sample_points(points_from_instances(truth), args.ratio, rng_or_seed=args.seed)
        target, weight = points.make_targets(
            image, (told + 0.5) * np.divide(image.shape[:2], truth.shape) - 0.5, config
        )
        wrong = (target > 0.5) != (small > 0)[..., None]
        rows.append([[(of[..., k] * weight[..., k] * (target[..., k] == kind)).sum() for k in (0, 1) for kind in (0, 1)]
                     for of in (wrong, np.ones_like(target))])  # fmt: skip
    wrong, known = np.sum(rows, axis=0)  # (4,) each
    for k, name in enumerate(
        ("Voronoi background", "Voronoi nuclei", "cluster background", "cluster nuclei")
    ):
        print(f"{name}: {wrong[k] / known[k]:.2%} of {int(known[k])} pixels are wrong")


# --- Choosing by validation points, and shipping ------------------------------------------------------------------

WAISTS_UM = (0.0, 0.1, 0.2, 0.3, 0.5)


def hit_once(truth, instances):
    """Counts of objects that hold a true point of their own, of other objects, of points without: (TP, FP, FN)."""
    rows, columns = truth.astype(int).T
    hit = np.unique(instances[rows, columns])
    hits = int((hit > 0).sum())
    return hits, int(instances.max()) - hits, len(truth) - hits


def choose(net, config):
    """The depth of waists at which objects answer best to the points of the validation images, and that F1."""
    seen = []
    for each in samples("validation"):
        found = points.segment(net, each.image(), config, mpp=each.mpp)
        seen.append((found.probabilities, points_from_instances(each.instances()), each.mpp))

    def quality(waist):
        tried = config.replace(postprocess={"h_um": waist})
        return pooled(2)(
            [hit_once(truth, label_instances(maps, tried.postprocess, mpp=mpp)) for maps, truth, mpp in seen]
        )

    values = {waist: float(quality(waist)) for waist in WAISTS_UM}
    print(json.dumps({"waist_um": values}))
    best = max(values, key=values.get)
    return config.replace(postprocess={"h_um": best}), values[best]


TERMS = "CC BY-NC-SA 4.0, like its training images (Kumar 2017)"


def ship(args):
    """Choose the depth of waists, and write `pretrained/nuclei-points`."""
    model = models.load(args.out)
    config, value = choose(model.net, method_of(model)[1])
    card = model.card.model_copy(update={
        "name": "nuclei-points", "license": TERMS, "source": "benchmarks/points.py train",
        "data": f"clicks on {args.ratio:.0%} of the nuclei (seed {args.seed}, without replacement) of 12 images of"
        " MultiOrgan (Kumar 2017: breast, kidney, liver, prostate), FullNet's split; clicks on all nuclei of its 4"
        " validation images for the choice of detection epoch and h-maxima height",
        "scores": {**model.card.scores, "validation F1 of objects that hold one click": value},
    })  # fmt: skip
    models.save(PRETRAINED / "nuclei-points", model.net, card, config.to_dict(), half=True)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "score", "labels", "ship"))
    parser.add_argument("--ratio", type=float, default=0.10, help="share of the nuclei that are clicked")
    parser.add_argument("--seed", type=int, default=0, help="of the clicks, the net, the crops")
    parser.add_argument("--rounds", type=int, default=2, help="of background propagation, after the first")
    parser.add_argument("--depth", type=int, default=18, help="18, 34 or 50")
    parser.add_argument("--width", type=int, default=16, help="channels of the first convolution")
    parser.add_argument("--masks", action="store_true", help="learn from full masks instead")
    parser.add_argument("--set", default="{}", help="other numbers of the config's learning, as JSON")
    parser.add_argument("--out", type=Path, help="the trained folder; for score, the shipped net if not said")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.what in ("train", "ship") and args.out is None:
        parser.error("--out is missing")
    if args.what == "score":
        tell(score(args), args.json)
    elif args.what == "train" and args.masks:
        train_on_masks(args)
    else:
        {"train": train, "labels": labels, "ship": ship}[args.what](args)


if __name__ == "__main__":
    main()
