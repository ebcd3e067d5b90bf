"""Demo 2: segment glands in images of colon (GlaS).

    python demo_02_segment_glas_patches.py --data FOLDER --split testA --weights NAME --out FOLDER

FOLDER holds `images` and `labels_instance`, or the files of the challenge, or the release's `img/02_glas_full` and
`gt/02_glas_full`. Default: the synthetic images of this repository. The included net was trained on tags only: whether
a crop contains glands. GlaS is for research only.
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
    """Run the demo; return the paths of all written files."""
    samples = glas.list_samples(data, split)
    print(f"{len(samples)} images of split '{split}' from {data}\n")
    print(f"all gland (the baseline), {score_all_gland(samples)}\n")
    report = write_report(weights, samples, out=out)
    print(report)
    for name, reason in report.failures:
        print(f"failed: {name}: {reason}")
    print("\n".join(f"wrote {path}" for path in report.files))
    return report.files


def score_all_gland(samples):
    """Score the prediction that every pixel is gland."""
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
