"""Train `nuclei-points` from clicks on some nuclei of Kumar's images (MultiOrgan, 40x), and score it.

    python benchmarks/points.py train --ratio 0.10 --seed 0 --out out/points-10   # all stages
    python benchmarks/points.py train --masks --seed 0 --out out/points-masks     # the same net from full masks
    python benchmarks/points.py score --out out/points-10 --json out/points-10.jsonl
    python benchmarks/points.py stages --out out/points-10 --json out/stages.json # validation scores of every stage
    python benchmarks/points.py causes                                            # AJI lost by splitting, false, missed
    python benchmarks/points.py grid                                              # AJI of other post-processing
    python benchmarks/points.py labels                                            # errors of the coarse labels
    python benchmarks/points.py ship --out out/points-10                          # writes pretrained/nuclei-points

Clicks are box centers of a random fraction of the nuclei in the 12 training images. In the 4 validation images of
FullNet's split all nuclei are clicked, as in the paper; they select the epochs of detection. The 14 test images (8 of
the same organs, 6 of others) are only scored. With `--ratio 1` there is no detection, as in the paper.

`--masks` trains for as many steps as all stages of points together, on crops of the same size.

Detection scores are pooled counts of pairs nearer than 2.75 um; segmentation scores are means over images. Both have
95 % bootstrap intervals over images. `HSN_DATA` names the folder that holds `multiorgan`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from skimage.segmentation import expand_labels

from hsn import models
from hsn.annotations.colors import resize_labels
from hsn.annotations.label_files import read_labels
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import data_folder, multiorgan
from hsn.images.scaling import rescale
from hsn.instances import renumber
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, match
from hsn.metrics.outlines import object_dice
from hsn.metrics.points import PointMatching, match_points
from hsn.metrics.table import overlaps
from hsn.nets import resunet, segmenters
from hsn.objects.cleaning import label_components
from hsn.objects.labeling import label_instances
from hsn.prediction.tiling import predict_tiled
from hsn.supervision import masks, method_of, open_model, points
from hsn.supervision.points.detection import find_points
from hsn.supervision.points.object_stage import find_objects
from hsn.supervision.points.rounds import BEST, SCORES, rebuild

PRETRAINED = Path(__file__).parents[1] / "pretrained"
SPLIT_PX = 20  # largest distance of a pixel to the true object that it is given to
SPLITS = {"same organs": ("testA",), "other organs": ("testB",), "all": ("testA", "testB")}


def samples(*splits):
    """List the samples of some splits, in order."""
    return [s for split in splits for s in multiorgan.list_samples(data_folder("multiorgan"), split)]


def clicks(ratio, seed):
    """Return samples and clicks, training samples first, and the number of training samples."""
    learned, held_out = samples("train"), samples("validation")
    rng = np.random.default_rng(seed)
    clicked = [sample_points(points_from_instances(s.instances()), ratio, rng_or_seed=rng) for s in learned]
    clicked += [points_from_instances(s.instances()) for s in held_out]
    return [*learned, *held_out], clicked, len(learned)


def normalization(images):
    """Compute the mean and standard deviation of each channel."""
    pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in images])
    moments = {"mean": tuple(pixels.mean(axis=0).tolist()), "std": tuple(pixels.std(axis=0).tolist())}
    return {"normalization": moments}


def change(config, numbers):
    """Return a copy of a config with changes by dotted names; fields of `train` need no prefix."""
    train = set(config.train.to_dict())
    return config.replace(**{f"train.{k}" if k in train else k: v for k, v in numbers.items()})


def build_net(args, outputs):
    """Build the net for clicks and for masks."""
    if args.preset == "cpu":
        return segmenters.build("encoder-unet", outputs, seed=args.seed)
    return resunet.build(outputs, depth=args.depth, width=args.width, seed=args.seed)


def train(args):
    """Train from clicks; a killed run resumes."""
    files, annotations, learned = clicks(args.ratio, args.seed)
    config = points.preset(args.preset).replace(image_mpp=multiorgan.MPP)
    if args.preset == "cpu":
        config = config.replace(normalization=segmenters.pretrained_normalization("encoder-unet"))
    else:
        images = [sample.image() for sample in files[:learned]]
        config = config.replace(postprocess={"h_um": 0.0}, **normalization(images))
    numbers = {
        "validation": tuple(range(learned, len(files))),
        "complete_validation": True,
        "seed": args.seed,
        "rounds": None if args.ratio == 1 else args.rounds or config.rounds,
        **json.loads(args.set),
    }
    config = change(config, numbers)
    paths = [sample.image_path for sample in files]
    net = build_net(args, len(config.classes))
    history = points.fit(net, paths, annotations, config, out=args.out)
    print(json.dumps({"clicks": sum(map(len, annotations[:learned])), "kept": history.epochs[history.best]}))


def train_on_masks(args):
    """Train the same net from full masks, for the same number of steps."""
    learned, held_out = samples("train"), samples("validation")
    images = [sample.image() for sample in (*learned, *held_out)]
    quick = change(points.preset("cpu"), json.loads(args.set))
    epochs = quick.train.epochs + quick.refinement_epochs + (args.rounds + 1) * quick.detection_epochs
    small = masks.preset("unet")
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
    annotations = [sample.instances() for sample in (*learned, *held_out)]
    history = masks.fit(build_net(args, len(config.classes)), images, annotations, config, out=args.out)
    print(json.dumps({"kept": history.epochs[history.best]}))


# --- Scoring ------------------------------------------------------------------------------------------------------


def segmentation_scores(truth, prediction):
    """Score one image: the scores of the paper, and PQ."""
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
    """Return a function for the k-th pooled score of rows of (TP, FP, FN): precision, recall, F1."""

    def score(rows):
        hits, false, missed = np.sum(rows, axis=0)
        return (hits / max(hits + false, 1), hits / max(hits + missed, 1),
                2 * hits / max(2 * hits + false + missed, 1))[k]  # fmt: skip

    return score


def detection_rows(detector, config, tests, threshold):
    """Count matched points of each image within the radius, by optimal and by greedy pairing."""
    for sample in tests:
        image = sample.image()
        small = rescale(image, sample.mpp, config.mpp)
        maps = predict_tiled(detector, small, config.normalization, config.tiling)[..., 0]
        found = find_points(maps, config, threshold=threshold)
        found = (found + 0.5) * np.divide(image.shape[:2], maps.shape) - 0.5
        yield matched_row(sample, found, config)


def matched_row(sample, found, config):
    """Count matched points of one image, by optimal and by greedy pairing."""
    truth = points_from_instances(sample.instances())
    row = {"image": sample.name, "truth": len(truth), "found": len(found)}
    for rule in ("optimal", "greedy"):
        matching = match_points(truth, found, radius_px=config.radius_um / sample.mpp, rule=rule)
        row[rule] = [matching.true_positives, matching.false_positives, matching.false_negatives]
    return row


def detectors(out, net, config):
    """Yield the name, the detector and the detection threshold of each round."""
    for folder in sorted((out / "detection").glob("round-*")):
        yield (
            folder.name,
            stage_net(out, net, 1, folder.relative_to(out)),
            json.loads((folder / SCORES).read_text()).get("threshold", config.detection_threshold),
        )


def by_split(name, rows, summarize):
    """Yield (name, split, rows, summary) for each split."""
    for split, parts in SPLITS.items():
        images = {sample.name for sample in samples(*parts)}
        split_rows = [row for row in rows if row["image"] in images]
        yield name, split, split_rows, summarize(split_rows)


def rates(rows):
    """Compute the pooled precision, recall and F1 of points."""
    return {
        f"{name} ({rule})": interval([row[rule] for row in rows], pooled(k))
        for rule in ("optimal", "greedy")
        for k, name in enumerate(("precision", "recall", "F1"))
    }


def means(rows):
    """Compute means over images."""
    return {name: interval([row[name] for row in rows]) for name in rows[0] if name != "image"}


def score(args):
    """Score a trained folder; yield (name, split, per-image rows, summary)."""
    model = open_model(args.out or "nuclei-points")
    method, config = method_of(model)
    tests, by_points = samples("testA", "testB"), model.card.method == "points"
    if args.out and by_points:
        for name, detector, threshold in detectors(args.out, model.net, config):
            rows = list(detection_rows(detector, config, tests, threshold))
            yield from by_split(f"detection {name}", rows, rates)
    results = [method.segment(model.net, sample.image(), config, mpp=sample.mpp) for sample in tests]
    variants = {"segmentation": [result.instances for result in results]}
    two_classes = len(config.classes) == 2  # as published: connected components
    if by_points and not two_classes:
        rows = [matched_row(sample, points_from_instances(result.instances), config)
                for sample, result in zip(tests, results, strict=True)]  # fmt: skip
        yield from by_split("centers of objects", rows, rates)
    if args.out and by_points and two_classes:
        postprocess = choose(model.net, config)[0].postprocess
        variants[f"segmentation, h-maxima of {postprocess.h_um} um"] = [
            label_instances(result.probabilities, postprocess, mpp=sample.mpp)
            for result, sample in zip(results, tests, strict=True)
        ]
    for name, predictions in variants.items():
        rows = [{"image": sample.name, **segmentation_scores(sample.instances(), instances)}
                for sample, instances in zip(tests, predictions, strict=True)]  # fmt: skip
        yield from by_split(name, rows, means)


def print_scores(scores, path):
    """Print a table; also write JSON lines if a path is given."""
    lines = []
    for name, split, rows, summary in scores:
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
    """Measure the errors of the coarse labels of the training images, at the scale of the net."""
    config = points.preset("cpu")
    rows = []
    for sample in samples("train"):
        image, truth = rescale(sample.image(), sample.mpp, config.mpp), sample.instances()
        small = resize_labels(truth, image.shape[:2])
        clicked = sample_points(points_from_instances(truth), args.ratio, rng_or_seed=args.seed)
        target, weight = points.make_targets(
            image, (clicked + 0.5) * np.divide(image.shape[:2], truth.shape) - 0.5, config
        )
        wrong = (target > 0.5) != (small > 0)[..., None]
        rows.append([[(of[..., k] * weight[..., k] * (target[..., k] == kind)).sum() for k in (0, 1) for kind in (0, 1)]
                     for of in (wrong, np.ones_like(target))])  # fmt: skip
    wrong, known = np.sum(rows, axis=0)  # (4,) each
    for k, name in enumerate(
        ("Voronoi background", "Voronoi nuclei", "cluster background", "cluster nuclei")
    ):
        print(f"{name}: {wrong[k] / known[k]:.2%} of {int(known[k])} pixels are wrong")


# --- Stages -------------------------------------------------------------------------------------------------------


def stage_net(out, net, outputs, folder):
    """Return the net of a stage of a trained folder."""
    stage = rebuild(net, outputs, seed=0)
    stage.load_weights(out / folder / BEST)
    return stage


def stages(args):
    """Score every stage of a trained folder on the 4 validation images; print rows."""
    model = models.load(args.out)
    config = method_of(model)[1]
    held_out = [(sample.image(), sample.instances()) for sample in samples("validation")]
    detected = [points_from_instances(truth) for _, truth in held_out]
    rows, found = [], []
    for name, detector, threshold in detectors(args.out, model.net, config):
        maps = [maps_of(detector, image, config)[..., 0] for image, _ in held_out]
        found = [find_points(m, config, threshold=threshold) for m in maps]
        rows.append({"stage": f"detector, {name}", **point_scores(detected, found, config)})
    segmenter = stage_net(args.out, model.net, 2, "segmentation/coarse")
    foreground = [maps_of(segmenter, image, config)[..., 1] for image, _ in held_out]
    objects = {
        "segmenter, components": [label_components(m > config.object_threshold) for m in foreground],
        "segmenter, watershed from the detected points": [
            find_objects(m, d, p, config)[0] for m, d, p in zip(foreground, maps, found, strict=True)
        ],
        "net trained on objects": [
            points.segment(model.net, image, config, mpp=multiorgan.MPP).instances for image, _ in held_out
        ],
    }
    for name, predictions in objects.items():
        scores = [segmentation_scores(truth, p) for (_, truth), p in zip(held_out, predictions, strict=True)]
        row = {key: float(np.mean([s[key] for s in scores])) for key in ("AJI", "PQ", "F1")}
        centers = [points_from_instances(p) for p in predictions]
        rows.append({"stage": name, **row, **point_scores(detected, centers, config)})
    pairs = [(sample.instances(), read_labels(args.out / "objects" / "labels" / f"{sample.image_path.stem}.png"))
             for sample in samples("train")]  # fmt: skip
    learned = [segmentation_scores(truth, objects) for truth, objects in pairs]
    rows.append(
        {"stage": "objects of the 12 training images", "AJI": float(np.mean([s["AJI"] for s in learned]))}
    )
    for row in rows:
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def held_out_maps(args):
    """Return the config of a net, and probabilities and true objects of the 4 validation images."""
    model = open_model(args.out or "nuclei-points")
    config = method_of(model)[1]
    pairs = [(maps_of(model.net, s.image(), config), s.instances()) for s in samples("validation")]
    return config, pairs


def mean_aji(truths, predictions):
    """Compute the mean AJI over images."""
    return float(np.mean([aji(overlaps(t, p)).score for t, p in zip(truths, predictions, strict=True)]))


def causes(args):
    """Print the AJI of the 4 validation images, and that with a part of the truth put in."""
    config, pairs = held_out_maps(args)
    truths = [truth for _, truth in pairs]
    found = [label_instances(maps, config.postprocess, mpp=config.mpp) for maps, _ in pairs]
    both = list(zip(truths, found, strict=True))
    changed = {
        "as predicted": found,
        "foreground split by true objects": [
            np.where(f > 0, expand_labels(np.where(f > 0, t, 0), SPLIT_PX), 0) for t, f in both
        ],
        "without false objects": [np.where(mostly(t > 0, f), f, 0) for t, f in both],
        "missed nuclei added": [np.where(mostly(f > 0, t) | (t == 0), f, t + f.max()) for t, f in both],
    }
    for name, predictions in changed.items():
        score = mean_aji(truths, [renumber(p)[0] for p in predictions])
        print(json.dumps({"what": name, "AJI": round(score, 3)}), flush=True)


def mostly(mask, instances):
    """Return the pixels of objects that lie in a mask by half or more."""
    sizes = np.bincount(instances.ravel())
    shares = np.bincount(instances.ravel(), weights=mask.ravel()) / np.maximum(sizes, 1)
    return (shares >= 0.5)[instances] & (instances > 0)


def grid(args):
    """Print the AJI of the 4 validation images for other ways to separate objects."""
    config, pairs = held_out_maps(args)
    for choice in CONTOURED:
        for grow in (0.5, 0.75):
            postprocess = config.replace(postprocess=choice | {"grow_um": grow}).postprocess
            found = [label_instances(maps, postprocess, mpp=config.mpp) for maps, _ in pairs]
            row = {**choice, "grow_um": grow, "AJI": round(mean_aji([t for _, t in pairs], found), 3)}
            print(json.dumps(row), flush=True)


def maps_of(net, image, config):
    """Return the probabilities of a net for an image at the scale of the net."""
    return predict_tiled(net, image, config.normalization, config.tiling)


def point_scores(truth, found, config):
    """Compute the pooled precision, recall and F1 of points at the scale of the net."""
    matching = PointMatching()
    for true, points_ in zip(truth, found, strict=True):
        matching += match_points(true, points_, radius_px=config.radius_px)
    return {"precision": matching.precision, "recall": matching.recall, "point F1": matching.f1}


# --- Validation, and shipping -------------------------------------------------------------------------------------

HEIGHTS_UM = [{"h_um": height} for height in (0.0, 0.1, 0.2, 0.3, 0.5)]
CONTOURED = [
    {"foreground_threshold": threshold, "h_um": height}
    for threshold in (0.2, 0.3, 0.4)
    for height in (0.0, 0.15, 0.3)
]


def count_hits(truth, instances):
    """Count objects with a true point, objects without, and points without an object: (TP, FP, FN)."""
    rows, columns = truth.astype(int).T
    hit = np.unique(instances[rows, columns])
    hits = int((hit > 0).sum())
    return hits, int(instances.max()) - hits, len(truth) - hits


def choose(net, config):
    """Return the config with the best separation of objects on the validation points, and its F1."""
    results = []
    for sample in samples("validation"):
        found = points.segment(net, sample.image(), config, mpp=sample.mpp)
        results.append((found.probabilities, points_from_instances(sample.instances()), sample.mpp))

    def quality(choice):
        postprocess = config.replace(postprocess=choice).postprocess
        return pooled(2)(
            [count_hits(truth, label_instances(maps, postprocess, mpp=mpp)) for maps, truth, mpp in results]
        )

    choices = HEIGHTS_UM if len(config.classes) == 2 else CONTOURED
    values = [float(quality(choice)) for choice in choices]
    best = int(np.argmax(values))
    print(json.dumps({"chosen": choices[best], "F1": values[best], "least": min(values)}))
    return config.replace(postprocess=choices[best]), values[best]


TERMS = "CC BY-NC-SA 4.0, like its training images (Kumar 2017)"


def ship(args):
    """Tune the separation of objects, and write `pretrained/nuclei-points`."""
    model = models.load(args.out)
    config, value = choose(model.net, method_of(model)[1])
    card = model.card.model_copy(update={
        "name": "nuclei-points", "license": TERMS, "source": "benchmarks/points.py train",
        "thresholds": (config.postprocess.foreground_threshold or 0.5,) * len(config.classes),
        "data": f"clicks on {args.ratio:.0%} of the nuclei (seed {args.seed}, without replacement) of 12 images of"
        " MultiOrgan (Kumar 2017: breast, kidney, liver, prostate), FullNet's split; clicks on all nuclei of its 4"
        " validation images for the choice of epochs and post-processing",
        "scores": {**model.card.scores, "validation F1 of objects that hold one click": value},
    })  # fmt: skip
    models.save(PRETRAINED / "nuclei-points", model.net, card, config.to_dict(), half=True)


COMMANDS = {"train": train, "stages": stages, "causes": causes, "grid": grid, "labels": labels, "ship": ship}


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=(*COMMANDS, "score"))
    parser.add_argument("--ratio", type=float, default=0.10, help="fraction of clicked nuclei")
    parser.add_argument("--seed", type=int, default=0, help="seed of clicks, net and crops")
    parser.add_argument("--preset", default="cpu", choices=("cpu", "resunet18"), help="net and all stages")
    parser.add_argument(
        "--rounds", type=int, help="self-training rounds after the first; default: of the preset"
    )
    parser.add_argument("--depth", type=int, default=18, help="18, 34 or 50")
    parser.add_argument("--width", type=int, default=16, help="channels of the first convolution")
    parser.add_argument("--masks", action="store_true", help="train from full masks instead")
    parser.add_argument("--set", default="{}", help="changes of the config, as JSON")
    parser.add_argument("--out", type=Path, help="trained folder; default for score: the shipped net")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.what in ("train", "stages", "ship") and args.out is None:
        parser.error("--out is missing")
    if args.what == "score":
        print_scores(score(args), args.json)
    elif args.what == "train" and args.masks:
        train_on_masks(args)
    else:
        COMMANDS[args.what](args)


if __name__ == "__main__":
    main()
