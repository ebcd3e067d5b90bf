"""GlaS from tags with `hsn.fit`: train in two stages, choose on validation, score test A once.

    python benchmarks/encoder_tags.py train --out out/encoder-tags   # resumes; scores validation
    python benchmarks/encoder_tags.py ship --out out/encoder-tags    # writes pretrained/glas-tags
    python benchmarks/encoder_tags.py test --out out/encoder-tags    # once; writes benchmarks/results/encoder_tags.json

Annotation and split are those of `benchmarks/glas_tags.py`: two tags per crop of 60 um (gland, other tissue; from a
quarter of its area), in tiles of 258 um; 67 training images, 18 validation images. The tags of the validation tiles
choose the epoch, the masks of the validation images the window and whether the dense CRF is used. Times are processor
seconds with one thread. The shipped `glas-tags` is from this script at commit d129159, before `hsn.fit` had the recipe.
"""

import argparse
import json
import time
from pathlib import Path

import keras
from glas_tags import CELL_PX, MPP, TAXONOMY, samples, summarize_counts, tagged_tiles
from glas_tags import ship as write_net

import hsn
from hsn import models, tags
from hsn.data import glas
from hsn.metrics.counts import confusion_matrix
from hsn.supervision import method_of, open_model

RESULTS = Path(__file__).parent / "results" / "encoder_tags.json"
WINDOW_PX = 320  # of tiles of 416 px at 0.62 um/px: the net works at 0.81 um/px
WINDOWS = (256, 320, 384)  # candidates for prediction


def counts_of(net, config, pairs):
    """Return one confusion matrix per image, of what `hsn.segment` gives."""
    return [
        confusion_matrix(labels, tags.segment(net, image, config, mpp=glas.MPP).labels, 2)
        for image, labels in pairs
    ]


def row_of(counts):
    """Return pooled scores, with the interval of the mean IoU over images."""
    return {"images": len(counts)} | summarize_counts(counts)


def train(out, seed):
    """Train with `hsn.fit`, and score the validation images by window."""
    factor = round(MPP / glas.MPP)
    learned, grids = tagged_tiles(samples("learn"), factor=factor)
    held_out, held_out_grids = tagged_tiles(samples("validation"), factor=factor)
    start = time.process_time()
    model = hsn.fit(
        [*learned, *held_out],
        tags=[*grids, *held_out_grids],
        classes=TAXONOMY.names,
        taxonomy=TAXONOMY,
        cell_px=factor * CELL_PX,
        window_px=WINDOW_PX,
        mpp=glas.MPP,
        validation=range(len(learned), len(learned) + len(held_out)),
        seed=seed,
        out=out / "net",
        progress=print_epochs(),
    )
    found = {"seed": seed, "core_s": round(time.process_time() - start), "windows": {}}
    config, pairs = method_of(model)[1], samples("validation")
    for window_px in WINDOWS:
        for views in (1, 8):
            chosen = config.replace(window_px=window_px, tta=views)
            row = row_of(counts_of(model.net, chosen, pairs))
            found["windows"][f"{window_px} px, {views} views"] = row
            print(json.dumps({"window_px": window_px, "views": views, "mIoU": row["mIoU"]}), flush=True)
    (out / "validation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def print_epochs():
    """Return a progress callback that prints the scores of each epoch."""
    epochs = {}

    def show(event):
        place = event.stage, event.values.get("epoch", event.done // 50)
        if epochs.get("place") != place:
            epochs["place"] = place
            print(json.dumps({"stage": event.stage, "done": event.done, "total": event.total,
                              "core_s": round(time.process_time())} | event.values), flush=True)  # fmt: skip

    return show


def ship(out):
    """Write `pretrained/glas-tags` with eight views, and with the window and the CRF that are best on validation."""
    model = models.load(out / "net")
    found = json.loads((out / "validation.json").read_text(encoding="utf-8"))
    scores = {w: found["windows"][f"{w} px, 8 views"]["mIoU"] for w in WINDOWS}
    best = max(scores, key=scores.get)
    config = method_of(model)[1].replace(window_px=best, tta=8)
    refined = config.replace(crf={"glas": tags.CRFConfig()})
    with_crf = row_of(counts_of(model.net, refined, samples("validation")))["mIoU"]
    print(json.dumps({"window_px": best, "mIoU": scores[best], "with dense CRF": with_crf}), flush=True)
    chosen = refined if with_crf > scores[best] else config
    (out / "shipped.json").write_text(
        json.dumps({"window_px": best, "with CRF": with_crf}) + "\n", encoding="utf-8"
    )
    notes = "encoder: EfficientNet-Lite0, ImageNet weights (Apache-2.0); trained in two stages by `hsn.fit`"
    write_net(
        "glas-tags",
        model.net,
        chosen,
        {"GlaS validation mIoU": max(scores[best], with_crf)},
        notes,
        source="benchmarks/encoder_tags.py train",
    )


def test(out):
    """Score the shipped net on test A, once."""
    if RESULTS.exists():
        raise SystemExit(f"{RESULTS} exists: test images are scored once")
    model = open_model("glas-tags")
    scores = row_of(counts_of(model.net, method_of(model)[1], samples("testA")))
    result = {
        "command": "python benchmarks/encoder_tags.py train, ship, then test",
        "data": f"GlaS, {glas.MPP} um/px; tags of 67 images",
        "keras": keras.__version__,
        "threads": 1,
        "validation": json.loads((out / "validation.json").read_text(encoding="utf-8")),
        "shipped": json.loads((out / "shipped.json").read_text(encoding="utf-8")),
        "test A": scores,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(scores))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "ship", "test"))
    parser.add_argument("--out", type=Path, default=Path("out/encoder-tags"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.what == "train":
        train(given.out, given.seed)
    else:
        {"ship": ship, "test": test}[given.what](given.out)


if __name__ == "__main__":
    main()
