"""Objects from full masks: train the shipped nets `glas-masks` and `nuclei-masks`, and score them.

    python benchmarks/masks.py train glas --out out/glas-masks        # then pretrained/glas-masks is written
    python benchmarks/masks.py train nuclei --out out/nuclei-masks
    python benchmarks/masks.py train organs --start out/nuclei-masks --out out/organs  # goes on, with CryoNuSeg too
    python benchmarks/masks.py ship organs --out out/organs           # the last step of train alone
    python benchmarks/masks.py train cryonuseg --out out/cryonuseg    # the small U-Net of that paper; not shipped
    python benchmarks/masks.py train fullnet --out out/fullnet        # FullNet + varCE, smaller; not shipped
    python benchmarks/masks.py score glas                             # test A, official object scores
    python benchmarks/masks.py score nuclei                           # Kumar's 8 + 6 test images
    python benchmarks/masks.py score fullnet --out out/fullnet        # likewise
    python benchmarks/masks.py score cryonuseg --out out/cryonuseg    # the named split, beside Otsu's threshold
    python benchmarks/masks.py train nuclei --stain macenko --out out/macenko   # images brought to one stain first
    python benchmarks/masks.py score nuclei --stain macenko           # the shipped net, tissue normalize for it

Scores go to standard output as a table, and to `--json FILE` as JSON lines: per image, then means with 95 % bootstrap
intervals over images. `HSN_DATA` names the folder that holds `glas`, `multiorgan` and `cryonuseg`.

Choices are made on validation images (GlaS: patients 3, 5, 7, 14, 15 of the training images; Kumar: FullNet's four);
test images are only scored. CryoNuSeg's split has no test part: its six images are the published ones.
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
from hsn.annotations.instances import label_components
from hsn.data import cryonuseg, data_folder, glas, multiorgan
from hsn.images.tiles import enlarge
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
    """Glands at half the images' resolution, by a U-Net on the pretrained encoder with FullNet's targets and loss."""
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
    """Nuclei at the images' resolution, by a U-Net on the pretrained encoder with FullNet's targets and loss."""
    return masks.preset("cpu").replace(train={"epochs": 16, "steps": 100}, tune_postprocess=False)


def organs_config():
    """As nuclei, for a net that has learned from Kumar's images and goes on with those of CryoNuSeg too."""
    config = nuclei_config()
    return config.replace(train={"epochs": 24, "learning_rate": 0.001, "min_learning_rate": 1e-05})


def cryonuseg_config():
    """The published config, but for batch normalization, a higher rate and crops: what two cores can train."""
    published = masks.preset("unet-cryonuseg")
    learning = published.train.replace(
        epochs=60, steps=44, batch_size=4, crop_px=192, learning_rate=0.002, min_learning_rate=2e-05
    )
    return published.replace(train=learning, tiling={"halo_px": 64})


def fullnet_config():
    """FullNet + varCE's config on nuclei at half the images' resolution, in smaller crops, for fewer epochs, one view.

    Labels are not shrunk first: at this scale small nuclei would vanish.
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
    "organs": organs_config,
    "cryonuseg": cryonuseg_config,
    "fullnet": fullnet_config,
}


ENCODED = ("glas", "nuclei")  # nets on the pretrained encoder


def fresh_net(task, outputs, *, width=None):
    """The net of a task.

    Glands and nuclei: a pretrained encoder. CryoNuSeg: the published U-Net at a quarter of its width. FullNet: half the
    growth and two thirds of the layers (209,469 parameters of 1,780,233).
    """
    if task == "glas":
        return encoder_unet.build(outputs, seed=0, **encoder_unet.SIZES["medium"])
    if task == "nuclei":
        return segmenters.build("encoder-unet", outputs, width=width, seed=0)
    if task == "fullnet":
        return fullnet.build(outputs, layers_per_block=4, growth=12, seed=0)
    return unet.build(outputs, depth=3, width=width or 16, batch_norm=True, seed=0)


def training_samples(task):
    """Samples to learn from and to validate on."""
    if task == "glas":
        return glas.list_samples(data_folder("glas"), "learn"), glas.list_samples(
            data_folder("glas"), "validation"
        )
    name, room = ("cryonuseg", cryonuseg) if task == "cryonuseg" else ("multiorgan", multiorgan)
    learned, held_out = (
        room.list_samples(data_folder(name), "train"),
        room.list_samples(data_folder(name), "validation"),
    )
    if task == "organs":
        learned = [*learned, *cryonuseg.list_samples(data_folder("cryonuseg"), "train")]
    return learned, held_out


LEAST_SOLIDITY = 0.9  # area over that of the convex hull; below it a part is likely several nuclei
RIM_PX = 2  # outlines of what is unknown are unknown as well


def annotation_of(sample, task):
    """A sample's objects. CryoNuSeg's masks are binary: in `organs` parts that look like several nuclei are masked."""
    objects = sample.instances()
    if task != "organs" or not sample.name.startswith("Human_"):
        return objects
    several = [part.label for part in regionprops(objects) if part.solidity < LEAST_SOLIDITY]
    unknown = np.isin(objects, several)
    return np.ma.array(objects, mask=binary_dilation(unknown, iterations=RIM_PX))


def reference_stain(task, method):
    """The colours of a task's images to learn from."""
    return fit_normalizer(method, [sample.image() for sample in training_samples(task)[0]])


def train(task, out, stain=None, *, config=None, width=None, start=None):
    """Train one net, fresh or from where another one ended; a run that was killed goes on."""
    learned, held_out = training_samples(task)
    samples = [*learned, *held_out]
    images = [sample.image() for sample in samples]
    config = config or TASKS[task]()
    if stain:
        config = config.replace(normalization={"stain": fit_normalizer(stain, images[: len(learned)])})
    begun = models.load(start) if start else None
    if begun:
        config = config.replace(normalization=method_of(begun)[1].normalization)
    elif task in ENCODED:
        config = config.replace(normalization=segmenters.pretrained_normalization("encoder-unet"))
    elif task != "cryonuseg":
        seen = [
            config.normalization.stain.normalize(image) if stain else image
            for image in images[: len(learned)]
        ]
        pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in seen])
        config = config.replace(
            normalization={"mean": (float(pixels.mean()),) * 3, "std": (float(pixels.std()),) * 3}
        )
    validation = tuple(range(len(learned), len(samples)))
    config = config.replace(train={"validation": validation})
    net = begun.net if begun else fresh_net(task, len(config.classes), width=width)
    history = masks.fit(net, images, [annotation_of(sample, task) for sample in samples], config, out=out)
    print(json.dumps({"task": task, "kept": history.epochs[history.best]}))


# --- Choosing by validation images, and shipping ------------------------------------------------------------------

CHOICES = {
    "glas": [
        {"foreground_threshold": inside, "grow_um": grow * glas.MPP, "min_area_um2": area * glas.MPP**2}
        for inside in (0.3, 0.4, 0.5, 0.65)
        for grow in (4, 7)
        for area in (500, 1000, 1600)
    ],
    "nuclei": [
        {"foreground_threshold": inside, "grow_um": grow, "h_um": waist}
        for inside in (0.2, 0.3, 0.4)
        for grow in (0.5, 0.75)
        for waist in (0.0, 0.15, 0.3)
    ],
}
CHOICES["organs"] = CHOICES["nuclei"]
SHIPPED = {"glas": "glas-masks", "nuclei": "nuclei-masks", "organs": "nuclei-masks"}
TERMS = {
    "glas": "research only, like GlaS (MICCAI 2015 challenge)",
    "nuclei": "CC BY-NC-SA 4.0, like its training images (Kumar 2017)",
    "organs": "CC BY-NC-SA 4.0, like its training images (Kumar 2017, Mahbod 2021)",
}
TAUGHT_BY = {
    "glas": "gland outlines of 67 of the 85 GlaS training images; the 18 others (patients 3, 5, 7, 14, 15) for the"
    " choice of epoch and post-processing",
    "nuclei": "nuclei of 12 images of MultiOrgan (Kumar 2017: breast, kidney, liver, prostate), FullNet's split; its 4"
    " validation images for the choice of epoch and post-processing",
}
TAUGHT_BY["organs"] = (
    f"{TAUGHT_BY['nuclei']}; then also nuclei of 22 images of CryoNuSeg (Mahbod 2021, frozen sections of ten organs),"
    " those not to validate on"
)


def quality(task, truth, prediction):
    """What choices are made by: object F1 and Dice for glands, AJI for nuclei."""
    table = overlaps(truth, prediction)
    return (match_glas(table).f1 + object_dice(table)) / 2 if task == "glas" else aji(table).score


def choose(task, net, config):
    """The config whose way to tell objects apart is best on validation images, and its mean quality."""
    seen = []
    for sample in training_samples(task)[1]:
        image = sample.image()
        maps = predict_tiled(net, preprocess(image, config, sample.mpp), config.normalization, config.tiling)
        seen.append((enlarge(maps, image.shape[:2]), sample.instances(), sample.mpp))

    def mean_quality(choice):
        tried = config.replace(postprocess=choice)
        return np.mean(
            [quality(task, t, label_instances(maps, tried.postprocess, mpp=mpp)) for maps, t, mpp in seen]
        )

    values = [mean_quality(choice) for choice in CHOICES[task]]
    best = int(np.argmax(values))
    print(json.dumps({"task": task, "tta": config.tiling.tta, "chosen": CHOICES[task][best],
                      "validation": values[best], "least": min(values)}))  # fmt: skip
    return config.replace(postprocess=CHOICES[task][best]), float(values[best])


def ship(task, out, views):
    """Choose how objects are told apart, and write `pretrained/<task>-masks`."""
    model = models.load(out)
    config = method_of(model)[1]
    config, value = choose(task, model.net, config.replace(tiling={"tta": views or config.tiling.tta}))
    measure = "mean of object F1 and Dice" if task == "glas" else "AJI"
    card = model.card.model_copy(update={
        "name": SHIPPED[task], "license": TERMS[task], "data": TAUGHT_BY[task], "source": "benchmarks/masks.py train",
        "thresholds": (config.postprocess.foreground_threshold or 0.5,) * len(config.classes),
        "scores": {**model.card.scores, f"validation {measure}": value},
    })  # fmt: skip
    models.save(PRETRAINED / SHIPPED[task], model.net, card, config.to_dict(), half=True)


# --- Scoring ------------------------------------------------------------------------------------------------------


def gland_scores(truth, prediction):
    """Scores of one image by the rules of the GlaS challenge."""
    table = overlaps(truth, prediction)
    farthest = float(np.hypot(*truth.shape))  # where nothing was found at all
    counts = match_glas(table)
    return {"F1": counts.f1, "Dice": object_dice(table),
            "Hausdorff": object_hausdorff(truth, prediction, table=table, one_empty_px=farthest),
            "TP": counts.true_positives, "FP": counts.false_positives, "FN": counts.false_negatives}  # fmt: skip


def nuclei_scores(truth, prediction):
    """Scores of one image of nuclei."""
    table = overlaps(truth, prediction)
    counts, mask, found = match(table), truth > 0, prediction > 0
    return {"AJI": aji(table).score, "Dice": 2 * (mask & found).sum() / max(mask.sum() + found.sum(), 1),
            "F1": counts.f1, "SQ": counts.mean_iou, "PQ": counts.pq, "counted": len(table.prediction_areas),
            "true": len(table.truth_areas)}  # fmt: skip


def pixel_scores(truth, prediction):
    """Pixels and counts of one image, as the U-Nets' notebooks count: 4-connected parts of either mask."""
    mask, found = truth > 0, prediction > 0
    numbers = [int(label_components(m).max()) for m in (mask, found)]
    return {"TP": int((mask & found).sum()), "FP": int((~mask & found).sum()), "FN": int((mask & ~found).sum()),
            "true": numbers[0], "counted": numbers[1],
            "deviation": float(count_deviation(numbers[:1], numbers[1:])[0])}  # fmt: skip


def pooled_f1(rows):
    """F1 of rows of (TP, FP, FN), counted together."""
    hits, false, missed = np.sum(rows, axis=0)
    return 2 * hits / max(2 * hits + false + missed, 1)


def otsu(image):
    """Otsu's threshold on haematoxylin, a mask: the floor that a net must clear."""
    stain = gaussian_filter(rgb2hed(image)[..., 0], 1)
    return stain > threshold_otsu(stain)


LEAST_UM2 = 5.0  # a disk of 2.5 um: no nucleus is smaller; the filter that the U-Nets' author wished for


def summarised(rows, means):
    """Means over images, and F1 of what was counted together, each with its interval."""
    told = {name: interval([row[name] for row in rows]) for name in means}
    if "TP" in rows[0]:
        told["pooled F1"] = interval([[row[k] for k in ("TP", "FP", "FN")] for row in rows], pooled_f1)
    return told


def score(task, out, stain, views):
    """Score one net; yields (what, split, per-image rows, summary)."""
    model = open_model(out or SHIPPED.get(task, f"{task}-masks"))
    net, config = model.net, method_of(model)[1]
    config = config.replace(tiling={"tta": views or config.tiling.tta})
    if stain:
        config = config.replace(normalization={"stain": reference_stain(task, stain)})

    def found(sample, **changes):
        return masks.segment(net, sample.image(), config.replace(**changes), mpp=sample.mpp).instances

    if task == "glas":
        splits, of, means = (
            {"test A": glas.list_samples(data_folder("glas"), "testA")},
            gland_scores,
            ("F1", "Dice", "Hausdorff"),
        )
    elif task in ("nuclei", "organs", "fullnet"):
        splits = {
            split: multiorgan.list_samples(data_folder("multiorgan"), split) for split in ("testA", "testB")
        }
        of, means = nuclei_scores, ("AJI", "Dice", "F1", "SQ", "PQ")
    else:
        splits = {"validation": cryonuseg.list_samples(data_folder("cryonuseg"), "validation")}
        of, means = pixel_scores, ("deviation",)
    everything = []
    for split, samples in splits.items():
        rows = [{"image": s.name, **of(s.instances(), found(s))} for s in samples]
        everything += rows
        yield model.card.name, split, rows, summarised(rows, means)
        if task == "cryonuseg":
            rows = [{"image": s.name, **of(s.instances(), found(s, least_um2=LEAST_UM2))} for s in samples]
            yield (
                f"{model.card.name} without parts below {LEAST_UM2:.3g} um2",
                split,
                rows,
                summarised(rows, means),
            )
            rows = [{"image": s.name, **of(s.instances(), otsu(s.image()))} for s in samples]
            yield "Otsu on haematoxylin", split, rows, summarised(rows, means)
    if len(splits) > 1:
        yield model.card.name, "all", everything, summarised(everything, means)


def tell(told, path):
    """Print a table, and write JSON lines where a path is given."""
    lines = []
    for name, split, rows, summary in told:
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
    parser.add_argument("what", choices=("train", "ship", "score"))
    parser.add_argument("task", choices=tuple(TASKS))
    parser.add_argument("--out", type=Path, help="the trained folder; for score, the shipped net if not said")
    parser.add_argument("--start", type=Path, help="a trained folder whose net goes on learning")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--stain", choices=tuple(METHODS), help="bring images to the stains of those learned from"
    )
    parser.add_argument("--views", type=int, choices=(1, 8), help="symmetries that are averaged")
    given = parser.parse_args()
    if given.what == "score":
        tell(score(given.task, given.out, given.stain, given.views), given.json)
        return
    out = given.out or Path("out") / f"{given.task}-masks"
    if given.what == "train":
        train(given.task, out, given.stain, start=given.start)
    if given.task in CHOICES:
        ship(given.task, out, given.views)


if __name__ == "__main__":
    main()
