"""Demo 3: segment the nuclei of one image after twenty clicks.

    python demo_03_clicks.py --clicks docs/clicks.csv --out FOLDER

The image is colon by immunohistochemistry with blue nuclei, from scikit-image (CMMI, no known copyright restrictions).
Half of the clicks are on nuclei of the stroma, half on nuclei inside of brown glands. A detector is trained on the
clicks. Clicks and detections give two coarse labels. A segmentation net is trained on the labels (Qu et al., IEEE TMI
2020).

FOLDER/clicks holds the image and a CSV of clicks. `hsn fit --points FOLDER/clicks --mpp 0.5 --out FOLDER/net` does the
same with a longer training.
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
MPP = 0.5  # um per pixel, estimated from the size of the nuclei
BLUE, ORANGE, YELLOW = (OKABE_ITO[k] for k in (0, 4, 7))
OPACITY = 0.45  # opacity of labels over the image


def main(clicks, out):
    """Run the demo; return the paths of all written files."""
    start, cpu_start = time.perf_counter(), time.process_time()
    image = immunohistochemistry()
    clicked = read(clicks, image.shape[:2])
    study = out / "clicks"
    write_image(study / f"{NAME}.png", image)
    write_points(study / f"{NAME}.csv", clicked)
    print(f"{len(clicked)} clicks on an image of {image.shape[0]} x {image.shape[1]} pixels")

    net = resunet.build(2, depth=18, width=16, seed=0)
    points.fit(net, [study / f"{NAME}.png"], [study / f"{NAME}.csv"], make_config(image), out=out / "net")
    found = read(out / "net" / "points" / f"{NAME}.geojson", image.shape[:2])
    result = segment(image, out / "net")
    print(f"{len(found) - len(clicked)} more nuclei found; {result.instances.max()} objects segmented")

    labels = decode(read_labels(out / "net" / "labels" / f"{NAME}.png"))
    write_figure(draw(image, clicked, found, labels, result.instances), out / "clicks.png", dpi=100)
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu_start:.0f} s of CPU time")
    files = [study / f"{NAME}.png", study / f"{NAME}.csv", out / "net", out / "clicks.png"]
    print("\n".join(f"wrote {path}" for path in files))
    return files


def make_config(image):
    """Return the preset "resunet18" with a shorter training, for one small image."""
    pixels = image.reshape(-1, 3)
    config = (
        points.preset("resunet18")
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


def draw(image, clicked, found, labels, instances):
    """Draw the image with its clicks, the coarse labels, and the outlines of the segmented nuclei."""
    figure = new_figure(18, 6.6)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.93, bottom=0.09, wspace=0.02)
    images = (image, overlay_labels(image, labels), image)
    titles = (
        f"{len(clicked)} clicks",
        "training data: clicks, detected points, two coarse labels",
        "segmented nuclei",
    )
    for panel, pixels, title in zip(axes, images, titles, strict=True):
        panel.imshow(pixels)
        panel.set_title(title, fontsize=12)
        panel.set_axis_off()
    detected = found[len(clicked) :]
    axes[1].plot(
        detected[:, 1],
        detected[:, 0],
        "s",
        color="white",
        markeredgecolor="black",
        markersize=2.5,
        linestyle="",
    )
    for panel in axes[:2]:
        panel.plot(
            clicked[:, 1],
            clicked[:, 0],
            "o",
            color=YELLOW,
            markeredgecolor="black",
            markersize=7,
            linestyle="",
        )
    inside = (instances > 0) & ~find_boundaries(
        instances, mode="outer"
    )  # touching nuclei get separate outlines
    for color, width in (("black", 2.4), (YELLOW, 1.2)):
        axes[2].contour(inside, [0.5], colors=color, linewidths=width)
    legend(figure)
    return figure


def legend(figure):
    """Draw the legend; its signs also differ in shape or brightness, for color-blind readers."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    edge = {"markeredgecolor": "black", "linestyle": ""}
    handles = [
        Line2D([], [], marker="o", color=YELLOW, markersize=8, label="click", **edge),
        Line2D([], [], marker="s", color="white", markersize=5, label="found by the detector", **edge),
        Patch(color=ORANGE, label="labeled nucleus"),
        Patch(color=BLUE, label="labeled background"),
        Patch(facecolor="none", edgecolor=YELLOW, linewidth=2, label="outline of the result"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=5, frameon=False, fontsize=11)


def overlay_labels(image, labels):
    """Draw the known nuclei and background of both labels over the image."""
    target, weight = labels
    masks = {BLUE: ((1 - target) * weight).max(axis=2), ORANGE: (target * weight).max(axis=2)}
    overlay = image.astype(float)
    for color, mask in masks.items():
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])
        overlay = np.where(mask[..., None] > 0, (1 - OPACITY) * overlay + OPACITY * rgb, overlay)
    return overlay.astype(np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=Path, default=HERE / "docs" / "clicks.csv")
    parser.add_argument("--out", type=Path, default=Path("out/03_clicks"))
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        raise SystemExit(str(error)) from None
