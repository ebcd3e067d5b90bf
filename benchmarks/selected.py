"""Measure the effect of each stage of training from a few selected patches, on Kumar's test images.

    python benchmarks/selected.py                               # all arms, three seeds; a killed run resumes
    python benchmarks/selected.py --arms random chosen --seeds 0 --json out/selected.jsonl --table out/selected.md
    python benchmarks/selected.py --steps 1600 --out out/longer
    python benchmarks/selected.py --start nothing --out out/anew  # nets begin with random weights
    python benchmarks/selected.py --start imagenet --out out/encoder  # the default net, with its pretrained encoder

Arms:

    random               6 random patches of 256 px with tissue, from the 12 training images (FullNet's split)
    chosen               6 of these patches, selected by `hsn select`
    chosen + pseudo      also one round of pseudo-labels on the 12 images
    painted              the selected patches, and synthetic pairs of each by `hsn synthesize`
    painted + pseudo     also one round of pseudo-labels
    full                 full masks of the 12 images, the upper bound; first seed only

All arms have the same net, config and number of batches. Small U-Nets start from the weights of `glas-masks`: with
random weights, 800 batches are too few to show differences. A round of pseudo-labels is a second training with the
same number of batches. The seed applies to patches, net and crops. Pairs are generated once per patch. Four validation
images with full masks select the epoch and the post-processing in all arms; the budget does not include them. The 14
test images are only scored. `HSN_DATA` names the folder that holds `multiorgan`.

Scores are means over images and seeds, with 95 % bootstrap intervals over images. Differences between arms are paired
by seed and image; their bootstrap resamples seeds and images.
"""

import argparse
import json
import shutil
from pathlib import Path

import masks as bench
import numpy as np

from hsn.config import PRETRAINED
from hsn.data import data_folder, multiorgan
from hsn.data.embedding import embed
from hsn.extras.singan.folder import PAIRS
from hsn.files import atomic_write
from hsn.images.scaling import rescale
from hsn.images.tiles import enlarge
from hsn.metrics.intervals import Interval, interval
from hsn.metrics.objects import aji
from hsn.metrics.table import overlaps
from hsn.nets import segmenters, unet
from hsn.objects.labeling import label_instances
from hsn.selection.choice import choose
from hsn.selection.encoder import texture_encoder
from hsn.selection.patches import cut_patches
from hsn.supervision import open_model, selected
from hsn.supervision.selected import dense
from hsn.supervision.selected.training import BEST

SIDE_PX, STRIDE_PX, PATCHES = 256, 128, 6  # side and stride of patches, and number of annotated patches
PAINTED = 20  # synthetic pairs per patch
EPOCH = 80  # batches per epoch
ARMS = {  # name: run, round, arm to compare with
    "random": ("random", 0, None),
    "chosen": ("chosen", 0, "random"),
    "chosen + pseudo": ("chosen", 1, "chosen"),
    "painted": ("painted", 0, "chosen"),
    "painted + pseudo": ("painted", 1, "painted"),
    "full": ("full", 0, "chosen"),
}
CANDIDATES = [
    {"foreground_threshold": threshold, "h_um": height}
    for threshold in (0.2, 0.3, 0.4)
    for height in (0.15, 0.3)
]
NOTHING, IMAGENET = "nothing", "imagenet"
SCORES = ("AJI", "Dice", "PQ")
RESAMPLES = 2000


class Pool:
    """The 12 training images, the 4 validation images, and all tissue patches of the training images."""

    def __init__(self, out, start):
        folder, self.out, self.start = data_folder("multiorgan"), out, start
        self.samples, self.held_out = (
            multiorgan.list_samples(folder, part) for part in ("train", "validation")
        )
        self.images = [sample.image() for sample in self.samples]
        self.instances = [sample.instances() for sample in self.samples]
        self.encoder = texture_encoder()
        paths = [sample.image_path for sample in self.samples]
        self.embedded = embed(paths, self.encoder, out / "embedding", side_px=SIDE_PX, stride_px=STRIDE_PX)

    def drawn(self, run, seed):
        """Return the indices of the annotated patches."""
        embedded = self.embedded
        if run == "random":
            return np.random.default_rng(seed).choice(len(embedded.images), PATCHES, replace=False)
        return choose(
            embedded.features, embedded.quarters, PATCHES, standardize=self.encoder.standardize, seed=seed
        ).patches

    def patch(self, number):
        """Return name, image and nuclei of a patch."""
        k, corner = self.embedded.images[number], self.embedded.corners[number]
        (image,) = cut_patches(self.images[k], [corner], SIDE_PX)
        row, column = corner
        instances = self.instances[k][row : row + SIDE_PX, column : column + SIDE_PX]
        return f"{self.samples[k].name}-{row}-{column}", image, instances

    def annotated(self, run, seed):
        """Return names, images and nuclei of the annotated patches or images of a run."""
        if run == "full":
            return list(zip((s.name for s in self.samples), self.images, self.instances, strict=True))
        return [self.patch(number) for number in self.drawn(run, seed)]

    def budget(self, run, seed):
        """Count annotated pixels and nuclei; overlaps of patches count once."""
        if run == "full":
            return {"pixels": sum(i.size for i in self.instances), "nuclei": sum(map(count, self.instances))}
        covered = [np.zeros(instances.shape, bool) for instances in self.instances]
        for number in self.drawn(run, seed):
            row, column = self.embedded.corners[number]
            covered[self.embedded.images[number]][row : row + SIDE_PX, column : column + SIDE_PX] = True
        parts = zip(self.instances, covered, strict=True)
        return {"pixels": int(sum(map(np.sum, covered))), "nuclei": sum(count(i * m) for i, m in parts)}


def count(instances):
    """Count the nuclei."""
    return len(np.unique(instances[instances > 0]))


def make_config(pool, run, seed, steps, rounds=0):
    """Return the config of the shipped nuclei net, with crops of the size of a patch."""
    nuclei, quick = bench.nuclei_config(), selected.preset("cpu")
    pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in pool.images])
    shared = ("mpp", "image_mpp", "targets", "postprocess", "tiling")
    validation = len(pool.annotated(run, seed)) + np.arange(len(pool.held_out))
    normalization = {"mean": (float(pixels.mean()),) * 3, "std": (float(pixels.std()),) * 3}
    if pool.start == IMAGENET:
        normalization = segmenters.pretrained_normalization("encoder-unet")
        quick = quick.replace(train=PRETRAINED)
    return quick.replace(
        normalization=normalization,
        synthetic=PAINTED if run == "painted" else 0,
        rounds=rounds,
        train={
            "epochs": steps // EPOCH,
            "steps": EPOCH,
            "batch_size": 4,
            "crop_px": 3 * SIDE_PX // 4 if pool.start == IMAGENET else SIDE_PX // 2,
            "seed": seed,
            "validation": tuple(validation.tolist()),
        },
        **{name: getattr(nuclei, name) for name in shared},
    )


def fresh_net(pool, seed):
    """Build the net of all arms, with its starting weights."""
    if pool.start == IMAGENET:
        return segmenters.build("encoder-unet", 3, seed=seed)
    net = unet.build(3, depth=4, width=16, batch_norm=True, seed=seed)
    if pool.start != NOTHING:
        net.set_weights(open_model(pool.start).net.get_weights())
    return net


def train(pool, run, seed, steps, rounds):
    """Train a run with a number of rounds of pseudo-labels, unless it is already trained."""
    folder = pool.out / f"{run}-{seed}"
    if (folder / "rounds" / str(rounds)).exists() and (folder / "card.json").exists():
        return
    patches, config = pool.annotated(run, seed), make_config(pool, run, seed, steps, rounds)
    if run == "painted":
        synthesize_pairs(pool.out / "pairs", patches, config, folder / "synthetic")
    unlabeled = pool.images if rounds else []
    images = [*(image for _, image, _ in patches), *(s.image() for s in pool.held_out), *unlabeled]
    masks = [*(m for *_, m in patches), *(s.instances() for s in pool.held_out), *[None] * len(unlabeled)]
    selected.fit(fresh_net(pool, seed), images, masks, config, out=folder)
    names = [name for name, *_ in patches]
    print(json.dumps({"run": run, "seed": seed, **pool.budget(run, seed), "patches": names}))


def synthesize_pairs(cache, patches, config, out):
    """Put the synthetic pairs of each patch in the folder of `fit`; pairs are cached per patch."""
    for number, (name, image, instances) in enumerate(patches):
        pairs, target = cache / name / PAIRS, out / f"{number:04d}" / PAIRS
        if len(list(pairs.glob("labels/*.png"))) < config.synthetic:
            selected.synthesize(
                image, instances, out=cache / name, preset=config.synthesis, count=config.synthetic, seed=0,
                max_overlap=config.max_overlap,
            )  # fmt: skip
            print(json.dumps({"synthesized": name}), flush=True)
        if not target.exists():
            shutil.copytree(pairs, target)


# --- Scoring ------------------------------------------------------------------------------------------------------


def tune(pool, net, config):
    """Return the config with the post-processing of the best AJI on the validation images, and this AJI."""
    system, results = dense.system_of(net, config), []
    for sample in pool.held_out:
        image = sample.image()
        maps = system.predict(rescale(image, sample.mpp, config.mpp))
        results.append((sample.instances(), enlarge(maps, image.shape[:2]), sample.mpp))
    configs = [config.replace(postprocess=candidate) for candidate in CANDIDATES]
    values = [
        np.mean(
            [
                aji(overlaps(truth, label_instances(maps, tried.postprocess, mpp=mpp))).score
                for truth, maps, mpp in results
            ]
        )
        for tried in configs
    ]
    return configs[int(np.argmax(values))], float(max(values))


def score(pool, arm, seed, steps):
    """Score the 14 test images with the net of an arm; results are cached in a file."""
    run, number, _ = ARMS[arm]
    path = pool.out / "scores" / f"{arm.replace(' ', '')}-{seed}.json"
    if not path.exists():
        config, net = make_config(pool, run, seed, steps), fresh_net(pool, seed)
        net.load_weights(pool.out / f"{run}-{seed}" / "rounds" / str(number) / BEST)
        config, validation = tune(pool, net, config)
        rows = []
        for sample in multiorgan.list_samples(data_folder("multiorgan"), "test"):
            found = selected.segment(net, sample.image(), config, mpp=sample.mpp).instances
            row = bench.nuclei_scores(sample.instances(), found)
            rows.append({"image": sample.name, **{name: float(row[name]) for name in SCORES}})
        rounds = json.loads((pool.out / f"{run}-{seed}" / "rounds.json").read_text())["rounds"]
        choices = {"epoch": rounds[number]["epoch"], "validation AJI": validation}
        choices |= {name: getattr(config.postprocess, name) for name in CANDIDATES[0]}
        line = {"arm": arm, "seed": seed, **pool.budget(run, seed), **choices, "images": rows}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(line))
    return json.loads(path.read_text())


def matrix(lines, name):
    """Return a score of each seed and image: (seeds, images)."""
    return np.array([[row[name] for row in line["images"]] for line in lines])


def paired(one, other, name):
    """Compute the difference of two arms over their common seeds, with a bootstrap over seeds and images."""
    both = {line["seed"] for line in one} & {line["seed"] for line in other}
    if not both:
        return None
    differences = np.subtract(
        *(matrix([line for line in arm if line["seed"] in both], name) for arm in (one, other))
    )
    rng, (rows, columns) = np.random.default_rng(0), differences.shape
    draws = [
        differences[np.ix_(rng.integers(rows, size=rows), rng.integers(columns, size=columns))].mean()
        for _ in range(RESAMPLES)
    ]
    return Interval(float(differences.mean()), *map(float, np.quantile(draws, (0.025, 0.975))))


def table(results):
    """Yield the lines of a Markdown table, one per arm."""
    head = ["arm", "seeds", "pixels", "nuclei", "validation AJI", *SCORES, "difference of AJI"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for arm, lines in results.items():
        cells = [
            arm,
            len(lines),
            *(f"{np.mean([line[k] for line in lines]):,.0f}" for k in ("pixels", "nuclei")),
        ]
        cells.append(brief(f"{np.mean([line['validation AJI'] for line in lines]):.3f}"))
        cells += [format_interval(interval(matrix(lines, name).mean(axis=0))) for name in SCORES]
        other = ARMS[arm][2]
        difference = paired(lines, results.get(other, []), "AJI")
        cells.append(f"{format_interval(difference, '+')} to {other}" if difference else "-")
        yield "| " + " | ".join(map(str, cells)) + " |"


def format_interval(values, sign=""):
    return brief("{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*values, s=sign))


def brief(text):
    return text.replace("0.", ".")


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument(
        "--steps", type=int, default=800, help=f"batches of each training; {EPOCH} are an epoch"
    )
    parser.add_argument("--start", default="glas-masks", help=f"net to start from, {NOTHING} or {IMAGENET}")
    parser.add_argument("--out", type=Path, default=Path("out") / "selected")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    pool = Pool(args.out, args.start)
    pairs = [
        (arm, seed) for seed in args.seeds for arm in args.arms if arm != "full" or seed == args.seeds[0]
    ]
    for arm, seed in pairs:
        run = ARMS[arm][0]
        rounds = max(ARMS[other][1] for other in args.arms if ARMS[other][0] == run)
        train(pool, run, seed, args.steps, rounds)
    results = {
        arm: [score(pool, arm, seed, args.steps) for other, seed in pairs if other == arm]
        for arm in args.arms
    }
    lines = list(table(results))
    print("\n".join(lines))
    json_lines = [json.dumps(line) for arm_lines in results.values() for line in arm_lines]
    for path, content in ((args.table, lines), (args.json, json_lines)):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + "\n" for line in content))


if __name__ == "__main__":
    main()
