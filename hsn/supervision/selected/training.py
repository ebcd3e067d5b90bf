"""Train a net from full masks of a few selected patches.

Synthetic pairs are made from each annotated patch; a net learns from both; its confident objects in unlabeled images
become annotation, and the next net learns from all three (Lou et al., IEEE TMI 2022). The round with the best
validation score is kept.

Every stage writes its results before the next begins, and results that exist are not made again.
"""

import json
from pathlib import Path

from ... import models
from ...files import atomic_write
from ...training.loop import BEST
from ...training.object_training import fit_system
from ...training.run import START, Run
from ...types import History
from .config import MONITORS
from .dense import system_of
from .patches import load_patches
from .pseudo import label_images
from .synthetic import synthesize_pairs

ROUNDS = "rounds.json"
CONTENTS = {
    "synthetic/NAME/": "synthetic pairs of each annotated patch; NAME is the number of the image and its file's name",
    "rounds/K/": "one training each; round 0 learned from annotated patches and synthetic pairs, each further round "
    "also from pseudo-labels",
    "pseudo/K/labels/NAME.png": "objects of round K - 1 that became pseudo-labels, at the net's scale",
    "pseudo/K/known/NAME.png": "black where an object was detected but not accepted: nothing is learned there",
    "pseudo/K/summary.json": "how many objects were detected, accepted and rejected; the share of known pixels",
    "rounds.json": "training data of each round, its best validation scores, and the round that was kept",
}
# A round builds on the round before.
DEPENDS = {"train.epochs": ("pseudo/*", "rounds/[1-9]*")}


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a net from full masks of some images, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        With the outputs background, inside and contour, for instance of `hsn.nets.unet`; or of
        `hsn.extras.maskrcnn.build`, by the numbers of the config's `detector`. Trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of int arrays (H, W), of paths, or of None
        Objects of each image: 0 background, any positive ids; or files for `hsn.annotations.mask_files`. The masked
        pixels of a NumPy masked array are unknown. None for an unlabeled image.
    config, out, progress
        See `hsn.supervision.masks.fit`.

    Returns
    -------
    History
        Of all rounds, one after another: per epoch `round`, `rate`, `loss`, `validation_pq`, `validation_aji` and
        `validation_cut`, on the validation images. `best` is the epoch that was kept.

    Raises
    ------
    InputError
        "length-mismatch", "shape-mismatch", "net-outputs", "split-empty", the codes of `Run.open`, or those of a patch
        that cannot be synthesized.
    """
    patches = load_patches(images, annotations, config, progress=progress)
    system = system_of(net, config)
    claim = {"data": (images, annotations), "depends": DEPENDS, "contents": CONTENTS}
    with Run.open(out, config, net=net, progress=progress, **claim) as run:
        synthetic = synthesize_pairs(patches.learned, config, run.out / "synthetic", progress=progress)
        histories, rows, pseudo = [], [], []
        for k in range(config.rounds + 1 if patches.unlabeled else 1):
            if k:
                folder = run.out / "pseudo" / str(k)
                pseudo = label_images(system, patches.unlabeled, config, folder, progress=progress)
            if config.start == "initial" and k:
                net.load_weights(run.folder / START)
            histories.append(_train_round(system, patches, synthetic, pseudo, config, run.out, k, progress))
            counts = {"real": len(patches.learned), "synthetic": len(synthetic), "pseudo": len(pseudo)}
            rows.append({"round": k, "learned_from": counts, **histories[-1].epochs[histories[-1].best]})
            kept = _best(rows, config)
            _write_rounds(run.out / ROUNDS, kept, rows)
        system.training_model.load_weights(run.out / "rounds" / str(kept) / BEST)
        models.save(run.out, net, card(config, rows, kept, name=run.out.name), config.to_dict())
        history = _join(histories, kept)
        run.finish(history)
    return history


def _train_round(system, patches, synthetic, pseudo, config, out: Path, number, progress):
    """Train the system for one round; afterwards it holds the weights of its best epoch."""
    shares = None
    if config.real_share is not None:
        shares = share_images(len(patches.learned), (len(synthetic), len(pseudo)), config.real_share)
    return fit_system(
        system,
        [*patches.learned, *synthetic, *pseudo],
        patches.held_out,
        config.train,
        out=out / "rounds" / str(number),
        shares=shares,
        clip_norm=config.clip_norm,
        min_object_px=config.min_object_px,
        stage=f"training, round {number}",
        progress=progress,
    )


def share_images(real, others, real_share):
    """Return how often each image is drawn: real ones, then those of other kinds, which share the rest equally.

    Parameters
    ----------
    real : int
        Number of real images.
    others : sequence of int
        Number of images of each other kind.
    real_share : float

    Returns
    -------
    list of float

    Examples
    --------
    >>> share_images(1, (2, 1), 0.5), share_images(2, (0, 0), 0.5)
    ([0.5, 0.125, 0.125, 0.25], [0.25, 0.25])
    """
    kinds = sum(count > 0 for count in others)
    shares = [real_share / real] * real
    for count in others:
        shares += [(1 - real_share) / kinds / count] * count if count else []
    return shares


def _best(rows, config):
    """Return the round with the best validation score; of equals the first."""
    monitor = MONITORS[config.train.monitor].lstrip("-")
    return max(range(len(rows)), key=lambda k: rows[k][monitor])


def _write_rounds(path, kept, rows):
    with atomic_write(path) as temporary:
        text = json.dumps({"kept": kept, "rounds": rows}, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8")


def _join(histories, kept):
    """Return one history of all rounds."""
    rows = [row | {"round": k} for k, history in enumerate(histories) for row in history.epochs]
    before = sum(len(history.epochs) for history in histories[:kept])
    return History(tuple(rows), before + histories[kept].best)


def card(config, rows, kept, *, name):
    """Return the card of what `fit` trained."""
    row = rows[kept]
    counts = row["learned_from"]
    notes = (
        f"learned from {counts['real']} annotated patches, {counts['synthetic']} synthetic pairs and"
        f" {counts['pseudo']} pseudo-labeled images; epoch {row['epoch']} of round {kept} of 0 to {len(rows) - 1} was"
        f" kept, by validation {config.train.monitor}"
    )
    return models.card_of(config, row, name=name, notes=notes)
