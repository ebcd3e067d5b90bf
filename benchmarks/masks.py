"""Train the shipped nets `glas-masks` and `nuclei-masks` from full masks, and score them.

    python benchmarks/masks.py train glas --out out/glas-masks        # then pretrained/glas-masks is written
    python benchmarks/masks.py train nuclei --out out/nuclei-masks
    python benchmarks/masks.py train nuclei --everything --out out/all   # also learns from the validation images
    python benchmarks/masks.py train cc0 --out out/nuclei-cc0         # learns only from CC0 images
    python benchmarks/masks.py train organs --start out/nuclei-masks --out out/organs  # continues with CryoNuSeg
    python benchmarks/masks.py ship organs --out out/organs           # the last step of train alone
    python benchmarks/masks.py train cryonuseg --out out/cryonuseg    # the small U-Net of that paper; not shipped
    python benchmarks/masks.py train fullnet --out out/fullnet        # FullNet + varCE, smaller; not shipped
    python benchmarks/masks.py score glas                             # test A, official object scores
    python benchmarks/masks.py score nuclei                           # Kumar's 8 + 6 test images
    python benchmarks/masks.py score fullnet --out out/fullnet        # the same images
    python benchmarks/masks.py score cryonuseg --out out/cryonuseg    # published split, and Otsu's threshold
    python benchmarks/masks.py train nuclei --stain macenko --out out/macenko   # with stain normalization
    python benchmarks/masks.py score nuclei --stain macenko           # the shipped net, normalized images

Scores go to standard output as a table, and to `--json FILE` as JSON lines: per image, then means with 95 % bootstrap
intervals over images. `HSN_DATA` names the folder that holds `glas`, `multiorgan`, `cryonuseg` and
`dsb2018_histology`.

Choices use validation images (GlaS: patients 3, 5, 7, 14, 15 of the training images; Kumar: FullNet's four). Test
images are only scored. CryoNuSeg's published split has six validation images and no test images. With `--everything`
a net is trained again, with the choices of the shipped net, on training and validation images together.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

from hsn import models, taxonomies
from hsn.annotations.colors import resize_labels
from hsn.annotations.instances import label_components
from hsn.data import cryonuseg, data_folder, dsb2018, glas, multiorgan
from hsn.images.scaling import rescale
from hsn.images.tiles import enlarge
from hsn.instances import median_diameter, object_areas
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, count_deviation, match, match_glas
from hsn.metrics.outlines import object_dice, object_hausdorff
from hsn.metrics.table import overlaps
from hsn.nets import encoder_unet, fullnet, segmenters, unet
from hsn.objects.labeling import label_instances
from hsn.prediction.segmentation import preprocess
from hsn.prediction.tiling import predict_tiled
from hsn.stains.normalizers import METHODS, fit_normalizer
from hsn.supervision import masks, method_of, open_model

PRETRAINED = Path(__file__).parents[1] / "pretrained"


def gland_config():
    """Return the config for glands: the pretrained encoder with FullNet's targets and loss, at half the resolution."""
    return masks.preset("cpu").replace(
        taxonomies=(replace(taxonomies.GLAS, other=None, forced=()),),
        mpp=2 * glas.MPP,
        image_mpp=glas.MPP,
        targets={"contour_px": 2, "border_sigma_um": 20 * glas.MPP},
        postprocess={"grow_um": 6 * glas.MPP, "min_area_um2": 400 * glas.MPP**2},
        tiling={"halo_px": 128},
        train={
            "epochs": 8,
            "steps": 70,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "warmup_steps": 30,
            "weight_decay": 1e-3,
            "ema_momentum": 0.98,
            "augmentation": {
                "zoom": (0.7, 1.4),
                "elastic_px": 6.0,
                "color_gain": 0.2,
                "color_offset": 20.0,
                "stain_gain": 0.4,
            },
        },
        tune_postprocess=False,
    )


def nuclei_config():
    """Return the config for nuclei: the pretrained encoder with FullNet's targets and loss, at full resolution."""
    return masks.preset("cpu").replace(train={"epochs": 16, "steps": 100}, tune_postprocess=False)


def cc0_config():
    """Return the config for nuclei of small images: smaller crops, and a wider range of scales."""
    train = {"epochs": 14, "batch_size": 6, "crop_px": 192, "augmentation": {"zoom": (0.7, 1.4)}}
    return nuclei_config().replace(train=train)


def organs_config():
    """Return the config for a net trained on Kumar's images that continues with images of CryoNuSeg."""
    config = nuclei_config()
    return config.replace(train={"epochs": 24, "learning_rate": 0.001, "min_learning_rate": 1e-05})


def cryonuseg_config():
    """Return the published config with batch normalization, a higher learning rate and crops, for two cores."""
    published = masks.preset("unet-cryonuseg")
    train = published.train.replace(
        epochs=60, steps=44, batch_size=4, crop_px=192, learning_rate=0.002, min_learning_rate=2e-05
    )
    return published.replace(train=train, tiling={"halo_px": 64})


def fullnet_config():
    """Return the config of FullNet + varCE at half the resolution, with smaller crops and fewer epochs.

    Labels are not shrunk: at this scale small nuclei would vanish.
    """
    published = masks.preset("fullnet")
    return published.replace(
        mpp=2 * multiorgan.MPP,
        image_mpp=multiorgan.MPP,
        targets={"shrink_px": 0},
        postprocess={"grow_um": 2 * multiorgan.MPP},
        tiling={"tta": 1},
        train={"epochs": 6, "steps": 50, "batch_size": 4, "crop_px": 128},
    )


TASKS = {
    "glas": gland_config,
    "nuclei": nuclei_config,
    "cc0": cc0_config,
    "organs": organs_config,
    "cryonuseg": cryonuseg_config,
    "fullnet": fullnet_config,
}


ENCODED = ("glas", "nuclei", "cc0")  # nets on the pretrained encoder


def fresh_net(task, outputs, *, width=None):
    """Build the net of a task.

    Glands and nuclei: a pretrained encoder. CryoNuSeg: the published U-Net at a quarter of its width. FullNet: half the
    growth and two thirds of the layers (209,469 parameters of 1,780,233).
    """
    if task == "glas":
        return encoder_unet.build(outputs, seed=0, **encoder_unet.SIZES["medium"])
    if task in ("nuclei", "cc0"):
        return segmenters.build("encoder-unet", outputs, width=width, seed=0)
    if task == "fullnet":
        return fullnet.build(outputs, layers_per_block=4, growth=12, seed=0)
    return unet.build(outputs, depth=3, width=width or 16, batch_norm=True, seed=0)


def training_samples(task):
    """Return the training and the validation samples of a task."""
    if task == "glas":
        return glas.list_samples(data_folder("glas"), "learn"), glas.list_samples(
            data_folder("glas"), "validation"
        )
    names = {"cryonuseg": ("cryonuseg", cryonuseg), "cc0": ("dsb2018_histology", dsb2018)}
    name, room = names.get(task, ("multiorgan", multiorgan))
    learned, held_out = (room.list_samples(data_folder(name), split) for split in ("train", "validation"))
    if task == "organs":
        learned = [*learned, *cryonuseg.list_samples(data_folder("cryonuseg"), "train")]
    return learned, held_out


MIN_SOLIDITY = (
    0.9  # area divided by the area of the convex hull; components below it are probably several nuclei
)
MARGIN_PX = 2  # pixels around unknown components are unknown


def annotation_of(sample, task):
    """Return the objects of a sample; for `organs`, components of several nuclei are masked, as masks are binary."""
    objects = sample.instances()
    if task != "organs" or not sample.name.startswith("Human_"):
        return objects
    several = [part.label for part in regionprops(objects) if part.solidity < MIN_SOLIDITY]
    unknown = np.isin(objects, several)
    return np.ma.array(objects, mask=binary_dilation(unknown, iterations=MARGIN_PX))


def reference_stain(task, method):
    """Measure the reference stain of the training images of a task."""
    return fit_normalizer(method, [sample.image() for sample in training_samples(task)[0]])


def train(task, out, stain=None, *, config=None, width=None, start=None, everything=False):
    """Train one net, optionally from a trained one; a killed run resumes.

    With `everything` the validation images are learned from as well, so the kept epoch is one of the last.
    """
    learned, held_out = training_samples(task)
    learned = [*learned, *held_out] if everything else learned
    samples = [*learned, *held_out]
    config = config or TASKS[task]()
    images = [rescale(sample.image(), sample.mpp, config.image_mpp) for sample in samples]
    if stain:
        config = config.replace(normalization={"stain": fit_normalizer(stain, images[: len(learned)])})
    model = models.load(start) if start else None
    if model:
        config = config.replace(normalization=method_of(model)[1].normalization)
    elif task in ENCODED:
        config = config.replace(normalization=segmenters.pretrained_normalization("encoder-unet"))
    elif task != "cryonuseg":
        normalized = [
            config.normalization.stain.normalize(image) if stain else image
            for image in images[: len(learned)]
        ]
        pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in normalized])
        config = config.replace(
            normalization={"mean": (float(pixels.mean()),) * 3, "std": (float(pixels.std()),) * 3}
        )
    validation = tuple(range(len(learned), len(samples)))
    config = config.replace(train={"validation": validation})
    net = model.net if model else fresh_net(task, len(config.classes), width=width)
    annotations = [
        annotation if annotation.shape == image.shape[:2] else resize_labels(annotation, image.shape[:2])
        for annotation, image in zip((annotation_of(s, task) for s in samples), images, strict=True)
    ]
    history = masks.fit(net, images, annotations, config, out=out)
    print(json.dumps({"task": task, "kept": history.epochs[history.best]}))


# --- Validation, and shipping -------------------------------------------------------------------------------------

CHOICES = {
    "glas": [
        {"foreground_threshold": threshold, "grow_um": grow * glas.MPP, "min_area_um2": area * glas.MPP**2}
        for threshold in (0.3, 0.4, 0.5, 0.65)
        for grow in (4, 7)
        for area in (500, 1000, 1600)
    ],
    "nuclei": [
        {"foreground_threshold": threshold, "grow_um": grow, "h_um": height}
        for threshold in (0.2, 0.3, 0.4)
        for grow in (0.5, 0.75)
        for height in (0.0, 0.15, 0.3)
    ],
}
CHOICES["organs"] = CHOICES["cc0"] = CHOICES["nuclei"]
SHIPPED = {"glas": "glas-masks", "nuclei": "nuclei-masks", "organs": "nuclei-masks", "cc0": "nuclei-cc0"}
TERMS = {
    "glas": "research only, like GlaS (MICCAI 2015 challenge)",
    "nuclei": "CC BY-NC-SA 4.0, like its training images (Kumar 2017)",
    "organs": "CC BY-NC-SA 4.0, like its training images (Kumar 2017, Mahbod 2021)",
    "cc0": "CC0 1.0, like its training images (2018 Data Science Bowl); the encoder it began with is Apache-2.0",
}
TRAINING_DATA = {
    "glas": "gland outlines of 67 of the 85 GlaS training images; the 18 others (patients 3, 5, 7, 14, 15) for the"
    " choice of epoch and post-processing",
    "nuclei": "nuclei of 12 images of MultiOrgan (Kumar 2017: breast, kidney, liver, prostate), FullNet's split; its 4"
    " validation images for the choice of epoch and post-processing",
    "cc0": "nuclei of 82 stained tissue images of the 2018 Data Science Bowl (BBBC038), scale estimated from the"
    " nuclei; 17 others for the choice of epoch and post-processing",
}
TRAINING_DATA["organs"] = (
    f"{TRAINING_DATA['nuclei']};"
    " then also nuclei of 22 images of CryoNuSeg (Mahbod 2021, frozen sections of ten organs),"
    " those not to validate on"
)


def quality(task, truth, prediction):
    """Compute the score for choices: mean of object F1 and Dice for glands, AJI for nuclei."""
    table = overlaps(truth, prediction)
    return (match_glas(table).f1 + object_dice(table)) / 2 if task == "glas" else aji(table).score


def choose(task, net, config):
    """Return the config with the best post-processing on validation images, and its mean score."""
    results = []
    for sample in training_samples(task)[1]:
        image = sample.image()
        maps = predict_tiled(net, preprocess(image, config, sample.mpp), config.normalization, config.tiling)
        results.append((enlarge(maps, image.shape[:2]), sample.instances(), sample.mpp))

    def mean_quality(choice):
        postprocess = config.replace(postprocess=choice).postprocess
        return np.mean(
            [quality(task, t, label_instances(maps, postprocess, mpp=mpp)) for maps, t, mpp in results]
        )

    values = [mean_quality(choice) for choice in CHOICES[task]]
    best = int(np.argmax(values))
    print(json.dumps({"task": task, "tta": config.tiling.tta, "chosen": CHOICES[task][best],
                      "validation": values[best], "least": min(values)}))  # fmt: skip
    return config.replace(postprocess=CHOICES[task][best]), float(values[best])


def ship(task, out, views, *, everything=False):
    """Tune the post-processing, and write `pretrained/<task>-masks`.

    With `everything` the post-processing of the shipped net is kept, because no image is left to tune it.
    """
    model = models.load(out)
    config = method_of(model)[1]
    config = config.replace(tiling={"tta": views or config.tiling.tta})
    data, measure = TRAINING_DATA[task], "mean of object F1 and Dice" if task == "glas" else "AJI"
    if everything:
        before = models.load(PRETRAINED / SHIPPED[task])
        config = config.replace(postprocess=method_of(before)[1].postprocess)
        data = f"{data}; then trained again on training and validation images together"
        scores = {
            f"{name}, before the validation images were learned": v for name, v in before.card.scores.items()
        }
    else:
        config, value = choose(task, model.net, config)
        scores = {**model.card.scores, f"validation {measure}": value}
    card = model.card.model_copy(update={
        "name": SHIPPED[task], "license": TERMS[task], "data": data, "source": "benchmarks/masks.py train",
        "thresholds": (config.postprocess.foreground_threshold or 0.5,) * len(config.classes), "scores": scores,
    })  # fmt: skip
    models.save(PRETRAINED / SHIPPED[task], model.net, card, config.to_dict(), half=True)


def store_sizes():
    """Write the median diameter of the training objects to the cards of the shipped nets that separate objects."""
    shipped = {"glas": ("glas-masks",), "nuclei": ("nuclei-masks", "nuclei-points"), "cc0": ("nuclei-cc0",)}
    for task, names in shipped.items():
        areas = [object_areas(sample.instances()) * sample.mpp**2 for sample in training_samples(task)[0]]
        for name in filter(lambda name: (PRETRAINED / name).is_dir(), names):
            card = models.Card.read(PRETRAINED / name)
            card = card.model_copy(update={"object_diameter_um": median_diameter(areas)})
            card.write(PRETRAINED / name)
            print(json.dumps({"net": name, "object_diameter_um": card.object_diameter_um}))


# --- Scoring ------------------------------------------------------------------------------------------------------


def gland_scores(truth, prediction):
    """Score one image by the rules of the GlaS challenge."""
    table = overlaps(truth, prediction)
    diagonal = float(np.hypot(*truth.shape))  # distance if one side is empty
    counts = match_glas(table)
    return {"F1": counts.f1, "Dice": object_dice(table),
            "Hausdorff": object_hausdorff(truth, prediction, table=table, one_empty_px=diagonal),
            "TP": counts.true_positives, "FP": counts.false_positives, "FN": counts.false_negatives}  # fmt: skip


def nuclei_scores(truth, prediction):
    """Score one image of nuclei."""
    table = overlaps(truth, prediction)
    counts, mask, found = match(table), truth > 0, prediction > 0
    return {"AJI": aji(table).score, "Dice": 2 * (mask & found).sum() / max(mask.sum() + found.sum(), 1),
            "F1": counts.f1, "SQ": counts.mean_iou, "PQ": counts.pq, "counted": len(table.prediction_areas),
            "true": len(table.truth_areas)}  # fmt: skip


def pixel_scores(truth, prediction):
    """Count pixels and 4-connected components of one image, as the notebooks of the U-Nets."""
    mask, found = truth > 0, prediction > 0
    numbers = [int(label_components(m).max()) for m in (mask, found)]
    return {"TP": int((mask & found).sum()), "FP": int((~mask & found).sum()), "FN": int((mask & ~found).sum()),
            "true": numbers[0], "counted": numbers[1],
            "deviation": float(count_deviation(numbers[:1], numbers[1:])[0])}  # fmt: skip


def pooled_f1(rows):
    """Compute the pooled F1 of rows of (TP, FP, FN)."""
    hits, false, missed = np.sum(rows, axis=0)
    return 2 * hits / max(2 * hits + false + missed, 1)


def otsu(image):
    """Segment nuclei by Otsu's threshold on hematoxylin: the baseline."""
    stain = gaussian_filter(rgb2hed(image)[..., 0], 1)
    return stain > threshold_otsu(stain)


MIN_AREA_UM2 = 5.0  # a disk of 2.5 um, below all nuclei; the filter that the author of the U-Nets recommends


def summarize(rows, means):
    """Compute means over images, and the pooled F1, each with its interval."""
    summary = {name: interval([row[name] for row in rows]) for name in means}
    if "TP" in rows[0]:
        summary["pooled F1"] = interval([[row[k] for k in ("TP", "FP", "FN")] for row in rows], pooled_f1)
    return summary


def score(task, out, stain, views):
    """Score one net; yield (name, split, per-image rows, summary)."""
    model = open_model(out or SHIPPED.get(task, f"{task}-masks"))
    net, config = model.net, method_of(model)[1]
    config = config.replace(tiling={"tta": views or config.tiling.tta})
    if stain:
        config = config.replace(normalization={"stain": reference_stain(task, stain)})

    def found(sample, **changes):
        return masks.segment(net, sample.image(), config.replace(**changes), mpp=sample.mpp).instances

    if task == "glas":
        splits, score_image, means = (
            {"test A": glas.list_samples(data_folder("glas"), "testA")},
            gland_scores,
            ("F1", "Dice", "Hausdorff"),
        )
    elif task in ("nuclei", "organs", "fullnet"):
        splits = {
            split: multiorgan.list_samples(data_folder("multiorgan"), split) for split in ("testA", "testB")
        }
        score_image, means = nuclei_scores, ("AJI", "Dice", "F1", "SQ", "PQ")
    elif task == "cc0":
        splits = {"test": dsb2018.list_samples(data_folder("dsb2018_histology"), "test")}
        score_image, means = nuclei_scores, ("AJI", "Dice", "F1", "SQ", "PQ")
    else:
        splits = {"validation": cryonuseg.list_samples(data_folder("cryonuseg"), "validation")}
        score_image, means = pixel_scores, ("deviation",)
    everything = []
    for split, samples in splits.items():
        rows = [{"image": s.name, **score_image(s.instances(), found(s))} for s in samples]
        everything += rows
        yield model.card.name, split, rows, summarize(rows, means)
        if task == "cryonuseg":
            small = {"postprocess.min_area_um2": MIN_AREA_UM2}
            rows = [{"image": s.name, **score_image(s.instances(), found(s, **small))} for s in samples]
            yield (
                f"{model.card.name} without objects below {MIN_AREA_UM2:.3g} um2",
                split,
                rows,
                summarize(rows, means),
            )
            rows = [{"image": s.name, **score_image(s.instances(), otsu(s.image()))} for s in samples]
            yield "Otsu on hematoxylin", split, rows, summarize(rows, means)
    if len(splits) > 1:
        yield model.card.name, "all", everything, summarize(everything, means)


def print_scores(scores, path):
    """Print a table; also write JSON lines if a path is given."""
    lines = []
    for name, split, rows, summary in scores:
        lines += [{"net": name, "split": split, **row} for row in rows if split != "all"]
        lines.append(
            {"net": name, "split": split, "images": len(rows), **{k: list(v) for k, v in summary.items()}}
        )
        cells = (f"{k} {v.value:.4g} [{v.low:.4g}, {v.high:.4g}]" for k, v in summary.items())
        print(f"{name}, {split}, {len(rows)} images:", "; ".join(cells), flush=True)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "ship", "score", "sizes"))
    parser.add_argument("task", nargs="?", choices=tuple(TASKS))
    parser.add_argument("--out", type=Path, help="trained folder; default for score: the shipped net")
    parser.add_argument("--start", type=Path, help="trained folder to continue from")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--stain", choices=tuple(METHODS), help="normalize images to the stain of the training images"
    )
    parser.add_argument(
        "--everything", action="store_true", help="also learn from the validation images, after all choices"
    )
    parser.add_argument("--views", type=int, choices=(1, 8), help="number of symmetries to average")
    args = parser.parse_args()
    if args.what == "sizes":
        store_sizes()
        return
    if args.what == "score":
        print_scores(score(args.task, args.out, args.stain, args.views), args.json)
        return
    out = args.out or Path("out") / f"{args.task}-masks"
    if args.what == "train":
        train(args.task, out, args.stain, start=args.start, everything=args.everything)
    if args.task in CHOICES:
        ship(args.task, out, args.views, everything=args.everything)


if __name__ == "__main__":
    main()
