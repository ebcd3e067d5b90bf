"""Compare synthetic pairs with their patch: stain, texture, and the Dice of a nucleus model.

    python benchmarks/synthesize.py                              # all patches, seed 0: generate missing pairs, score
    python benchmarks/synthesize.py liver --seed 1               # one patch, another seed
    python benchmarks/synthesize.py dsb --picture docs/synthetic.png

Each patch is 256 x 256 pixels. `HSN_DATA` names the folder that holds `multiorgan` (Kumar 2017, CC BY-NC-SA) and
`dsb2018_histology` (2018 Data Science Bowl, CC0). Pairs stay in `--out`; existing pairs are only scored, a
killed run resumes.

Inside minus outside: difference of the mean optical density of hematoxylin inside and outside of nuclei. Spread: its
standard deviation inside nuclei, averaged over images. Dice: of the shipped `nuclei-masks`, which was trained on all
Kumar patches here. "flat" is the control: the same layouts in two colors, the means of the patch inside and outside.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from skimage.color import rgb2hed

from hsn import segment
from hsn.annotations.label_files import read_labels
from hsn.data import data_folder
from hsn.extras.singan.synthesis import synthesize
from hsn.images.read import read
from hsn.metrics.intervals import interval
from hsn.reports.figures import contact_sheet, write
from hsn.reports.overlay import overlay
from hsn.supervision import open_model
from hsn.taxonomies import NUCLEI

SIDE_PX, MPP = 256, 0.25
PATCHES = {  # folder, start of the image's name, first row and column
    "dsb": ("dsb2018_histology", "cbca32daaa", 0, 0),
    "liver": ("multiorgan", "TCGA-18-5592", 372, 372),
    "breast": ("multiorgan", "TCGA-A7-A13F", 372, 372),
    "prostate": ("multiorgan", "TCGA-G9-6336", 372, 372),
}
SHOWN = 3  # pairs in the picture


def patch_of(name):
    """Return image and instances of a patch."""
    folder, start, row, column = PATCHES[name]
    (path,) = (data_folder(folder) / "images").glob(f"{start}*.png")
    box = slice(row, row + SIDE_PX), slice(column, column + SIDE_PX)
    return read(path)[box], read_labels(data_folder(folder) / "labels_instance" / path.name)[box]


def flat(image, instances, layout):
    """Draw a layout in two colors: the means of the patch inside and outside of nuclei."""
    inside = instances > 0
    colors = np.stack([image[~inside].mean(axis=0), image[inside].mean(axis=0)])
    return np.rint(colors[(layout > 0).astype(int)]).astype(np.uint8)


def measure(image, instances, model):
    """Measure the stain difference, the spread inside nuclei, and the Dice of a model."""
    inside = instances > 0
    stain = rgb2hed(image)[..., 0]
    found = segment(image, model, mpp=MPP).instances > 0
    dice = 2 * (found & inside).sum() / max(found.sum() + inside.sum(), 1)
    return {
        "inside - outside": stain[inside].mean() - stain[~inside].mean(),
        "spread": stain[inside].std(),
        "Dice": dice,
    }


def paint(name, out, *, count, seed, mode):
    """Generate or load the pairs of a patch; return them and the time."""
    image, instances = patch_of(name)
    start, cpu = time.perf_counter(), time.process_time()
    printed = [0]

    def print_progress(event):
        if event.stage != "painting" and event.done % 100 == 0 and event.done != printed[0]:
            printed[0] = event.done
            print(f"{name}: {event.stage}, {event.done} of {event.total}", flush=True)

    pairs = synthesize(image, instances, out=out, count=count, seed=seed, mode=mode, progress=print_progress)
    return image, instances, pairs, (time.perf_counter() - start, time.process_time() - cpu)


def picture(path, image, instances, pairs):
    """Draw the patch and its first pairs, without and with outlines."""
    both = [(image, instances), *zip(pairs.images, pairs.instances, strict=True)][: SHOWN + 1]
    outlined = [
        overlay(i, (m > 0).astype(int), NUCLEI, opacity=0, outline_px=1, skip=NUCLEI.names[:1], instances=m)
        for i, m in both
    ]
    captions = ["annotated patch", *["synthetic"] * SHOWN, *["with its nuclei"] * (SHOWN + 1)]
    sheet = contact_sheet([*(i for i, _ in both), *outlined], captions, columns=SHOWN + 1, side_in=2.6)
    write(sheet, path, dpi=110)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patches", nargs="*", help=f"of {', '.join(PATCHES)}; all if none is named")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", default="repaired", choices=("repaired", "released"))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("out") / "synthetic")
    parser.add_argument("--picture", type=Path, help="of the first patch")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = open_model("nuclei-masks")
    lines = []
    for number, name in enumerate(given.patches or PATCHES):
        out = given.out / f"{name}-{given.mode}-{given.seed}"
        image, instances, pairs, spent = paint(name, out, count=given.count, seed=given.seed, mode=given.mode)
        real = measure(image, instances, model)
        rows = [measure(i, m, model) for i, m in zip(*pairs, strict=True)]
        control = [measure(flat(image, instances, m), m, model) for m in pairs.instances]
        line = {"patch": name, "seed": given.seed, "mode": given.mode, "wall_s": spent[0], "cpu_s": spent[1]}
        for key, value in real.items():
            made = interval([row[key] for row in rows])
            line[key] = {
                "real": float(value),
                "synthetic": list(made),
                "flat": float(np.mean([c[key] for c in control])),
            }
        lines.append(line)
        told = (
            f"{key} {v['real']:.4f}, synthetic {v['synthetic'][0]:.4f} [{v['synthetic'][1]:.4f},"
            f" {v['synthetic'][2]:.4f}], flat {v['flat']:.4f}"
            for key, v in line.items()
            if isinstance(v, dict)
        )
        print(f"{name}, seed {given.seed}, {spent[1]:.0f} s of CPU:", "; ".join(told), flush=True)
        if given.picture and not number:
            picture(given.picture, image, instances, pairs)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
