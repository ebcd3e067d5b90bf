"""Draw the small samples that lie in `img/` and `gt/`, in the layout of HistoSegNet's release.

    python benchmarks/samples.py [FOLDER]

They are drawn by program (`hsn.data.synthetic`), with truth, so that demos and drivers have input on a bare clone;
FOLDER is the repository's root by default. Real data goes into the same folders beside them.
"""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np

from hsn import taxonomies
from hsn.annotations.colors import resize_labels, to_colors
from hsn.annotations.label_files import write_labels
from hsn.annotations.tag_files import tags_from_labels
from hsn.data import adp, glas
from hsn.data.synthetic import draw_tissue
from hsn.files import atomic_write
from hsn.images.read import write

# Seeds chosen by eye, so that fat, vessels, lymphocytes, glass, and glands with and without goblet cells occur.
PATCH_SEEDS = (2, 11, 34)
FIELDS = (
    (3, (453, 589)),
    (1, (270, 400)),
    (20, (270, 400)),
)  # seed, (height, width); the first is a true GlaS size
TRUTH_PX, PATCH_PX = 1088, 224  # the release's masks and images
COARSE = (267, 396)  # height and width of the release's GlaS pictures, whatever the image's aspect


def main(root):
    """Write all samples below `root`."""
    patches(Path(root))
    fields(Path(root))


def patches(root):
    """Write patches with truth in morphological and functional classes."""
    truth = root / "gt" / "01_tuning_patch"
    columns = [n for t in ("adp-morph", "adp-func") for n in taxonomies.get(t).names]
    columns = [name for name in columns if name not in ("Background", "Other")]
    rows = [["Patch Names", *columns]]
    for number, seed in enumerate(PATCH_SEEDS, start=1):
        name = f"made_{number}.png"
        made = draw_tissue(seed, (TRUTH_PX, TRUTH_PX), mpp=adp.MPP * PATCH_PX / TRUTH_PX)
        image = cv2.resize(made.image, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)
        write(root / "img" / "01_tuning_patch" / name, image)
        present = set()
        for folder, key in (("morph", "adp-morph"), ("func", "adp-func")):
            taxonomy, labels = taxonomies.get(key), made.labels[key]
            write(truth / folder / name, to_colors(labels, taxonomy))
            tags = tags_from_labels(labels, len(taxonomy), min_fraction=0.002)
            present |= {n for n, tag in zip(taxonomy.names, tags, strict=True) if tag}
        rows.append([name, *(int(column in present) for column in columns)])
    with atomic_write(truth / "gt_labels.csv") as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def fields(root):
    """Write fields with glands, as colors, as one mask, and as numbered glands."""
    truth = root / "gt" / "02_glas_full"
    for number, (seed, shape) in enumerate(FIELDS, start=1):
        name = f"made_{number}"
        made = draw_tissue(seed, shape, mpp=glas.MPP)
        write(root / "img" / "02_glas_full" / f"{name}.png", made.image)
        coarse = resize_labels(made.labels["glas"], COARSE)
        write(truth / "glas" / f"{name}.png", to_colors(coarse, taxonomies.GLAS))
        write_labels(truth / "glas_single_gland" / f"{name}.bmp", made.glands > 0)
        write_labels(truth / "glas_multi_gland" / f"{name}.bmp", made.glands.astype(np.int32))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])
