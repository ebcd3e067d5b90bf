"""Fit: from full masks of a few chosen patches to a net that tells all objects.

Each annotated patch is painted anew many times; a net learns from both; what it is sure of in images that nobody
annotated is taken for annotation, and the next net learns from all three (Lou et al., IEEE TMI 2022). The round that
judges unseen patches best is kept.

Every stage writes what it made before the next begins, and what is there is not made again: a run that was killed goes
on where it was. `README.txt` in the folder says what lies where.
"""

import json
import warnings
from pathlib import Path

import numpy as np

from ... import models
from ...errors import refuse
from ...files import atomic_write
from ...training import object_training as training
from ...training.run import claim
from ...types import History
from .config import MONITORS
from .dense import system_of
from .paint import paint
from .patches import patches_of
from .pseudo import label

START, ROUNDS = "start.weights.h5", "rounds.json"
BEST = "best.weights.h5"  # as `hsn.training.loop` calls it

ABOUT = """\
This folder was made by learning from full masks of a few patches (hsn.selected.fit). NAME is the number of an image,
from 0 in the order given, and its file's name. In the order in which it came to be:

run.json                   the config, and a checksum of images and masks: whose run this is
start.weights.h5           the weights that the net came with
synthetic/NAME/            of each annotated patch that is learned from, pairs painted in its manner; about.json there
                           says more
rounds/K/                  one training each; round 0 learned from annotated patches and painted pairs, each further
                           one also from pseudo-labels
  history.json             loss and validation of every epoch
pseudo/K/                  what round K - 1 found in the images that nobody annotated, at the net's scale
  labels/NAME.png          objects that are believed, numbered from 1
  known/NAME.png           black where an object was seen but is not believed: nothing is learned there
  summary.json             how many objects were seen, believed and doubted, and which share of pixels is known
rounds.json                what each round learned from, the validation of its best epoch, and which round was kept
net.keras card.json config.json
                           the trained net, which `hsn segment --model` takes

Start the same command again to go on with a run that was interrupted.
"""


def fit(net, images, annotations, config, *, out):
    """Train a net from full masks of some images, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        With the outputs background, inside and contour, for instance of `hsn.nets.unet`; or of
        `hsn.extras.maskrcnn.build`, by the numbers of the config's `detector`. Trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of int arrays (H, W), of paths, or of None
        Per image its objects: 0 background, any positive ids; None where nobody annotated. Paths as
        `hsn.annotations.mask_files` reads them. What a masked array of NumPy masks is unknown.
    config : Config
    out : path
        The folder. A run that was killed goes on when it is started again.

    Returns
    -------
    History
        Of all rounds, one after another: per epoch `round`, `rate`, `loss`, `validation_pq`, `validation_aji`,
        `validation_cut`, all validation on annotated images that were not learned from. `best` is what was kept.

    Raises
    ------
    InputError
        If images and masks do not belong together, a patch is too large or too small to be painted, nothing is left
        to learn or validate on, or `out` holds another run.
    """
    out = Path(out)
    patches = patches_of(images, annotations, config)
    system = system_of(net, config)
    arrays = (array for patch in patches for array in (patch.image, patch.instances, patch.known))
    claim(out, config, arrays, guide=ABOUT, what="images, masks")
    start = _start(net, out / START)
    painted = paint(_learned(patches), config, out / "synthetic")
    unseen = [patch for patch in patches if patch.instances is None]
    histories, told, pseudo = [], [], []
    for k in range(config.rounds + 1 if unseen else 1):
        if k:
            pseudo = label(system, unseen, config, out / "pseudo" / str(k))
        if config.start == "initial" or not k:
            net.set_weights(start)
        histories.append(_round(system, patches, painted, pseudo, config, out / "rounds" / str(k)))
        counts = {"real": len(_learned(patches)), "synthetic": len(painted), "pseudo": len(pseudo)}
        told.append({"round": k, "learned_from": counts, **histories[-1].epochs[histories[-1].best]})
        kept = _best(told, config)
        with atomic_write(out / ROUNDS) as temporary:
            text = json.dumps({"kept": kept, "rounds": told}, indent=1) + "\n"
            temporary.write_text(text, encoding="utf-8")
    system.training_model.load_weights(out / "rounds" / str(kept) / BEST)
    models.save(out, net, card(config, told, kept, name=out.name), config.to_dict())
    return _joined(histories, kept)


def _start(net, path):
    """The weights that a net came with when the run began, which they are for all its rounds."""
    if path.exists():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Keras only warns where a file does not fit
                net.load_weights(path)
        except (ValueError, OSError, UserWarning) as error:
            refuse(f"{path} is of another net", expected="weights of this one", received=str(error).splitlines()[0],
                   remedy="choose an empty folder to start anew")  # fmt: skip
    else:
        with atomic_write(path) as temporary:
            net.save_weights(temporary)
    return net.get_weights()


def _learned(patches):
    return [patch for patch in patches if patch.instances is not None and not patch.judges]


def _round(system, patches, painted, pseudo, config, folder):
    """Train a system on what there is; afterwards it holds the weights of its best epoch."""
    judges = [(p.image, p.instances, p.known) for p in patches if p.judges]
    real = [(p.image, p.instances, p.known) for p in _learned(patches)]
    synthetic = [(image, instances, np.ones(instances.shape, bool)) for image, instances in painted]
    unseen = [patch.image for patch in patches if patch.instances is None] if pseudo else []
    taken = [(image, *each) for image, each in zip(unseen, pseudo, strict=True)]
    images, instances, known = zip(*judges, *real, *synthetic, *taken, strict=True)
    often = None
    if config.real_share is not None:
        often = [1.0] * len(judges) + shares(len(real), (len(synthetic), len(taken)), config.real_share)
    train = config.train.replace(validation=tuple(range(len(judges))))
    return training.fit(
        system, images, instances, train, out=folder, known=known, often=often, clip_norm=config.clip_norm,
        min_object_px=config.min_object_px,
    )  # fmt: skip


def shares(real, others, real_share):
    """How often each image is drawn: real ones, then those of other kinds, which share alike what is left.

    Parameters
    ----------
    real : int
        How many real ones there are.
    others : sequence of int
        How many of each other kind.
    real_share : float

    Returns
    -------
    list of float

    Examples
    --------
    >>> shares(1, (2, 1), 0.5), shares(2, (0, 0), 0.5)
    ([0.5, 0.125, 0.125, 0.25], [0.25, 0.25])
    """
    kinds = sum(count > 0 for count in others)
    often = [real_share / real] * real
    for count in others:
        often += [(1 - real_share) / kinds / count] * count if count else []
    return often


def _best(told, config):
    """The round of the best validation; of equals the first."""
    monitor = MONITORS[config.train.monitor].lstrip("-")
    return max(range(len(told)), key=lambda k: told[k][monitor])


def _joined(histories, kept):
    """One history of all rounds."""
    rows = [row | {"round": k} for k, history in enumerate(histories) for row in history.epochs]
    before = sum(len(history.epochs) for history in histories[:kept])
    return History(tuple(rows), before + histories[kept].best)


def card(config, told, kept, *, name):
    """The card of what `fit` trained."""
    row = told[kept]
    counts = row["learned_from"]
    notes = (
        f"learned from {counts['real']} annotated patches, {counts['synthetic']} synthetic pairs and"
        f" {counts['pseudo']} pseudo-labelled images; epoch {row['epoch']} of round {kept} of 0 to {len(told) - 1} was"
        f" kept, by validation {config.train.monitor}"
    )
    return models.card_of(config, row, name=name, notes=notes)
