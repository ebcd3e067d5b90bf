"""Demo 1: segment tissue types in patches of the Atlas of Digital Pathology.

    python demo_01_segment_patches.py --data FOLDER --weights NAME --out FOLDER

HistoSegNet (Chan et al., ICCV 2019) is trained on tags only. It segments tissue by morphology (29 classes) and by
function (5 classes). FOLDER holds the release's `img/01_tuning_patch` and `gt/01_tuning_patch`, or `images_224` and
masks. Default: the synthetic patches of this repository.

The net of the release does not ship with hsn. Without it, the demo counts the truth and scores a baseline: bare glass
by brightness, refined by the dense CRF.
"""

import argparse
from pathlib import Path

import numpy as np

import hsn
from hsn import InputError, taxonomies
from hsn.annotations.colors import resize_labels, to_colors
from hsn.data import adp
from hsn.reports import figures, tables
from hsn.reports.confusion import ConfusionCounts, write_scores
from hsn.reports.report import write_report
from hsn.supervision.tags.adjust import compute_glass

RELEASE = "histonet-x1.7-adp"
TAXONOMIES = ("adp-morph", "adp-func")
# The baseline labels everything except glass as the most common tissue.
COMMONEST = {"adp-func": "Other", "adp-morph": "C.D.I"}
PEAK = 0.75  # peak of the glass map; a pixel is glass above half of it

# True pixels per class in the 50 patches of the release.
RELEASE_PIXELS = {
    "adp-func": {"Background": 6527971, "Other": 37771290, "G.O": 9137722, "G.N": 2863848, "T": 2886369}
}


def main(data, weights, out):
    """Run the demo; return the paths of all written files."""
    samples = adp.list_samples(data)
    tags = sum(len(s.tags) for s in samples) / len(samples)
    print(
        f"{len(samples)} patches of {len({s.group for s in samples})} slides from {data}, {tags:.2f} tags each\n"
    )
    files = [*count_truth(samples, out), *score_baseline(samples, out), *score_net(samples, weights, out)]
    print("\n".join(f"wrote {path}" for path in files))
    return files


def count_truth(samples, out):
    """Count pixels and patches of each true class; yield the written files."""
    for name in TAXONOMIES:
        taxonomy = taxonomies.get(name)
        counts = [
            np.bincount(labels[known], minlength=len(taxonomy))
            for labels, known in (s.truth(name) for s in samples)
        ]
        pixels, patches = np.sum(counts, axis=0), np.sum(np.array(counts) > 0, axis=0)
        rows = [
            {"class": c.name, "meaning": c.meaning, "pixels": p, "patches": n}
            for c, p, n in zip(taxonomy.classes, pixels.tolist(), patches.tolist(), strict=True)
        ]
        print(f"{name}, truth:")
        print(
            "\n".join(
                f"  {r['class']:<10} {r['pixels']:>11,} px in {r['patches']:>2} patches"
                for r in rows
                if r["pixels"]
            )
        )
        expected = RELEASE_PIXELS.get(name)
        if expected:
            same = {r["class"]: r["pixels"] for r in rows} == expected
            print(f"  these are {'' if same else 'not '}the counts of the release's 50 patches")
        yield out / f"truth_{name}.csv"
        tables.write_rows(out / f"truth_{name}.csv", rows)


def score_baseline(samples, out):
    """Label bright pixels as glass and the rest as the most common tissue; score before and after the CRF."""
    tallies, pictures = (
        {name: ConfusionCounts(taxonomies.get(name), unlisted="false_alarms") for name in TAXONOMIES},
        [],
    )
    for sample in samples:
        image = sample.image()
        bright = compute_glass(image, taxonomies.ADP_FUNC.background) / PEAK  # (H, W) in [0, 1]
        refined = hsn.refine(np.stack([1 - bright, bright], axis=2), image)
        for name, tally in tallies.items():
            pair = [tally.taxonomy.index(c) for c in (COMMONEST[name], tally.taxonomy.background.name)]
            labels = {"brightness": np.take(pair, bright > 0.5), "CRF": np.take(pair, refined.argmax(axis=2))}
            true, known = sample.truth(name)
            tally.add(true, labels, valid_mask=known)
        pictures.append(
            np.hstack(
                [image, to_colors(labels["CRF"], tally.taxonomy), _truth_colors(true, known, image, tally)]
            )
        )
    for name, tally in tallies.items():
        for stage, scores in tally.scores().items():
            print(
                f"{name}, baseline by {stage}: mIoU {scores.mean_iou_absent_zero:.4f},"
                f" Background IoU {scores.iou[0]:.4f}"
            )
    sheet = figures.contact_sheet(
        pictures,
        [s.name for s in samples],
        columns=3,
        side_in=4,
        title="image, baseline (glass or other), truth",
    )
    figures.write(sheet, out / "baseline" / "sheet.png")
    return [*write_scores(out / "baseline", tallies.values()), out / "baseline" / "sheet.png"]


def _truth_colors(true, known, image, tally):
    """Return the truth in colors at the size of the image; unknown pixels are black."""
    true, known = (resize_labels(x, image.shape[:2]) for x in (true, known))
    return to_colors(true, tally.taxonomy) * known[..., None].astype(np.uint8)


def score_net(samples, weights, out):
    """Segment the patches with a net, and score each stage; return the written files."""
    try:
        model = hsn.load(weights)
    except hsn.InputError as error:
        print(f"\nThe net is missing: {error}")
        print(
            "The release is linked in the README of https://github.com/lyndonchan/hsn_v1 (226 MB, research only). "
            "Save it, run `hsn models import hsn_data.zip`, then run this demo again."
        )
        return []
    report = write_report(model, samples, out=out / "net", unlisted="false_alarms")
    print(f"\n{report}")
    for name, reason in report.failures:
        print(f"failed: {name}: {reason}")
    return report.files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent)
    parser.add_argument("--weights", default=RELEASE, help="name or folder of a trained net")
    parser.add_argument("--out", type=Path, default=Path("out/01_tuning_patch"))
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        raise SystemExit(str(error)) from None
