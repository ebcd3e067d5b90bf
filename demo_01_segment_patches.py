"""Demo 1: which tissue is where, in patches of the Atlas of Digital Pathology.

    python demo_01_segment_patches.py --data FOLDER --weights NAME --out FOLDER

The story of HistoSegNet (Chan et al., ICCV 2019): a net that learned from tags alone says where tissues are, by
their morphology (29 classes) and by their function (5). FOLDER holds the release's `img/01_tuning_patch` and
`gt/01_tuning_patch` (by default those beside this file, which are drawn), or `images_224` and the masks beside it.

The release's net is not ours to ship; without it the demo still counts the truth, finds bare glass by brightness,
sharpens it by the dense CRF, and scores that: the floor which any net has to beat.
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
# Where brightness gives no glass, the floor says the commonest tissue: "Other", or dense connective tissue.
COMMONEST = {"adp-func": "Other", "adp-morph": "C.D.I"}
PEAK = 0.75  # of the map of glass; above half of it a pixel counts as glass

# Pixels of true classes in the release's 50 patches; other data count otherwise.
RELEASE_PIXELS = {
    "adp-func": {"Background": 6527971, "Other": 37771290, "G.O": 9137722, "G.N": 2863848, "T": 2886369}
}


def main(data, weights, out):
    """Tell the story; returns the paths of all files written."""
    samples = adp.list_samples(data)
    tags = sum(len(s.tags) for s in samples) / len(samples)
    print(
        f"{len(samples)} patches of {len({s.group for s in samples})} slides from {data}, {tags:.2f} tags each\n"
    )
    files = [*truth(samples, out), *floors(samples, out), *net(samples, weights, out)]
    print("\n".join(f"wrote {path}" for path in files))
    return files


def truth(samples, out):
    """What the truth holds: pixels a class, and how many patches show it."""
    for name in TAXONOMIES:
        taxonomy = taxonomies.get(name)
        each = [
            np.bincount(labels[known], minlength=len(taxonomy))
            for labels, known in (s.truth(name) for s in samples)
        ]
        pixels, shown = np.sum(each, axis=0), np.sum(np.array(each) > 0, axis=0)
        rows = [
            {"class": c.name, "meaning": c.meaning, "pixels": p, "patches": n}
            for c, p, n in zip(taxonomy.classes, pixels.tolist(), shown.tolist(), strict=True)
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


def floors(samples, out):
    """Glass where it is bright, the commonest tissue elsewhere; then the same after the dense CRF."""
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
            np.hstack([image, to_colors(labels["CRF"], tally.taxonomy), _painted(true, known, image, tally)])
        )
    for name, tally in tallies.items():
        for stage, scores in tally.scores().items():
            print(
                f"{name}, floor by {stage}: mIoU {scores.mean_iou_absent_zero:.4f}, Background IoU {scores.iou[0]:.4f}"
            )
    sheet = figures.contact_sheet(
        pictures,
        [s.name for s in samples],
        columns=3,
        side_in=4,
        title="image, floor (glass or other), truth",
    )
    figures.write(sheet, out / "floors" / "sheet.png")
    return [*write_scores(out / "floors", tallies.values()), out / "floors" / "sheet.png"]


def _painted(true, known, image, tally):
    """Truth as a picture of the image's size; black where it is not known."""
    true, known = (resize_labels(x, image.shape[:2]) for x in (true, known))
    return to_colors(true, tally.taxonomy) * known[..., None].astype(np.uint8)


def net(samples, weights, out):
    """What the net says, scored after each stage."""
    try:
        model = hsn.load(weights)
    except hsn.InputError as error:
        print(f"\nNo net, so no segmentation: {error}")
        print(
            "The release is linked in the README of https://github.com/lyndonchan/hsn_v1 (226 MB, research only). "
            "Save it and run `hsn models import hsn_data.zip`; then call this demo again."
        )
        return []
    made = write_report(model, samples, out=out / "net", unlisted="false_alarms")
    print(f"\n{made}")
    for name, why in made.failures:
        print(f"failed: {name}: {why}")
    return made.files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent)
    parser.add_argument("--weights", default=RELEASE, help="name or folder of a trained net")
    parser.add_argument("--out", type=Path, default=Path("out/01_tuning_patch"))
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        raise SystemExit(str(error)) from None
