"""Demo 3: twenty clicks on nuclei of one image become a mask of all of them.

    python demo_03_clicks.py --clicks docs/clicks.csv --out FOLDER

The image is real: colon by immunohistochemistry, nuclei blue, in the wheel of scikit-image (CMMI, no known copyright
restrictions). Clicks were made by eye on enlarged parts of it, half on nuclei of the stroma, half on those inside brown
glands. A detector learns from them where nuclei are; clicks and finds become two coarse labels; a segmenter learns
these (Qu et al., IEEE TMI 2020).

The folder holds what a lab would have, an image with a CSV beside it, so the same is done by
`hsn fit --points FOLDER/clicks --mpp 0.5 --out FOLDER/net`; this script only trains for less time.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from skimage.data import immunohistochemistry
from skimage.segmentation import find_boundaries

from hsn import InputError, points, segment
from hsn.annotations.label_files import read_labels
from hsn.annotations.points import read
from hsn.annotations.points import write as write_points
from hsn.images.read import write as write_image
from hsn.nets import resunet
from hsn.reports.figures import OKABE_ITO, new_figure
from hsn.reports.figures import write as write_figure
from hsn.supervision.points.target_maps import decode

HERE = Path(__file__).parent
NAME = "colon"
MPP = 0.5  # um per pixel, by the size of the nuclei; the wheel does not say
BLUE, ORANGE, YELLOW = (OKABE_ITO[k] for k in (0, 4, 7))
VEIL = 0.45  # opacity of labels over the image


def main(clicks, out):
    """Tell the story; returns the paths of all files written."""
    began, worked = time.perf_counter(), time.process_time()
    image = immunohistochemistry()
    given = read(clicks, image.shape[:2])
    lab = out / "clicks"
    write_image(lab / f"{NAME}.png", image)
    write_points(lab / f"{NAME}.csv", given)
    print(f"{len(given)} clicks on an image of {image.shape[0]} x {image.shape[1]} pixels")

    net = resunet.build(2, depth=18, width=16, seed=0)
    points.fit(net, [lab / f"{NAME}.png"], [lab / f"{NAME}.csv"], recipe_for(image), out=out / "net")
    found = read(out / "net" / "points" / f"{NAME}.geojson", image.shape[:2])
    result = segment(image, out / "net")
    print(f"{len(found) - len(given)} more nuclei found; {result.instances.max()} objects segmented")

    labels = decode(read_labels(out / "net" / "labels" / f"{NAME}.png"))
    write_figure(picture(image, given, found, labels, result.instances), out / "clicks.png", dpi=100)
    print(
        f"{time.perf_counter() - began:.0f} s in all, {time.process_time() - worked:.0f} s of one processor core"
    )
    files = [lab / f"{NAME}.png", lab / f"{NAME}.csv", out / "net", out / "clicks.png"]
    print("\n".join(f"wrote {path}" for path in files))
    return files


def recipe_for(image):
    """The quick config, shortened for one small image."""
    pixels = image.reshape(-1, 3)
    config = (
        points.preset("cpu")
        .for_mpp(MPP)
        .replace(
            image_mpp=MPP,
            normalization={
                "mean": tuple(pixels.mean(axis=0).tolist()),
                "std": tuple(pixels.std(axis=0).tolist()),
            },
        )
    )
    return config.replace(
        rounds=1,
        detection_epochs=40,
        refinement_epochs=3,
        detection_batch_size=4,
        train={"epochs": 30, "batch_size": 4, "steps": 10, "crop_px": 128},
    )


def picture(image, given, found, labels, instances):
    """The image with its clicks, the coarse labels that were learned from, and the outlines of what was found."""
    figure = new_figure(18, 6.6)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.93, bottom=0.09, wspace=0.02)
    shown = (image, painted(image, labels), image)
    titles = (
        f"{len(given)} clicks",
        "what was learned from: clicks, finds, two coarse labels",
        "nuclei segmented",
    )
    for each, pixels, title in zip(axes, shown, titles, strict=True):
        each.imshow(pixels)
        each.set_title(title, fontsize=12)
        each.set_axis_off()
    more = found[len(given) :]
    axes[1].plot(
        more[:, 1], more[:, 0], "s", color="white", markeredgecolor="black", markersize=2.5, linestyle=""
    )
    for each in axes[:2]:
        each.plot(
            given[:, 1], given[:, 0], "o", color=YELLOW, markeredgecolor="black", markersize=7, linestyle=""
        )
    inside = (instances > 0) & ~find_boundaries(
        instances, mode="outer"
    )  # neighbours keep a line between them
    for color, width in (("black", 2.4), (YELLOW, 1.2)):
        axes[2].contour(inside, [0.5], colors=color, linewidths=width)
    legend(figure)
    return figure


def legend(figure):
    """Signs below the panels; they differ in form or brightness too, not in colour alone."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    edge = {"markeredgecolor": "black", "linestyle": ""}
    handles = [
        Line2D([], [], marker="o", color=YELLOW, markersize=8, label="click", **edge),
        Line2D([], [], marker="s", color="white", markersize=5, label="found by the detector", **edge),
        Patch(color=ORANGE, label="labelled nucleus"),
        Patch(color=BLUE, label="labelled background"),
        Patch(facecolor="none", edgecolor=YELLOW, linewidth=2, label="outline of the result"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=5, frameon=False, fontsize=11)


def painted(image, labels):
    """Nuclei and background of either label over the image; what neither knows stays as it is."""
    target, weight = labels
    says = {BLUE: ((1 - target) * weight).max(axis=2), ORANGE: (target * weight).max(axis=2)}
    shown = image.astype(float)
    for colour, where in says.items():
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        shown = np.where(where[..., None] > 0, (1 - VEIL) * shown + VEIL * rgb, shown)
    return shown.astype(np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=Path, default=HERE / "docs" / "clicks.csv")
    parser.add_argument("--out", type=Path, default=Path("out/03_clicks"))
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        raise SystemExit(str(error)) from None
