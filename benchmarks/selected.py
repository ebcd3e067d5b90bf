"""Does each stage of learning from a few chosen patches pay? One stage more an arm, scored on Kumar's test images.

    python benchmarks/selected.py                               # all arms, three seeds; a run that was killed goes on
    python benchmarks/selected.py --arms random chosen --seeds 0 --json out/selected.jsonl --table out/selected.md
    python benchmarks/selected.py --steps 1600 --out out/longer
    python benchmarks/selected.py --start nothing --out out/anew  # nets begin with random weights

Arms:

    random               6 patches of 256 px, drawn from all tissue patches of the 12 training images (FullNet's split)
    chosen               6 of the same patches, as `hsn choose` chooses them
    chosen + pseudo      and one round of pseudo-labels on the 12 whole images
    painted              the chosen ones, and pairs painted of each, as `hsn synthesize` does
    painted + pseudo     and one round of pseudo-labels
    full                 full masks of the 12 images instead, the ceiling; the first seed only

Net, config and number of batches are the same in all arms. Nets begin with the weights of `glas-masks`, a net of the
same layers that has learned glands: from random weights 800 batches teach too little for arms to be told apart. A
round of pseudo-labels is a second training of as many batches. The seed is of the patches, the net and the crops. Pairs
are painted once for each patch. Four validation images with full masks choose the epoch and how objects are told apart,
in all arms alike: masks too, which the budget does not count. The 14 test images are only scored. `HSN_DATA` names the
folder that holds `multiorgan`.

Scores are means over images and seeds, their 95 % bootstrap intervals over images. Differences to another arm are those
of the same seed and image, and their bootstrap draws seeds and images.
"""

import argparse
import json
import shutil
from pathlib import Path

import masks as bench
import numpy as np

from hsn.data import data_folder, multiorgan
from hsn.extras.singan.folder import PAIRS
from hsn.files import atomic_write
from hsn.images.scaling import rescale
from hsn.images.tiles import enlarge
from hsn.metrics.intervals import Interval, interval
from hsn.metrics.objects import aji
from hsn.metrics.table import overlaps
from hsn.nets import unet
from hsn.prediction.embedding import embed, of_texture
from hsn.selection.choice import choose
from hsn.selection.patches import cut_patches
from hsn.supervision import open_model, selected
from hsn.supervision.selected import dense
from hsn.supervision.selected.training import BEST

SIDE_PX, STRIDE_PX, PATCHES = 256, 128, 6  # of patches, and how many are annotated
PAINTED = 20  # pairs of each patch
EPOCH = 80  # batches
ARMS = {  # name: run, its round, the arm that it is compared with
    "random": ("random", 0, None),
    "chosen": ("chosen", 0, "random"),
    "chosen + pseudo": ("chosen", 1, "chosen"),
    "painted": ("painted", 0, "chosen"),
    "painted + pseudo": ("painted", 1, "painted"),
    "full": ("full", 0, "chosen"),
}
WAYS = [
    {"foreground_threshold": inside, "h_um": waist} for inside in (0.2, 0.3, 0.4) for waist in (0.15, 0.3)
]
NOTHING = "nothing"
SCORES = ("AJI", "Dice", "PQ")
RESAMPLES = 2000


class Pool:
    """The 12 images to learn from, the 4 to choose the epoch by, and all tissue patches of the former."""

    def __init__(self, out, start):
        folder, self.out, self.start = data_folder("multiorgan"), out, start
        self.samples, self.judges = (
            multiorgan.list_samples(folder, part) for part in ("train", "validation")
        )
        self.images = [sample.image() for sample in self.samples]
        self.instances = [sample.instances() for sample in self.samples]
        self.encoder = of_texture()
        paths = [sample.image_path for sample in self.samples]
        self.embedded = embed(paths, self.encoder, out / "embedding", side_px=SIDE_PX, stride_px=STRIDE_PX)

    def drawn(self, run, seed):
        """Which patches are annotated."""
        of = self.embedded
        if run == "random":
            return np.random.default_rng(seed).choice(len(of.images), PATCHES, replace=False)
        return choose(
            of.features, of.quarters, PATCHES, standardize=self.encoder.standardize, seed=seed
        ).patches

    def patch(self, number):
        """Name, image and nuclei of a patch."""
        k, corner = self.embedded.images[number], self.embedded.corners[number]
        (image,) = cut_patches(self.images[k], [corner], SIDE_PX)
        row, column = corner
        instances = self.instances[k][row : row + SIDE_PX, column : column + SIDE_PX]
        return f"{self.samples[k].name}-{row}-{column}", image, instances

    def annotated(self, run, seed):
        """Names, images and nuclei of all that is annotated in a run."""
        if run == "full":
            return [
                (s.name, *each) for s, *each in zip(self.samples, self.images, self.instances, strict=True)
            ]
        return [self.patch(number) for number in self.drawn(run, seed)]

    def budget(self, run, seed):
        """Pixels, once where patches overlap, and nuclei that somebody has to outline."""
        if run == "full":
            return {"pixels": sum(i.size for i in self.instances), "nuclei": sum(map(count, self.instances))}
        seen = [np.zeros(each.shape, bool) for each in self.instances]
        for number in self.drawn(run, seed):
            row, column = self.embedded.corners[number]
            seen[self.embedded.images[number]][row : row + SIDE_PX, column : column + SIDE_PX] = True
        parts = zip(self.instances, seen, strict=True)
        return {"pixels": int(sum(map(np.sum, seen))), "nuclei": sum(count(i * s) for i, s in parts)}


def count(instances):
    """Number of nuclei."""
    return len(np.unique(instances[instances > 0]))


def recipe_of(pool, run, seed, steps, rounds=0):
    """The config of the shipped nuclei net, on crops as large as a patch."""
    taken, quick = bench.nuclei_config(), selected.preset("cpu")
    pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image in pool.images])
    same = ("mpp", "image_mpp", "targets", "postprocess", "tiling")
    validation = len(pool.annotated(run, seed)) + np.arange(len(pool.judges))
    return quick.replace(
        normalization={"mean": (float(pixels.mean()),) * 3, "std": (float(pixels.std()),) * 3},
        synthetic=PAINTED if run == "painted" else 0,
        rounds=rounds,
        train={
            "epochs": steps // EPOCH,
            "steps": EPOCH,
            "batch_size": 4,
            "crop_px": SIDE_PX // 2,
            "seed": seed,
            "validation": tuple(validation.tolist()),
        },
        **{name: getattr(taken, name) for name in same},
    )


def fresh_net(pool, seed):
    """The net that all arms share, as all begin."""
    net = unet.build(3, depth=4, width=16, batch_norm=True, seed=seed)
    if pool.start != NOTHING:
        net.set_weights(open_model(pool.start).net.get_weights())
    return net


def train(pool, run, seed, steps, rounds):
    """Train a run with so many rounds of pseudo-labels; what is trained is not trained again."""
    folder = pool.out / f"{run}-{seed}"
    if (folder / "rounds" / str(rounds)).exists() and (folder / "card.json").exists():
        return
    told, config = pool.annotated(run, seed), recipe_of(pool, run, seed, steps, rounds)
    if run == "painted":
        paint(pool.out / "pairs", told, config, folder / "synthetic")
    unseen = pool.images if rounds else []
    images = [*(image for _, image, _ in told), *(s.image() for s in pool.judges), *unseen]
    masks = [*(m for *_, m in told), *(s.instances() for s in pool.judges), *[None] * len(unseen)]
    selected.fit(fresh_net(pool, seed), images, masks, config, out=folder)
    print(json.dumps({"run": run, "seed": seed, **pool.budget(run, seed), "patches": [t[0] for t in told]}))


def paint(kept, told, config, wanted):
    """Put the pairs of each patch where `fit` looks for them, painted only if no run had this patch before."""
    for number, (name, image, instances) in enumerate(told):
        pairs, target = kept / name / PAIRS, wanted / f"{number:04d}" / PAIRS
        if len(list(pairs.glob("labels/*.png"))) < config.synthetic:
            selected.synthesize(
                image, instances, out=kept / name, preset=config.synthesis, count=config.synthetic, seed=0,
                max_overlap=config.max_overlap,
            )  # fmt: skip
            print(json.dumps({"painted": name}), flush=True)
        if not target.exists():
            shutil.copytree(pairs, target)


# --- Scoring ------------------------------------------------------------------------------------------------------


def best_way(pool, net, config):
    """The config whose way to tell objects apart has the best AJI on the validation images, and that AJI."""
    system, seen = dense.system_of(net, config), []
    for sample in pool.judges:
        image = sample.image()
        maps = system.predict(rescale(image, sample.mpp, config.mpp))
        seen.append((sample.instances(), enlarge(maps, image.shape[:2]), sample.mpp))
    tried = [config.replace(postprocess=way) for way in WAYS]
    values = [np.mean([aji(overlaps(truth, dense.objects(maps, each, mpp=mpp))).score for truth, maps, mpp in seen])
              for each in tried]  # fmt: skip
    return tried[int(np.argmax(values))], float(max(values))


def scored(pool, arm, seed, steps):
    """Scores of the 14 test images by the net of an arm, and what its validation said; kept once they are known."""
    run, number, _ = ARMS[arm]
    path = pool.out / "scores" / f"{arm.replace(' ', '')}-{seed}.json"
    if not path.exists():
        config, net = recipe_of(pool, run, seed, steps), fresh_net(pool, seed)
        net.load_weights(pool.out / f"{run}-{seed}" / "rounds" / str(number) / BEST)
        config, validation = best_way(pool, net, config)
        rows = []
        for sample in multiorgan.list_samples(data_folder("multiorgan"), "test"):
            found = selected.segment(net, sample.image(), config, mpp=sample.mpp).instances
            row = bench.nuclei_scores(sample.instances(), found)
            rows.append({"image": sample.name, **{name: float(row[name]) for name in SCORES}})
        rounds = json.loads((pool.out / f"{run}-{seed}" / "rounds.json").read_text())["rounds"]
        told = {"epoch": rounds[number]["epoch"], "validation AJI": validation}
        told |= {name: getattr(config.postprocess, name) for name in WAYS[0]}
        line = {"arm": arm, "seed": seed, **pool.budget(run, seed), **told, "images": rows}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(line))
    return json.loads(path.read_text())


def matrix(lines, score):
    """A score of each image in each seed, (seeds, images)."""
    return np.array([[row[score] for row in line["images"]] for line in lines])


def paired(one, other, score):
    """How much better one arm is than another, in the seeds that both have; draws seeds and images."""
    both = {line["seed"] for line in one} & {line["seed"] for line in other}
    if not both:
        return None
    apart = np.subtract(
        *(matrix([line for line in arm if line["seed"] in both], score) for arm in (one, other))
    )
    rng, (rows, columns) = np.random.default_rng(0), apart.shape
    draws = [
        apart[np.ix_(rng.integers(rows, size=rows), rng.integers(columns, size=columns))].mean()
        for _ in range(RESAMPLES)
    ]
    return Interval(float(apart.mean()), *map(float, np.quantile(draws, (0.025, 0.975))))


def table(results):
    """A line of Markdown for each arm."""
    head = ["arm", "seeds", "pixels", "nuclei", "validation AJI", *SCORES, "AJI, to the arm"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for arm, lines in results.items():
        cells = [
            arm,
            len(lines),
            *(f"{np.mean([line[k] for line in lines]):,.0f}" for k in ("pixels", "nuclei")),
        ]
        cells.append(brief(f"{np.mean([line['validation AJI'] for line in lines]):.3f}"))
        cells += [shown(interval(matrix(lines, score).mean(axis=0))) for score in SCORES]
        other = ARMS[arm][2]
        told = paired(lines, results.get(other, []), "AJI")
        cells.append(f"{shown(told, '+')} {other}" if told else "-")
        yield "| " + " | ".join(map(str, cells)) + " |"


def shown(told, sign=""):
    return brief("{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*told, s=sign))


def brief(text):
    return text.replace("0.", ".")


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--steps", type=int, default=800, help=f"of each training; {EPOCH} are an epoch")
    parser.add_argument(
        "--start", default="glas-masks", help=f"net whose weights all begin with, or {NOTHING}"
    )
    parser.add_argument("--out", type=Path, default=Path("out") / "selected")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    pool = Pool(given.out, given.start)
    wanted = [
        (arm, seed) for seed in given.seeds for arm in given.arms if arm != "full" or seed == given.seeds[0]
    ]
    for arm, seed in wanted:
        run = ARMS[arm][0]
        train(
            pool, run, seed, given.steps, max(ARMS[other][1] for other in given.arms if ARMS[other][0] == run)
        )
    results = {
        arm: [scored(pool, *each, given.steps) for each in wanted if each[0] == arm] for arm in given.arms
    }
    lines = list(table(results))
    print("\n".join(lines))
    everything = [json.dumps(line) for of_arm in results.values() for line in of_arm]
    for path, told in ((given.table, lines), (given.json, everything)):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + "\n" for line in told))


if __name__ == "__main__":
    main()
