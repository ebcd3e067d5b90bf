"""Compare mixed annotation of GlaS's glands with its parts: tags of patches, masks of four images, and both.

    python benchmarks/mixed_glands.py train --arm C --seed 0 --out out/glands-C-0    # a killed run resumes
    python benchmarks/mixed_glands.py score --out out/glands-C-0 --json out/glands.jsonl  # validation images
    python benchmarks/mixed_glands.py score --out out/glands-C-0 --final             # test A, once, at the end
    python benchmarks/mixed.py table out/glands.jsonl

| arm | annotation of the 67 training images |
|---|---|
| A | for each patch of 80 um: it shows glands, or none |
| B | all glands outlined in 4 images, two benign and two malignant |
| C | A and B |

A patch without a pixel of a gland is tagged "absent", one with at least a quarter of glands "present"; the others are
left out. The 18 validation images (patients 3, 5, 7, 14, 15) are outlined in all arms; they choose epochs and
post-processing. A tag costs 3 s, the outline of a gland 60 s. `HSN_DATA` names the folder that holds `glas`.

Measures: IoU of the pixels of glands, of each image, and the object Dice of the challenge.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from mixed import SHORT, append_rows, finish, make_parser, row_of

from hsn import taxonomies
from hsn.annotations.annotation import Annotation, Tag
from hsn.data import data_folder, glas
from hsn.metrics.outlines import object_dice
from hsn.metrics.table import overlaps
from hsn.nets import segmenters
from hsn.nets.encoder_unet import Head
from hsn.supervision import mixed, open_model, segment

ARMS = ("A", "B", "C")
GLAND = "Gland"
PATCH_PX, MIN_SHARE = 129, 0.25  # 80 um; smallest share of glands in a patch that is tagged "present"
TAG_S, OUTLINE_S = 3.0, 60.0
SPLITS = {False: "validation", True: "testA"}


def tags_of(instances):
    """Return the tags of the patches of an image, tuple of Tag."""
    tags = []
    for top in range(0, instances.shape[0] - PATCH_PX + 1, PATCH_PX):
        for left in range(0, instances.shape[1] - PATCH_PX + 1, PATCH_PX):
            share = (instances[top : top + PATCH_PX, left : left + PATCH_PX] > 0).mean()
            if share == 0 or share >= MIN_SHARE:
                box = (top, left, top + PATCH_PX - 1, left + PATCH_PX - 1)
                tags.append(Tag(GLAND, bool(share > 0), box))
    return tuple(tags)


def choose(samples, seed):
    """Return the indices of the outlined images: two of each grade, of different patients."""
    chosen = []
    for k in np.random.default_rng(seed).permutation(len(samples)).tolist():
        same_grade = [j for j in chosen if samples[j].grade == samples[k].grade]
        if len(same_grade) < 2 and samples[k].group not in {samples[j].group for j in chosen}:
            chosen.append(k)
    return chosen


def study(arm, seed):
    """Return images and annotations, training images first, their number, and the minutes of annotation."""
    learned, held_out = (glas.list_samples(data_folder("glas"), split) for split in ("learn", "validation"))
    outlined = choose(learned, seed) if arm in "BC" else []
    annotations, seconds = [], 0.0
    for k, sample in enumerate(learned):
        instances = sample.instances()
        annotation = Annotation(tags=tags_of(instances) if arm in "AC" else ())
        if k in outlined:
            annotation = replace(annotation, objects=instances)
            seconds += OUTLINE_S * (len(np.unique(instances)) - 1)
        seconds += TAG_S * len(annotation.tags)
        annotations.append(annotation)
    annotations += [Annotation(objects=sample.instances()) for sample in held_out]
    return [s.image() for s in (*learned, *held_out)], annotations, len(learned), seconds / 60


def train(arm, seed, out, *, mpp, epochs, steps):
    """Train one arm, with the short schedule and the coarse scale of this comparison."""
    images, annotations, count, minutes = study(arm, seed)
    taxonomy = replace(taxonomies.GLAS, other=None, forced=())
    config = mixed.preset("cpu").replace(
        taxonomies=(taxonomy,),
        mpp=mpp,
        image_mpp=glas.MPP,
        weights={"unlabeled": 0.0},
        targets={"contour_px": 1, "border_sigma_um": 20 * glas.MPP},
        postprocess={"grow_um": 1.5 * mpp, "min_area_um2": 400 * glas.MPP**2},
        train={
            "epochs": epochs,
            "steps": steps,
            "crop_px": 128,
            "seed": seed,
            **SHORT,
            "validation": tuple(range(count, len(images))),
        },
    )
    net = segmenters.build_heads([Head("objects", 3, "softmax")], seed=seed)
    history = mixed.fit(net, images, annotations, config, out=out)
    about = {"arm": arm, "seed": seed, "minutes": minutes, "mpp": mpp, "epochs": epochs, "steps": steps}
    finish(out, about, history)


def score(out, *, final):
    """Yield a row for each image: IoU of the pixels of glands, and object Dice."""
    model = open_model(out)
    for sample in glas.list_samples(data_folder("glas"), SPLITS[final]):
        truth = sample.instances()
        found = segment(sample.image(), model, mpp=glas.MPP).instances
        both, either = ((truth > 0) & (found > 0)).sum(), ((truth > 0) | (found > 0)).sum()
        scores = {"iou": float(both / max(either, 1)), "dice": object_dice(overlaps(truth, found))}
        yield row_of(out, sample.name, scores, final=final)


def main():
    """Parse the command line."""
    parser = make_parser(__doc__, ("train", "score"), ARMS, "C", epochs=8, steps=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mpp", type=float, default=4 * glas.MPP)
    parser.add_argument("--final", action="store_true")
    given = parser.parse_args()
    if given.command == "train":
        train(given.arm, given.seed, given.out, mpp=given.mpp, epochs=given.epochs, steps=given.steps)
    else:
        append_rows(score(given.out, final=given.final), given.json)


if __name__ == "__main__":
    main()
