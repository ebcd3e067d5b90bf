"""Train a net from tags: a segmentation net that learns the share of each class, or a patch classifier.

The thresholds of a classifier are fitted on the validation patches. Segmentation nets: see `share_training`.
"""

from functools import partial
from pathlib import Path

import keras
import numpy as np

from ... import models
from ...checks import same_length
from ...errors import InputError
from ...images.read import resample
from ...images.scaling import normalize
from ...nets import histonet
from ...prediction.scores import fit_thresholds
from ...training.images import training_images
from ...training.loop import LoopSpec, fit_net
from ...training.run import Run
from ...training.schedules import triangular
from ...training.splits import train_val_split
from ...types import Targets
from .losses import make_loss
from .patches import batches, score, side_px
from .share_training import CONTENTS, DEPENDS, fit_shares
from .target_maps import make_targets

PREDICT_BATCH = 64  # patches of a forward pass without gradients


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a net from tags, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        With `config.shares` a segmentation net, (N, H, W, 3) -> (N, H, W, C) that sum to 1, for instance of
        `hsn.nets.encoder_unet`. Without, a classifier, for instance of `hsn.nets.histonet`. Trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        Patches; each is resized to `config.train.crop_px`, by default `config.window_px`.
    annotations : array, shape (N, C), or (N, R, S, C)
        Tags: for each patch and class of the config 1 (present), 0 (absent) or NaN (unknown). With four axes, tags of
        a grid of cells in each patch (`shares.cell`, or `cell_px` and `cell_stride_px` of the config); a cell is
        classified with its surroundings.
    config, out, progress
        See `hsn.supervision.masks.fit`.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_loss` and `validation_auc` (mean over classes with both tags). With
        `config.shares`, `stage` is 1 or 2.

    Raises
    ------
    InputError
        "length-mismatch", "tags-shape", "tags-values", "tags-grid", "split-empty", or the codes of `Run.open`.
    """
    out = Path(out)
    targets = _all_targets(images, annotations, config)
    split = train_val_split(len(images), config.train.validation, seed=config.train.seed)
    trained = net
    if config.shares is None and targets.target.ndim == 4:
        trained = _cell_classifier(net, targets.target, config)
    patches = training_images(
        images, annotations, partial(prepare, side_px=side_px(config)), progress=progress
    )
    claim = {"data": (images, annotations)}
    if config.shares is not None:
        claim |= {"depends": DEPENDS, "contents": CONTENTS}
    with Run.open(out, config, net=net, progress=progress, **claim) as run:
        if config.shares is None:
            history, thresholds = _fit_classifier(trained, patches, targets, split, config, run, progress)
            config = config.replace(thresholds=thresholds)
        else:
            history = fit_shares(net, patches, targets, split, config, run, progress)
        models.save(out, net, card(config, history, name=out.name), config.to_dict())
        run.finish(history)
    return history


def _fit_classifier(net, patches, targets, split, config, run, progress):
    """Train a classifier of patches or cells; return its history and the thresholds of its classes."""
    learned, held_out = split
    validated, truth = [patches[k] for k in held_out], Targets(*(part[held_out] for part in targets))
    spec = LoopSpec(
        epochs=config.train.epochs,
        steps=-(-len(learned) // config.train.batch_size),
        batch=batches(patches, targets, learned, config),
        learning_rate=lambda epoch: triangular(
            epoch,
            lowest=config.train.min_learning_rate,
            highest=config.train.learning_rate,
            half_cycle=config.half_cycle_epochs,
            halve_every=config.halve_every_epochs,
        ),
        validate=lambda: score(truth, predict(net, validated, config), config),
        monitor="validation_loss",
    )
    history = fit_net(
        net,
        make_loss(config),
        spec,
        out=run.folder,
        optimizer=keras.optimizers.SGD(momentum=config.momentum, nesterov=True),
        jit_compile="auto",
        progress=progress,
    )
    return history, _fit_thresholds(truth, predict(net, validated, config))


def prepare(name, image, annotation, *, side_px):
    """Return the record of a patch: its pixels, uint8 (px, px, 3). The annotation is not used."""
    shape = (side_px, side_px)
    return (image if image.shape[:2] == shape else resample(image, shape),)


def _all_targets(images, annotations, config):
    """Return the targets and weights of all patches, (N, C) or (N, R, S, C)."""
    same_length("images", images, "annotations", annotations)
    # Targets do not depend on the pixels, so no file is read.
    blank = np.zeros((1, 1, 3), np.uint8)
    targets = [make_targets(blank, tags, config) for tags in annotations]
    return Targets(np.array([t.target for t in targets]), np.array([t.weight for t in targets]))


def _cell_classifier(net, target, config):
    """Return a net that classifies every cell of a grid, with the weights of `net`."""
    side = side_px(config)
    if not (config.cell_px and config.cell_stride_px):
        raise InputError(
            "tags-grid",
            "the config must have `cell_px` and `cell_stride_px` for a grid of tags",
            got=f"tags of shape {target.shape[1:]}",
            hint="give the size of a tagged cell",
        )
    cells = (side - config.cell_px) // config.cell_stride_px + 1
    if target.shape[1:3] != (cells, cells):
        raise InputError(
            "tags-grid",
            f"the grid of tags must have {cells} x {cells} cells for patches of {side} px",
            got=target.shape[1:3],
            hint="give tags for each cell",
        )
    if config.shift_px:
        raise InputError(
            "tags-grid", "`shift_px` must be 0 with a grid of tags", got=config.shift_px, hint="leave it out"
        )
    return histonet.build_cell_classifier(net, cell_px=config.cell_px, stride_px=config.cell_stride_px)


def _fit_thresholds(truth, scores):
    """Return the best threshold of each class, from the patches with a known tag."""
    known = truth.weight.reshape(scores.shape) > 0
    present = truth.target > 0
    thresholds = (
        fit_thresholds(*(x[..., k : k + 1][known[..., k]] for x in (present, scores)))[0]
        for k in range(scores.shape[-1])
    )
    return tuple(float(threshold) for threshold in thresholds)


def card(config, history, *, name):
    """Return the card of what `fit` trained."""
    kept = history.epochs[history.best]
    stage = f" of stage {kept['stage']}" if "stage" in kept else ""
    epochs = config.train.epochs if stage else len(history.epochs)
    notes = f"epoch {kept['epoch']} of {epochs}{stage} was kept: the lowest validation loss"
    return models.card_of(config, kept, name=name, notes=notes, thresholds=config.thresholds)


def predict(net, patches, config):
    """Return the scores of patches, float32 (n, C), or (n, R, S, C) for a grid of cells.

    Parameters
    ----------
    net : keras.Model
    patches : sequence of TrainingImage
    config : Config
    """
    scores = []
    for k in range(0, len(patches), PREDICT_BATCH):
        pixels = np.stack([patch.load()[0] for patch in patches[k : k + PREDICT_BATCH]])
        pixels = normalize(pixels, config.normalization.mean, config.normalization.std)
        scores.append(keras.ops.convert_to_numpy(net(pixels, training=False)))
    return np.concatenate(scores)
