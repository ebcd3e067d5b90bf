"""Compare the mixed trainer, given one kind of annotation, with the preset of that kind.

    python benchmarks/mixed_kinds.py train --arm masks-mixed --seed 0 --out out/k-masks-mixed-0
    python benchmarks/mixed_kinds.py score --out out/k-masks-mixed-0 --json out/kinds.jsonl
    python benchmarks/mixed_kinds.py table out/kinds.jsonl     # difference of the means, interval over images

Both have the same net, images, scale, crops, number of batches and schedule; Kumar's 12 training images, and FullNet's
four validation images for the choice of the epoch and of post-processing.

| arm | annotation of the training images | trainer |
|---|---|---|
| masks-mixed, masks-preset | all nuclei outlined | `mixed`, `masks` |
| points-mixed, points-preset | clicks on 10 % of the nuclei | `mixed`, `points` with its three stages |

The validation images are outlined for `mixed` and `masks`, and completely clicked for `points`, which cannot use more.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from mixed import SHORT, append_rows, finish, make_parser, samples, score, study

from hsn.annotations.sampling import points_from_instances
from hsn.data import multiorgan
from hsn.metrics.intervals import interval
from hsn.nets import segmenters
from hsn.nets.encoder_unet import Head
from hsn.supervision import masks, mixed, points

ARMS = ("masks-mixed", "masks-preset", "points-mixed", "points-preset")
MPP, CROP_PX = 0.5, 128
POINTS_STAGES = {"detection_epochs": 1, "object_epochs": 2}  # of 6 epochs: two detections, two, and two


def config_of(arm, base, train, epochs):
    """Return the config of an arm: the preset at the scale and with the batches of this comparison."""
    if arm == "points-preset":
        stages = POINTS_STAGES | {"complete_validation": True}
        left = epochs - (base.rounds + 1) * stages["detection_epochs"] - stages["object_epochs"]
        return base.for_mpp(MPP).replace(
            image_mpp=multiorgan.MPP, targets={"contour_px": 1}, train=train | {"epochs": left}, **stages
        )
    config = base.replace(
        mpp=MPP,
        image_mpp=multiorgan.MPP,
        tune_postprocess=True,
        targets={"contour_px": 1},
        postprocess={"grow_um": 1.5 * MPP},
        train=train | {"epochs": epochs},
    )
    return config.replace(weights={"unlabeled": 0.0}) if arm.endswith("mixed") else config


def train(arm, seed, out, *, epochs, steps):
    """Train one arm."""
    kind, trainer = arm.split("-")
    images, annotations, count, minutes = study("M" if kind == "masks" else "A", seed)
    module = {"mixed": mixed}.get(trainer, {"masks": masks, "points": points}[kind])
    schedule = {"batch_size": 4, "crop_px": CROP_PX, "steps": steps, "seed": seed, **SHORT}
    schedule["validation"] = tuple(range(count, len(images)))
    base = module.preset("cpu").replace(
        normalization=segmenters.pretrained_normalization("encoder-unet"),
    )
    config = config_of(arm, base, schedule, epochs)
    if module is masks:
        annotations = [annotation.objects for annotation in annotations]
    if module is points:
        clicks = [[(p.row, p.col) for p in annotation.points] for annotation in annotations[:count]]
        clicks += [points_from_instances(sample.instances()) for sample in samples("validation")]
        annotations = [np.array(each, float) for each in clicks]
    net = segmenters.build_heads([Head("objects", 3, "softmax")], seed=seed)
    history = module.fit(net, images, annotations, config, out=out)
    about = {"arm": arm, "seed": seed, "minutes": minutes, "mpp": MPP, "epochs": epochs, "steps": steps}
    finish(out, about, history)


def tabulate(path):
    """Print, for each kind and measure, the means and their difference, with the interval over images."""
    scores = defaultdict(lambda: defaultdict(list))
    for row in map(json.loads, Path(path).read_text().splitlines()):
        for measure in ("aji", "pq"):
            scores[row["arm"], measure][row["image"]].append(row[measure])
    for kind in ("masks", "points"):
        for measure in ("aji", "pq"):
            ours, theirs = (scores[f"{kind}-{trainer}", measure] for trainer in ("mixed", "preset"))
            if not ours or ours.keys() != theirs.keys():
                continue
            pairs = np.array([(np.mean(ours[image]), np.mean(theirs[image])) for image in ours])
            found = interval(pairs[:, 0] - pairs[:, 1])
            means, seeds = pairs.mean(axis=0), max(map(len, ours.values()))
            print(f"{kind} {measure}: mixed {means[0]:.3f}, preset {means[1]:.3f}, difference {found.value:+.3f}"
                  f" [{found.low:+.3f}, {found.high:+.3f}], {seeds} seeds")  # fmt: skip


def main():
    """Parse the command line."""
    parser = make_parser(__doc__, ("train", "score", "table"), ARMS, ARMS[0], epochs=6, steps=40)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.command == "train":
        train(given.arm, given.seed, given.out, epochs=given.epochs, steps=given.steps)
    elif given.command == "score":
        append_rows(score(given.out, final=False), given.json)
    else:
        tabulate(given.file)


if __name__ == "__main__":
    main()
