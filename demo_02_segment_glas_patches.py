"""Demo 2: where the glands are, in images of colon (GlaS).

    python demo_02_segment_glas_patches.py --data FOLDER --split testA --weights NAME --out FOLDER

FOLDER holds `images` and `labels_instance`, or the challenge's own files, or the release's `img/02_glas_full` and
`gt/02_glas_full` (by default those beside this file, which are drawn). The net that ships with hsn learned only
whether a crop shows glands; where they are was never said to it. GlaS is for research only.
"""

import argparse
from pathlib import Path

import numpy as np

from hsn import InputError, taxonomies
from hsn.data import glas
from hsn.reports.confusion import ConfusionCounts
from hsn.reports.report import write_report

SHIPPED = "glas-tags"


def main(data, split, weights, out):
    """Tell the story; returns the paths of all files written."""
    samples = glas.list_samples(data, split)
    print(f"{len(samples)} images of split '{split}' from {data}\n")
    print(f"all gland (the floor), {score_of_all_gland(samples)}\n")
    made = write_report(weights, samples, out=out)
    print(made)
    for name, why in made.failures:
        print(f"failed: {name}: {why}")
    print("\n".join(f"wrote {path}" for path in made.files))
    return made.files


def score_of_all_gland(samples):
    """What it scores to call everything gland."""
    tally = ConfusionCounts(taxonomies.GLAS)
    for sample in samples:
        truth, known = sample.truth("glas")
        tally.add(truth, {"all gland": np.ones_like(truth)}, valid_mask=known)
    (scores,) = tally.scores().values()
    return f"mIoU {scores.mean_iou:.4f}, G.O IoU {scores.iou[1]:.4f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent)
    parser.add_argument("--split", choices=glas.SPLITS, default="all")
    parser.add_argument("--weights", default=SHIPPED, help="name or folder of a trained net")
    parser.add_argument("--out", type=Path, default=Path("out/02_glas_full"))
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        raise SystemExit(str(error)) from None
