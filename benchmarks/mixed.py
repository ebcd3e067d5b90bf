"""Compare mixed annotation of Kumar's nuclei with its parts: clicks, outlines, and both, at their cost.

    python benchmarks/mixed.py train --arm C --seed 0 --out out/mixed-C-0       # one arm; a killed run resumes
    python benchmarks/mixed.py score --out out/mixed-C-0 --json out/mixed.jsonl # validation images
    python benchmarks/mixed.py score --out out/mixed-C-0 --final                # test images, once, at the end
    python benchmarks/mixed.py table out/mixed.jsonl              # means over seeds, intervals over images
    python benchmarks/mixed.py labels --arm A --json benchmarks/results/mixed_labels.json  # errors of targets by source
    python benchmarks/mixed.py train --arm C --mpp 0.5 --epochs 6 --steps 40 --out out/small-C   # the smaller run

| arm | annotation of the 12 training images |
|---|---|
| A | clicks on 10 % of the nuclei of all images |
| B | all nuclei outlined in one region of 250 x 250 px of each of 3 images |
| B2 | the same in 6 images |
| C | A and B |
| D | C, and pseudo-labels of all unknown pixels |
| M | all nuclei outlined in all images: the upper bound |

The four validation images of FullNet's split are outlined in all arms; they choose epochs and post-processing. They are
not part of the cost. Arms other than D use no pseudo-labels. A click costs 1.5 s, an outline 25 s. `HSN_DATA` names the
folder that holds `multiorgan`.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from hsn.annotations.annotation import Annotation, Point, Shape
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import data_folder, multiorgan
from hsn.metrics.intervals import interval
from hsn.metrics.objects import aji, match
from hsn.metrics.table import overlaps
from hsn.nets import segmenters
from hsn.nets.encoder_unet import Head
from hsn.projects.cost import SECONDS
from hsn.supervision import mixed, open_model, segment
from hsn.supervision.mixed.sources import bits
from hsn.supervision.mixed.target_maps import know

ARMS = ("A", "B", "B2", "C", "D", "M")
REGION_PX, RATIO = 250, 0.10
# For trainings of a few hundred batches. With the numbers of the preset (100 batches of warm-up, a moving average over
# 200) the kept weights lag far behind.
SHORT = {"warmup_steps": 30, "ema_momentum": 0.98}
MEASURES = ("aji", "pq", "iou", "dice")
SPLITS = {False: ("validation",), True: ("testA", "testB")}


def samples(*splits):
    """List the samples of some splits, in order."""
    return [s for split in splits for s in multiorgan.list_samples(data_folder("multiorgan"), split)]


def annotate(instances, arm, outlined, rng):
    """Return the annotation of a training image, and the numbers of clicks and outlines.

    Parameters
    ----------
    instances : int32 array, shape (H, W)
    arm : str
    outlined : bool
        Whether the image has an outlined region in arms with outlines.
    rng : numpy.random.Generator
    """
    clicks = sample_points(points_from_instances(instances), RATIO, rng_or_seed=rng)
    top, left = rng.integers(0, np.array(instances.shape) - REGION_PX + 1)
    points = tuple(Point(*click) for click in clicks.tolist()) if arm in "ACD" else ()
    if arm == "M":
        return Annotation(objects=instances), 0, len(np.unique(instances)) - 1
    if arm == "A" or not outlined:
        return Annotation(points=points), len(points), 0
    window = np.s_[top : top + REGION_PX, left : left + REGION_PX]
    kept = np.zeros_like(instances)
    kept[window] = instances[window]
    low, high = np.array([top, left]) - 0.5, np.array([top, left]) + REGION_PX - 0.5
    corners = np.array([low, [low[0], high[1]], high, [high[0], low[1]]])
    region = (Shape((corners,), "Region*"),)
    annotation = Annotation(objects=kept, points=points, complete_region=region)
    return annotation, len(points), len(np.unique(kept)) - 1


def study(arm, seed):
    """Return images and annotations, training images first, their number, and the minutes of annotation."""
    learned, held_out = samples("train"), samples("validation")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(learned))[: {"B2": 6}.get(arm, 3)].tolist()
    annotated = [annotate(s.instances(), arm, k in chosen, rng) for k, s in enumerate(learned)]
    annotations = [annotation for annotation, _, _ in annotated]
    annotations += [Annotation(objects=s.instances()) for s in held_out]
    minutes = (
        sum(SECONDS["points"] * clicks + SECONDS["masks"] * outlines for _, clicks, outlines in annotated)
        / 60
    )
    return [s.image() for s in (*learned, *held_out)], annotations, len(learned), minutes


def short_config(mpp, train):
    """Return the config of the mixed trainer for Kumar's images at a scale, with the schedule of short trainings."""
    config = mixed.preset("cpu").replace(
        mpp=mpp,
        image_mpp=multiorgan.MPP,
        weights={"unlabeled": 0.0},
        postprocess={"grow_um": 3 * mpp},
        train=SHORT | train,
    )
    if mpp > multiorgan.MPP:
        config = config.replace(
            targets={"contour_px": 1}, postprocess={"grow_um": 1.5 * mpp}, train={"crop_px": 192}
        )
    return config


def train(arm, seed, out, *, mpp, epochs, steps, click_epochs):
    """Train one arm; `click_epochs` of the epochs are the first stage of arms with clicks."""
    images, annotations, count, minutes = study(arm, seed)
    first = click_epochs if arm in "ACD" else 0
    config = short_config(mpp, {"epochs": epochs - first, "steps": steps, "seed": seed,
                                "validation": tuple(range(count, len(images)))})  # fmt: skip
    config = config.replace(click_epochs=first, weights=None if arm == "D" else config.weights)
    net = segmenters.build_heads([Head("objects", 3, "softmax")], seed=seed)
    history = mixed.fit(net, images, annotations, config, out=out)
    about = {"arm": arm, "seed": seed, "minutes": minutes, "mpp": mpp, "epochs": epochs, "steps": steps}
    finish(out, about | {"click_epochs": first}, history)


def finish(out, about, history):
    """Write what a run was, and its kept epoch, beside its net."""
    kept = {"best": history.epochs[history.best]}
    (Path(out) / "benchmark.json").write_text(json.dumps(about | kept, indent=1))
    print(json.dumps(about), flush=True)


def row_of(out, image, scores, *, final):
    """Return the row of an image: what the run was, and the scores."""
    about = json.loads((Path(out) / "benchmark.json").read_text())
    run = {name: about[name] for name in ("arm", "seed", "minutes", "mpp", "epochs", "steps")}
    return run | {"split": "test" if final else "validation", "image": image} | scores


def append_rows(rows, path):
    """Print rows, and append them to a file of JSON lines, if one is given."""
    for row in rows:
        print(json.dumps(row), flush=True)
        if path:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def score(out, *, final):
    """Yield a row for each image: AJI and PQ."""
    model = open_model(out)
    for sample in samples(*SPLITS[final]):
        found = segment(sample.image(), model, mpp=multiorgan.MPP).instances
        table = overlaps(sample.instances(), found)
        yield row_of(out, sample.name, {"aji": aji(table).score, "pq": match(table).pq}, final=final)


def measure_labels(arm, seed, json_file):
    """Print, for each source, the known pixels of the training images, and the shares of wrong ones."""
    images, annotations, count, _ = study(arm, seed)
    config = mixed.preset("cpu").replace(image_mpp=multiorgan.MPP)
    totals = defaultdict(lambda: np.zeros(4, np.int64))
    for image, annotation, sample in zip(images[:count], annotations, samples("train"), strict=False):
        maps = know(image, annotation, image.shape[:2], config).heads["objects"]
        objects, truth = maps.possible != bits([0]), sample.instances() > 0
        for source in np.unique(maps.source[maps.weight > 0]).tolist():
            own = maps.source == source
            parts = (own & objects, own & objects & ~truth, own & ~objects, own & ~objects & truth)
            totals[source] += [part.sum() for part in parts]
    rows = {
        str(source): {"object_pixels": int(a), "wrong_objects": b / max(a, 1), "background_pixels": int(c),
                      "wrong_background": d / max(c, 1)}
        for source, (a, b, c, d) in totals.items()
    }  # fmt: skip
    result = {"command": f"python benchmarks/mixed.py labels --arm {arm} --seed {seed}", "sources": rows}
    print(json.dumps(result, indent=1))
    if json_file:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


def tabulate(path):
    """Print mean scores of each arm with 95 % intervals over images; an image's score is the mean over seeds."""
    arms = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, Path(path).read_text().splitlines()):
        arms[row["split"], row["arm"]][row["image"]].append(row)
    for (split, arm), images in sorted(arms.items()):
        rows = [row for own in images.values() for row in own]
        minutes, seeds = np.mean([row["minutes"] for row in rows]), {row["seed"] for row in rows}
        texts = []
        for name in (name for name in MEASURES if name in rows[0]):
            found = interval([np.mean([row[name] for row in own]) for own in images.values()])
            texts.append(f"{name} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
        print(
            f"{split} {arm}: {minutes:.0f} min, {len(seeds)} seeds, {len(images)} images, {', '.join(texts)}"
        )


def make_parser(doc, commands, arms, arm, *, epochs, steps):
    """Return a parser with the options that the benchmarks of mixed annotation share."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=commands)
    parser.add_argument("--arm", choices=arms, default=arm)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--json", type=Path)
    return parser


def main():
    """Parse the command line."""
    parser = make_parser(__doc__, ("train", "score", "table", "labels"), ARMS, "C", epochs=16, steps=100)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--mpp", type=float, default=multiorgan.MPP)
    parser.add_argument(
        "--click-epochs", type=int, default=0, help="of the epochs: the first stage of clicks"
    )
    parser.add_argument("--final", action="store_true")
    given = parser.parse_args()
    if given.command == "train":
        options = {name: getattr(given, name) for name in ("mpp", "epochs", "steps", "click_epochs")}
        train(given.arm, given.seed, given.out, **options)
    elif given.command == "score":
        append_rows(score(given.out, final=given.final), given.json)
    elif given.command == "labels":
        measure_labels(given.arm, given.seed, given.json)
    else:
        tabulate(given.file)


if __name__ == "__main__":
    main()
