"""Objects from full masks: train the shipped nets `glas-masks` and `nuclei-masks`, and score them.

    python benchmarks/masks.py train glas --out out/glas-masks        # then pretrained/glas-masks is written
    python benchmarks/masks.py train nuclei --out out/nuclei-masks
    python benchmarks/masks.py train cryonuseg --out out/cryonuseg    # the small U-Net of that paper; not shipped
    python benchmarks/masks.py score glas                             # test A, official object scores
    python benchmarks/masks.py score nuclei                           # Kumar's 8 + 6 test images
    python benchmarks/masks.py score cryonuseg --out out/cryonuseg    # the named split, beside Otsu's threshold

Scores go to standard output as a table, and to `--json FILE` as JSON lines: per image, then means with 95 % bootstrap
intervals over images. `HSN_DATA` names the folder that holds `glas`, `multiorgan` and `cryonuseg`.

Choices are made on validation images (GlaS: patients 3, 5, 7, 14, 15 of the training images; Kumar: FullNet's four);
test images are only scored. CryoNuSeg's split has no test part: its six images are the published ones.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsn import taxonomies
from hsn.datasets import cryonuseg, glas, multiorgan
from hsn.nets import unet
from hsn.supervision import masks

DATA = Path(os.environ.get("HSN_DATA", Path(__file__).parents[2] / "shared" / "data"))
PRETRAINED = Path(__file__).parents[1] / "pretrained"

TISSUE = {
    "zoom": (0.8, 1.25),
    "flips": (True, True),
    "turn_deg": 180.0,
    "skew": 0.1,
    "gain": 0.15,
    "offset": 15.0,
}


def gland_recipe():
    """Glands at half the images' resolution, by a U-Net with FullNet's targets and loss."""
    learning = masks.Learning(
        epochs=10, steps=100, batch=4, crop_px=224, rate=2e-3, lowest_rate=2e-5, momenta=(0.9, 0.999),
        weight_decay=1e-5, bend_px=6.0, bend_every_px=42.0, monitor="pq", **TISSUE,
    )  # fmt: skip
    return masks.Recipe(
        taxonomies=(replace(taxonomies.GLAS, other=None, forced=()),), mpp=2 * glas.MPP, image_mpp=glas.MPP,
        contour_px=2, border_weight=5.0, border_sigma_um=20 * glas.MPP, variance=1.0, separate="flood",
        grow_um=6 * glas.MPP, least_um2=400 * glas.MPP**2, fill=True, margin_px=64, views=8, learning=learning,
    )  # fmt: skip


def nuclei_recipe():
    """Nuclei at half the images' resolution, by a U-Net with FullNet's targets and loss."""
    learning = masks.Learning(
        epochs=10, steps=100, batch=4, crop_px=192, rate=2e-3, lowest_rate=2e-5, momenta=(0.9, 0.999),
        weight_decay=1e-5, bend_px=4.0, bend_every_px=42.0, monitor="pq", **TISSUE,
    )  # fmt: skip
    return masks.Recipe(
        mpp=2 * multiorgan.MPP, image_mpp=multiorgan.MPP, contour_px=1, border_weight=5.0, variance=1.0,
        separate="flood", grow_um=0.75, least_um2=2.0, fill=True, margin_px=64, views=8, learning=learning,
    )  # fmt: skip


def cryonuseg_recipe():
    """The published recipe, but for batch normalisation, a higher rate and crops: what two cores can train."""
    published = masks.unet()
    learning = replace(
        published.learning, epochs=10, steps=44, batch=4, crop_px=192, rate=2e-3, lowest_rate=2e-5
    )
    return published.changed(learning=learning, margin_px=64)


TASKS = {"glas": gland_recipe, "nuclei": nuclei_recipe, "cryonuseg": cryonuseg_recipe}


def training_samples(task):
    """Samples to learn from and to validate on."""
    if task == "glas":
        return glas.images(DATA / "glas", "learn"), glas.images(DATA / "glas", "validation")
    name, room = ("multiorgan", multiorgan) if task == "nuclei" else ("cryonuseg", cryonuseg)
    return room.images(DATA / name, "train"), room.images(DATA / name, "validation")


def train(task, out):
    """Train one net; a run that was killed goes on."""
    learned, held_out = training_samples(task)
    samples = [*learned, *held_out]
    images = [sample.image() for sample in samples]
    recipe = TASKS[task]()
    if task != "cryonuseg":
        pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in images[: len(learned)]])
        recipe = recipe.changed(mean=(float(pixels.mean()),) * 3, std=(float(pixels.std()),) * 3)
    validation = tuple(range(len(learned), len(samples)))
    recipe = recipe.changed(learning=replace(recipe.learning, validation=validation))
    net = unet.build(
        len(recipe.classes), depth=4 if task != "cryonuseg" else 3, width=16, batch_norm=True, seed=0
    )
    history = masks.fit(net, images, [sample.instances() for sample in samples], recipe, out=out)
    print(json.dumps({"task": task, "kept": history.epochs[history.best]}))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train",))
    parser.add_argument("task", choices=tuple(TASKS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    train(given.task, given.out)


if __name__ == "__main__":
    main()
