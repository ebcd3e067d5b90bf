"""Check the planner's forecast on Kumar's nuclei: from 5 and from 10 % of the clicks for 25 and 50 %.

    python benchmarks/mixed_plan.py train --arm 5 --seed 0 --out out/p-5-0       # 1.25, 2.5, 5, 10, 25 and 50 %
    python benchmarks/mixed_plan.py score --out out/p-5-0 --json out/plan.jsonl  # the four validation images
    python benchmarks/mixed_plan.py check out/plan.jsonl                         # forecasts against what was measured

The arms are nested parts of all clicks on the 12 training images, as `hsn plan` makes them. A click costs 1.5 s. The
curve of `hsn.projects.forecast` goes through the scores of all parts up to 5 or 10 %.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from mixed import append_rows, finish, make_parser, samples, score, short_config

from hsn.annotations.annotation import Annotation, Point
from hsn.annotations.sampling import points_from_instances
from hsn.nets import segmenters
from hsn.nets.encoder_unet import Head
from hsn.projects.cost import SECONDS
from hsn.projects.forecast import LEAST_PARTS, forecast
from hsn.projects.subsets import part_of
from hsn.supervision import mixed

PERCENTS = ("1.25", "2.5", "5", "10", "25", "50")
MPP = 0.5


def study(percent, seed):
    """Return images and annotations, training images first, their number, and the minutes of annotation."""
    learned, held_out = samples("train"), samples("validation")
    clicked = []
    for sample in learned:
        points = points_from_instances(sample.instances())
        clicked.append(Annotation(points=tuple(Point(*point) for point in points.tolist())))
    parts = part_of(clicked, "points", percent / 100, seed=seed)
    minutes = sum(len(part.points) for part in parts) * SECONDS["points"] / 60
    parts += [Annotation(objects=sample.instances()) for sample in held_out]
    return [sample.image() for sample in (*learned, *held_out)], parts, len(learned), minutes


def train(percent, seed, out, *, epochs, steps):
    """Train one arm; post-processing is not tuned, as in `hsn plan`."""
    images, annotations, count, minutes = study(float(percent), seed)
    schedule = {
        "epochs": epochs,
        "steps": steps,
        "seed": seed,
        "validation": tuple(range(count, len(images))),
    }
    config = short_config(MPP, schedule).replace(tune_postprocess=False)
    net = segmenters.build_heads([Head("objects", 3, "softmax")], seed=seed)
    history = mixed.fit(net, images, annotations, config, out=out)
    about = {"arm": percent, "seed": seed, "minutes": minutes, "mpp": MPP, "epochs": epochs, "steps": steps}
    finish(out, about, history)


def check(path, measure):
    """Print the forecasts from 5 and 10 % for 25 and 50 %, and what these parts really scored."""
    scores, minutes = defaultdict(lambda: defaultdict(list)), {}
    for row in map(json.loads, Path(path).read_text().splitlines()):
        scores[row["arm"]][row["image"]].append(row[measure])
        minutes[row["arm"]] = row["minutes"]
    table = {arm: np.array([np.mean(own[image]) for image in sorted(own)]) for arm, own in scores.items()}
    for percent in (percent for percent in PERCENTS if percent in table):
        print(f"{percent} %: {minutes[percent]:.1f} min, {measure} {table[percent].mean():.3f}")
    for last in (5, 10):
        known = [percent for percent in PERCENTS if float(percent) <= last and percent in table]
        if len(known) < LEAST_PARTS:
            continue
        spent = [minutes[percent] for percent in known]
        goals = [goal for goal in ("25", "50") if goal in table]
        more = [minutes[goal] - spent[-1] for goal in goals]
        found = forecast(spent, np.stack([table[percent] for percent in known]), more)
        for goal, expected in zip(goals, found, strict=True):
            truth = table[goal].mean()
            inside = "inside" if expected.low <= truth <= expected.high else "outside"
            print(f"from {last} % for {goal} %: {expected.score:.3f} [{expected.low:.3f}, {expected.high:.3f}],"
                  f" measured {truth:.3f}, {inside}")  # fmt: skip


def main():
    """Parse the command line."""
    parser = make_parser(__doc__, ("train", "score", "check"), PERCENTS, "10", epochs=3, steps=40)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=("aji", "pq"), default="pq")
    given = parser.parse_args()
    if given.command == "train":
        train(given.arm, given.seed, given.out, epochs=given.epochs, steps=given.steps)
    elif given.command == "score":
        append_rows(score(given.out, final=False), given.json)
    else:
        check(given.file, given.measure)


if __name__ == "__main__":
    main()
