"""Ablate `nuclei-masks`: change one setting at a time, with the same number of batches.

    python benchmarks/masks_causes.py                       # all rows; out/causes keeps the nets, a killed run resumes
    python benchmarks/masks_causes.py base "16 channels" --json out/causes.jsonl

Every net is trained on 800 batches (8 epochs) of Kumar's 12 training images. The scores are AJI on Kumar's 4 validation
images, with tuned post-processing, and Dice on the 22 training images of CryoNuSeg: frozen sections of ten organs that
were not used for training. Both have 95 % bootstrap intervals over images. Test images are not used.
"""

import argparse
import json
from pathlib import Path

import masks as bench

from hsn import models
from hsn.data import cryonuseg, data_folder, multiorgan
from hsn.metrics.intervals import interval
from hsn.supervision import masks, method_of

EPOCHS = 8
CAUSES = {  # row: channels of the net, changes of the config, changes of its learning
    "base": (32, {}, {}),
    "16 channels": (16, {}, {}),
    "64 channels": (64, {}, {}),
    "half the resolution": (32, {"mpp": 2 * multiorgan.MPP}, {}),
    "a quarter of the resolution": (32, {"mpp": 4 * multiorgan.MPP}, {}),
    "stains not jittered": (32, {}, {"augmentation": {"stain_gain": 0.0, "stain_offset": 0.0}}),
    "no variance term": (32, {"targets": {"variance_weight": 0.0}}, {}),
    "a quarter of the batches": (32, {}, {"epochs": EPOCHS // 4}),
}


def load_or_train(name, out):
    """Load the net of a row from its folder, or train it."""
    width, changes, train = CAUSES[name]
    folder = out / name.replace(" ", "-")
    if not (folder / "card.json").exists():
        config = bench.nuclei_config()
        config = config.replace(train={"epochs": EPOCHS} | train, **changes)
        bench.train("nuclei", folder, config=config, width=width)
    return models.load(folder)


def score(model):
    """Compute the AJI on the validation images of Kumar, and the Dice on the training images of CryoNuSeg."""
    config = bench.choose("nuclei", model.net, method_of(model)[1])[0]

    def found(sample):
        return masks.segment(model.net, sample.image(), config, mpp=sample.mpp).instances

    ajis = [bench.quality("nuclei", s.instances(), found(s)) for s in bench.training_samples("nuclei")[1]]
    dices = []
    for sample in cryonuseg.list_samples(data_folder("cryonuseg"), "train"):
        truth, nuclei = sample.instances() > 0, found(sample) > 0
        dices.append(2 * (truth & nuclei).sum() / max(truth.sum() + nuclei.sum(), 1))
    return {"AJI": interval(ajis), "Dice elsewhere": interval(dices)}


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help=f"some of {', '.join(CAUSES)}. Default: all")
    parser.add_argument("--out", type=Path, default=Path("out") / "causes")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    lines = []
    for name in args.rows or CAUSES:
        scores = score(load_or_train(name, args.out))
        lines.append(json.dumps({"row": name, **{k: list(map(float, v)) for k, v in scores.items()}}))
        text = "; ".join(f"{k} {v.value:.3f} [{v.low:.3f}, {v.high:.3f}]" for k, v in scores.items())
        print(f"{name}: {text}", flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
