"""Run the Python blocks of the pages in `docs/gallery` on sample data, and draw the picture of each page.

    python benchmarks/gallery.py [PAGE ...]

Each page runs in a new folder with the files of `make_samples`. The pictures go to `docs/gallery`, the numbers to
`benchmarks/results/gallery.json`. The nuclei are CC0 images (scale assumed: 0.5 um/px); glands
and the patches with tags are drawn by a program.
"""

import csv
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from PIL import Image
from skimage.morphology import dilation, disk
from skimage.segmentation import find_boundaries

import hsn
from hsn.annotations import points as point_files
from hsn.annotations.label_files import read_labels, write_labels
from hsn.annotations.tag_files import tags_from_labels
from hsn.data.synthetic import draw_tissue
from hsn.images.read import write as write_image
from hsn.instances import renumber
from hsn.metrics.objects import aji
from hsn.metrics.outlines import object_dice
from hsn.metrics.table import overlaps
from hsn.reports import figures

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "gallery"
RESULTS = ROOT / "benchmarks" / "results" / "gallery.json"
NUCLEI = ("tissue_1", "tissue_2", "tissue_3", "tissue_4")  # images of one stain
NUCLEI_MPP, GLANDS_MPP, TAGS_MPP = 0.5, 0.62, 1.0
YELLOW, CYAN = "#F0E442", "#00FFFF"  # distinguishable with color blindness
MAX_BYTES = 200_000
ZOOM = 2  # pixels of the picture per pixel of the image
PATCH_PX, CUT_PX = 96, 128  # patches with tags; patches with masks
MIN_SHARE = 0.1  # definition of a tag
TAG_CLASSES = {"gland": "E.M.O", "fat": "A.W"}  # class of the tags -> class of the drawn tissue


# --- Sample data ----------------------------------------------------------------------------------------------------
def make_samples(folder, *, patches=240):
    """Write the files that the pages name: images, truth, clicks, masks, patches with tags."""
    images, truth = ROOT / "img" / "03_nuclei_cc0", ROOT / "gt" / "03_nuclei_cc0"
    for place in ("images", "truth", "study", "outlined"):
        (folder / place).mkdir()
    for name in NUCLEI:
        shutil.copy(images / f"{name}.png", folder / "images")
        shutil.copy(truth / "labels" / f"{name}.png", folder / "truth")
    for name in NUCLEI[:3]:
        for place in ("study", "outlined"):
            shutil.copy(images / f"{name}.png", folder / place)
        shutil.copy(truth / "clicks" / f"{name}.geojson", folder / "study")
        shutil.copy(truth / "labels" / f"{name}.png", folder / "outlined" / f"{name}_mask.png")
        _cut(folder, name)
    shutil.copytree(ROOT / "img" / "02_glas_full", folder / "glands")
    _write_tagged(folder, patches)


def _cut(folder, name):
    """Write the middle of an image and of its masks, as if it had been selected and outlined."""
    image = hsn.read(folder / "images" / f"{name}.png")
    masks = read_labels(folder / "truth" / f"{name}.png")
    top, left = ((side - CUT_PX) // 2 for side in masks.shape)
    window = np.s_[top : top + CUT_PX, left : left + CUT_PX]
    write_image(folder / "chosen" / "patches" / f"{name}.png", image[window])
    write_labels(folder / "chosen" / "labels" / f"{name}.png", renumber(masks[window])[0])


def _write_tagged(folder, patches):
    """Write drawn patches, the table of their tags, and a larger drawn image."""
    taxonomy = hsn.taxonomies.get("adp-morph")
    columns = [taxonomy.index(name) for name in TAG_CLASSES.values()]
    rows = []
    for seed in range(patches):
        drawn = draw_tissue(seed, (PATCH_PX, PATCH_PX), mpp=TAGS_MPP)
        write_image(folder / "patches" / f"{seed}.png", drawn.image)
        tags = tags_from_labels(drawn.labels["adp-morph"], len(taxonomy), min_fraction=MIN_SHARE)
        rows.append([f"{seed}.png", *(int(tags[column]) for column in columns)])
    with open(folder / "tags.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", *TAG_CLASSES], *rows])
    write_image(folder / "field.png", _field().image)


def _field():
    return draw_tissue(1003, (288, 384), mpp=TAGS_MPP)


# --- Running --------------------------------------------------------------------------------------------------------
def run_page(page):
    """Run the Python blocks of a page in the current folder; return their namespace."""
    namespace = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(block, str(page), "exec"), namespace)  # our own pages
    return namespace


def main(names):
    """Run the pages and draw their pictures."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in names or DRAWERS:
        with tempfile.TemporaryDirectory() as folder:
            make_samples(Path(folder))
            os.chdir(folder)
            begin, begin_cpu = time.perf_counter(), time.process_time()
            namespace = run_page(PAGES / f"{name}.md")
            seconds = {"wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - begin_cpu}
            figure, numbers = DRAWERS[name](namespace)
            write_small(figure, PAGES / f"{name}.png")
            os.chdir(ROOT)
        results[name] = numbers | {key: round(value, 1) for key, value in seconds.items()}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(name, results[name], flush=True)


def write_small(figure, path):
    """Write a figure with a palette, as large as fits into `MAX_BYTES`; the colors of lines stay exact."""
    lines = [0, 0, 0, 255, 255, 255, *rgb(YELLOW), *rgb(CYAN)]
    for dpi, colors in ((80, 250), (80, 120), (70, 120), (62, 120), (56, 120)):
        figures.write(figure, path, dpi=dpi)
        with Image.open(path) as picture:
            pixels = picture.convert("RGB")
        found = pixels.quantize(colors, method=Image.Quantize.MEDIANCUT).getpalette()[: 3 * colors]
        palette = Image.new("P", (1, 1))
        palette.putpalette(lines + found)
        pixels.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            return


# --- Drawing --------------------------------------------------------------------------------------------------------
def draw(panels, mpp, handles=(), *, columns=None, bar_um=25):
    """Draw pictures with titles, a scale bar in the first one, and a legend below."""
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    height, width = np.shape(panels[0][0])[:2]
    panel_in = 11.5 / columns
    legend_in = 0.35 if handles else 0
    figure_in = rows * (panel_in * height / width + 0.42) + legend_in
    figure, legend = figures.new_figure(11.5, figure_in), legend_in / figure_in
    figure.set_layout_engine("constrained", rect=(0, legend, 1, 1 - legend))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (picture, title) in zip(axes, panels, strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
        axis.autoscale(False)
    length = bar_um / mpp * len(panels[0][0][0]) / width
    left, bottom = 0.03 * width, 0.95 * height
    axes[0].add_patch(
        Rectangle((left - 4, bottom - 0.075 * height), length + 8, 0.1 * height, color="white", alpha=0.8)
    )
    axes[0].plot([left, left + length], [bottom, bottom], color="black", linewidth=3)
    axes[0].text(left, bottom - 0.02 * height, f"{bar_um} um", fontsize=9)
    if handles:
        figure.legend(
            handles=list(handles), loc="lower center", ncols=len(handles), frameon=False, fontsize=10
        )
    return figure, axes


def enlarge(array, zoom=ZOOM):
    """Return an image or a label image with each pixel repeated."""
    return np.repeat(np.repeat(array, zoom, 0), zoom, 1)


def rgb(color):
    """Return red, green and blue of a color like "#00FFFF"."""
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]


def outline(image, instances, color, *, zoom=ZOOM, width_px=0):
    """Return the enlarged image with an outline around each object, wider by `width_px` on each side."""
    edges = find_boundaries(enlarge(instances, zoom), mode="thick")
    painted = enlarge(image, zoom)
    painted[dilation(edges, disk(width_px))] = rgb(color)
    return painted


def line(color, label):
    """Return an entry of the legend for outlines."""
    return Patch(facecolor="none", edgecolor=color, linewidth=2, label=label)


def draw_nuclei(namespace, name="tissue_4", before=()):
    """Draw an image, the found nuclei and the published labels."""
    image, truth = hsn.read(f"images/{name}.png"), read_labels(f"truth/{name}.png")
    found = namespace["result"].instances
    score = aji(overlaps(truth, found)).score
    panels = [
        *before,
        (enlarge(image), "image, not used for training"),
        (outline(image, found, YELLOW), f"result: {found.max()} nuclei, AJI {score:.2f}"),
        (outline(image, truth, CYAN), f"published labels: {truth.max()} nuclei"),
    ]
    handles = [line(YELLOW, "segmented nucleus"), line(CYAN, "published label")]
    numbers = {"found": int(found.max()), "truth": int(truth.max()), "aji": round(score, 3)}
    return panels, handles, numbers


def nuclei(namespace):
    """Picture of an included net on nuclei."""
    panels, handles, numbers = draw_nuclei(namespace)
    return draw(panels, NUCLEI_MPP / ZOOM, handles)[0], numbers


def glands(namespace):
    """Picture of an included net on glands."""
    image, found = hsn.read("glands/made_1.png"), namespace["result"].instances
    truth = read_labels(ROOT / "gt" / "02_glas_full" / "glas_multi_gland" / "made_1.bmp")
    score = object_dice(overlaps(truth, found))
    panels = [
        (image, "image, drawn by a program"),
        (
            outline(image, found, YELLOW, zoom=1, width_px=1),
            f"result: {found.max()} glands, object Dice {score:.2f}",
        ),
        (outline(image, truth, CYAN, zoom=1, width_px=1), f"truth of the drawing: {truth.max()} glands"),
    ]
    handles = [line(YELLOW, "segmented gland"), line(CYAN, "true gland")]
    numbers = {"found": int(found.max()), "truth": int(truth.max()), "object_dice": round(float(score), 3)}
    return draw(panels, GLANDS_MPP, handles, bar_um=100)[0], numbers


def tags(namespace):
    """Picture of patches with tags, and of the classes that the net finds in a larger image."""
    from hsn.reports.overlay import overlay

    with open("tags.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = {(1, 0): "gland", (0, 1): "fat", (1, 1): "gland, fat", (0, 0): "none"}
    shown = {kind: next(r for r in rows if (int(r["gland"]), int(r["fat"])) == kind) for kind in kinds}
    side = 144  # the first panel: four patches, as large as the field
    sheet = np.full((2 * side, 384, 3), 255, np.uint8)
    places = [(row, column) for row in (24, 168) for column in (48, 240)]
    for (row, column), found in zip(places, shown.values(), strict=True):
        sheet[row : row + PATCH_PX, column : column + PATCH_PX] = hsn.read(f"patches/{found['file']}")
    drawn, result = _field(), namespace["result"]
    taxonomy = result.taxonomy
    truth = np.zeros(drawn.image.shape[:2], int)
    background = next(k for k, name in enumerate(taxonomy.names) if name not in TAG_CLASSES)
    truth += background
    morph = hsn.taxonomies.get("adp-morph")
    for name, source in TAG_CLASSES.items():
        truth[drawn.labels["adp-morph"] == morph.index(source)] = taxonomy.index(name)
    skip = [name for name in taxonomy.names if name not in TAG_CLASSES]
    scores = {}
    for name in TAG_CLASSES:
        a, b = (labels == taxonomy.index(name) for labels in (truth, result.labels))
        scores[name] = round(float((a & b).sum() / max((a | b).sum(), 1)), 3)
    said = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
    panels = [
        (sheet, "some of the tagged patches"),
        (overlay(drawn.image, result.labels, taxonomy, skip=skip), f"result; IoU: {said}"),
        (overlay(drawn.image, truth, taxonomy, skip=skip), "truth of the drawing"),
    ]
    colors = [taxonomy.colors[taxonomy.index(name)] for name in TAG_CLASSES]
    handles = [
        Patch(color=np.array(color) / 255, label=name)
        for name, color in zip(TAG_CLASSES, colors, strict=True)
    ]
    figure, axes = draw(panels, TAGS_MPP, handles, bar_um=50)
    for (row, column), label in zip(places, kinds.values(), strict=True):
        axes[0].text(column, row - 4, f"tags: {label}", fontsize=9)
    return figure, {"iou": scores}


def clicks(namespace):
    """Picture of clicks, and of the nuclei in another image."""
    image = hsn.read("study/tissue_2.png")
    rows, columns = point_files.read("study/tissue_2.geojson", image.shape[:2]).T
    panels, handles, numbers = draw_nuclei(
        namespace, before=[(enlarge(image), f"{len(rows)} clicks, training")]
    )
    dot = {"color": YELLOW, "markeredgecolor": "black", "linestyle": ""}
    handles = [Line2D([], [], marker="o", markersize=6, label="click", **dot), *handles]
    figure, axes = draw(panels, NUCLEI_MPP / ZOOM, handles, columns=2)
    axes[0].plot(columns * ZOOM, rows * ZOOM, "o", markersize=5, **dot)
    return figure, numbers | {"clicks": len(rows)}


def masks(namespace):
    """Picture of masks, and of the nuclei in another image."""
    image, outlined = hsn.read("outlined/tissue_2.png"), read_labels("outlined/tissue_2_mask.png")
    given = (outline(image, outlined, CYAN), f"{outlined.max()} outlined nuclei, training")
    panels, handles, numbers = draw_nuclei(namespace, before=[given])
    return draw(panels, NUCLEI_MPP / ZOOM, handles, columns=2)[0], numbers


def choose(namespace):
    """Picture of the images and of the patches that were selected in them."""
    selection = namespace["selection"]
    names = sorted(path.stem for path in Path("images").iterdir())
    panels = [(hsn.read(f"images/{name}.png"), name) for name in names]
    figure, axes = draw(panels, NUCLEI_MPP, [line("black", "selected patch")], columns=2)
    for row in selection.rows:
        axis = axes[names.index(Path(row["image"]).stem)]
        place = row["column"], row["row"]
        side = row["side_px"]
        axis.add_patch(Rectangle(place, side, side, fill=False, edgecolor="black", linewidth=2.5))
        text = f"{row['number']}: stands for {row['share']:.0%}"
        axis.text(place[0] + 4, place[1] + 14, text, fontsize=10, backgroundcolor="white")
    return figure, {"patches": selection.patches, "selected": len(selection.rows)}


def few(namespace):
    """Picture of three outlined patches, and of the nuclei in another image."""
    cut = [
        outline(hsn.read(path), read_labels(Path("chosen/labels") / path.name), CYAN)
        for path in sorted(Path("chosen/patches").iterdir())
    ]
    sheet = np.full((256 * ZOOM, 320 * ZOOM, 3), 255, np.uint8)
    side = CUT_PX * ZOOM
    for picture, (row, column) in zip(cut, [(0, 0), (0, 1), (1, 0)], strict=True):
        top, left = row * (side + 4) - 4 * row, column * (side + 4)
        sheet[top : top + side, left : left + side] = picture
    panels, handles, numbers = draw_nuclei(
        namespace, before=[(sheet, f"{len(cut)} outlined patches, training")]
    )
    return draw(panels, NUCLEI_MPP / ZOOM, handles, columns=2)[0], numbers


def evaluate(namespace):
    """Picture of result and truth of each image, with its score."""
    panels, numbers = [], {}
    for path in sorted(Path("images").iterdir()):
        image, truth = hsn.read(path), read_labels(Path("truth") / path.name)
        found = hsn.segment(path, "nuclei-masks", mpp=NUCLEI_MPP).instances
        score = aji(overlaps(truth, found)).score
        numbers[path.stem] = round(score, 3)
        both = outline(outline(image, truth, CYAN), enlarge(found), YELLOW, zoom=1)
        panels.append((both, f"{path.stem}: AJI {score:.2f}"))
    handles = [line(YELLOW, "segmented nucleus"), line(CYAN, "published label")]
    return draw(panels, NUCLEI_MPP / ZOOM, handles, columns=2)[0], {"aji": numbers}


DRAWERS = {
    "nuclei": nuclei, "glands": glands, "tags": tags, "clicks": clicks, "masks": masks, "choose-patches": choose,
    "few-masks": few, "evaluate": evaluate,
}  # fmt: skip

if __name__ == "__main__":
    main(sys.argv[1:])
