"""Draw the picture of README: a CC0 image, its labels, and the result of `nuclei-masks`.

    python benchmarks/readme_picture.py

The image is `img/03_nuclei_cc0/tissue_2.png`. Its scale is not published; 0.5 um/px is used.
`nuclei-masks` was not trained
on images of this data set.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage.segmentation import find_boundaries

import hsn
from hsn.annotations.label_files import read_labels
from hsn.metrics.objects import aji
from hsn.metrics.table import overlaps

ROOT = Path(__file__).parents[1]
MPP = 0.5
YELLOW, CYAN = (255, 221, 0), (0, 255, 255)  # distinguishable with color blindness


def outline(image, instances, color):
    """Return the image, enlarged three times, with two-pixel outlines of all instances."""
    large, numbers = (np.repeat(np.repeat(a, 3, 0), 3, 1) for a in (image, instances))
    painted = large.copy()
    painted[find_boundaries(numbers, mode="thick")] = color
    return painted


def main():
    """Draw the picture and print the counts."""
    image = hsn.read(ROOT / "img" / "03_nuclei_cc0" / "tissue_2.png")
    truth = read_labels(ROOT / "gt" / "03_nuclei_cc0" / "labels" / "tissue_2.png")
    found = hsn.segment(image, "nuclei-masks", mpp=MPP).instances
    score = aji(overlaps(truth, found)).score
    panels = [
        (outline(image, np.zeros_like(truth), YELLOW), "image (320 x 256 px)"),
        (outline(image, found, YELLOW), f"nuclei-masks: {found.max()} nuclei"),
        (outline(image, truth, CYAN), f"published labels: {truth.max()} nuclei"),
    ]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for axis, (picture, title) in zip(axes, panels, strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    bar_px = 3 * 25 / MPP  # 25 um in pixels of the enlarged picture
    axes[0].plot([20, 20 + bar_px], [740, 740], color="black", linewidth=3)
    axes[0].text(20, 725, "25 um if 0.5 um/px", fontsize=9)
    figure.savefig(ROOT / "docs" / "nuclei.png", dpi=100)
    print(f"{found.max()} nuclei, {truth.max()} in the labels, AJI {score:.3f}")


if __name__ == "__main__":
    main()
