"""Fit: a patch classifier learns from tags, and its thresholds are set on patches that it did not learn from.

The result is a folder that explains itself and that `hsn.segment` takes by path: `net.keras`, `card.json`,
`config.json`; beside them what a killed run needs to go on.
"""

from pathlib import Path

import keras
import numpy as np

from ... import models
from ...checks import as_image, same_length
from ...errors import refuse
from ...images.read import read, resample
from ...images.scaling import normalize
from ...metrics.ranking import roc_auc
from ...nets import histonet
from ...prediction.scores import fit_thresholds
from ...training.augment import draw
from ...training.loop import LoopSpec, fit_net
from ...training.run import Run
from ...training.sampling import batch_of
from ...training.schedules import triangular
from ...training.splits import train_val_split
from .losses import make_loss
from .target_maps import make_targets

PREDICT_BATCH = 64  # patches a forward pass, without gradients


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a patch classifier from tags, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        A classifier, for instance of `hsn.nets.histonet`; trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        Patches; each is resized to `config.train.crop_px` where it differs. Paths are read when needed, so
        that memory stays bounded.
    annotations : array, shape (N, C), or (N, R, S, C)
        Tags: per patch and class of the config 1 (present), 0 (absent) or NaN (not said). With four axes, tags of
        a grid of cells in each patch (`cell_px` and `cell_stride_px` of the config): a cell is learned with what
        lies around it.
    config : Config
    out : path
        The trained folder. The same call continues a run that was killed; see `hsn.training.run`.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_loss`, `validation_auc` (mean over classes with both kinds of patch).

    Raises
    ------
    InputError
        If images and tags do not belong together, nothing is left to learn or validate on, or `out` holds
        another run.
    """
    out = Path(out)
    patches = Patches(images, config.train.crop_px or config.window_px)
    truth = _truths(patches, annotations, config)
    learned, held_out = train_val_split(len(patches), config.train.validation, seed=config.train.seed)
    learner = _over_what_is_tagged(net, truth[0], config)
    of = make_loss(config)

    def validate():
        target, weight = (x[held_out] for x in truth)
        scores = predict(learner, patches, held_out, config)
        auc = roc_auc(*(x.reshape(-1, len(config.classes)) for x in (target > 0, scores)))
        return {
            "validation_loss": float(of(target, scores, weight, None)),
            "validation_auc": np.nanmean(auc) if np.isfinite(auc).any() else np.nan,
        }

    with Run.open(out, config, net=net, data=(images, annotations), progress=progress) as run:
        history = fit_net(
            learner,
            of,
            _spec(patches, truth, learned, config, validate),
            out=run.folder,
            optimizer=keras.optimizers.SGD(momentum=config.momentum, nesterov=True),
            jit_compile="auto",
            progress=progress,
        )
        scores = predict(learner, patches, held_out, config)
        known = truth[1][held_out].reshape(scores.shape)
        fitted = [
            fit_thresholds(*(x[..., k : k + 1][known[..., k] > 0] for x in (truth[0][held_out] > 0, scores)))[
                0
            ]
            for k in range(len(config.classes))
        ]
        finished = config.replace(thresholds=tuple(float(t) for t in fitted))
        models.save(out, net, card(finished, history, name=out.name), finished.to_dict())
        run.finish(history)
    return history


def _over_what_is_tagged(net, target, config):
    """The net as it learns: scoring whole patches, or the cells of a grid."""
    if target.ndim == 2:
        return net
    side = config.train.crop_px or config.window_px
    if not (config.cell_px and config.cell_stride_px):
        refuse("a grid of tags needs its sizes", expected="`cell_px` and `cell_stride_px` in the config",
               received=f"tags of shape {target.shape[1:]}", remedy="say how large a tagged cell is")  # fmt: skip
    cells = (side - config.cell_px) // config.cell_stride_px + 1
    if target.shape[1:3] != (cells, cells):
        refuse("the grid of tags does not cover the patch", received=target.shape[1:3],
               expected=f"{cells} x {cells} cells for {side} px", remedy="give a tag for each cell")  # fmt: skip
    if config.shift_px:
        refuse("a grid of tags cannot be shifted", expected="`shift_px` of 0", received=config.shift_px,
               remedy="leave it out of the config")  # fmt: skip
    return histonet.build_cell_classifier(net, cell_px=config.cell_px, stride_px=config.cell_stride_px)


def card(config, history, *, name):
    """The card of what `fit` trained."""
    kept = history.epochs[history.best]
    notes = f"epoch {kept['epoch']} of {len(history.epochs)} was kept: the lowest validation loss"
    return models.card_of(config, kept, name=name, notes=notes, thresholds=config.thresholds)


class Patches:
    """Patches of one size from arrays or paths, read when they are asked for."""

    def __init__(self, images, side_px):
        self._images, self._shape = images, (side_px, side_px)

    def __len__(self):
        return len(self._images)

    def __getitem__(self, k):
        image = self._images[k]
        image = as_image(image) if isinstance(image, np.ndarray) else read(image)
        return image if image.shape[:2] == self._shape else resample(image, self._shape)


def _truths(patches, annotations, config):
    """Targets and weights of all patches: two arrays (N, C)."""
    same_length("images", patches, "annotations", annotations)
    # A blank stands in for the patch: tags alone decide the target, and no file need be read for that.
    blank = np.zeros((1, 1, 3), np.uint8)
    each = [make_targets(blank, tags, config) for tags in annotations]
    return np.array([t.target for t in each]), np.array([t.weight for t in each])


def _spec(patches, truth, learned, config, validate):
    train = config.train
    target, weight = truth

    def batch(epoch, step):
        drawn, rng = batch_of(len(learned), train.batch_size, seed=train.seed, epoch=epoch, step=step)
        chosen = learned[drawn]
        draws = [_draw(rng, config) for _ in chosen]
        pixels = np.stack([d.paint(patches[k]) for d, k in zip(draws, chosen, strict=True)])  # (B, px, px, 3)
        tags = (_moved(draws, of[chosen]) for of in (target, weight))
        return normalize(pixels, config.normalization.mean, config.normalization.std), *tags

    return LoopSpec(
        epochs=train.epochs,
        steps=-(-len(learned) // train.batch_size),
        batch=batch,
        learning_rate=lambda epoch: triangular(
            epoch,
            lowest=config.train.min_learning_rate,
            highest=config.train.learning_rate,
            half_cycle=config.half_cycle_epochs,
            halve_every=config.halve_every_epochs,
        ),
        validate=validate,
        monitor="validation_loss",
    )


def _moved(draws, tags):
    """A grid of tags moves with its patch; the tags of a whole patch stay."""
    return tags if tags.ndim == 2 else np.stack([d.move(t) for d, t in zip(draws, tags, strict=True)])


def _draw(rng, config):
    augmentation = config.train.augmentation
    return draw(
        rng,
        flips=augmentation.flips[1],
        quarter_turns=config.quarter_turns,
        shift_px=config.shift_px,
        gain=augmentation.color_gain,
        offset=augmentation.color_offset,
    )


def predict(net, patches, chosen, config):
    """Scores of some patches: float32 (n, C), or (n, R, S, C) for a grid of cells."""
    scores = []
    for k in range(0, len(chosen), PREDICT_BATCH):
        pixels = np.stack([patches[i] for i in chosen[k : k + PREDICT_BATCH]])
        pixels = normalize(pixels, config.normalization.mean, config.normalization.std)
        scores.append(keras.ops.convert_to_numpy(net(pixels, training=False)))
    return np.concatenate(scores)
