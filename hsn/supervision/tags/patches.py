"""Batches of tagged patches, and scores of predicted tags: what both kinds of nets share."""

import numpy as np

from ...images.scaling import normalize
from ...metrics.ranking import roc_auc
from ...training.augment import draw
from ...training.sampling import batch_of
from .losses import compare


def side_px(config):
    """Return the side of the training patches in pixels.

    Examples
    --------
    >>> from hsn.supervision.tags.config import preset
    >>> side_px(preset("cpu"))
    224
    """
    return config.train.crop_px or config.window_px


def batches(patches, targets, learned, config):
    """Return a function that draws the batch of an epoch and step: normalized pixels, tags and weights.

    Parameters
    ----------
    patches : sequence of TrainingImage
        Their records start with pixels, uint8 (px, px, 3).
    targets : Targets
        Of all patches, (N, C) or (N, R, S, C).
    learned : int array
        Indices of the training patches.
    config : Config

    Returns
    -------
    callable
        ``(epoch, step) -> (x (B, px, px, 3), tags, weight)``
    """

    def batch(epoch, step):
        train = config.train
        drawn, rng = batch_of(len(learned), train.batch_size, seed=train.seed, epoch=epoch, step=step)
        chosen = learned[drawn]
        draws = [_draw(rng, config) for _ in chosen]
        pairs = zip(draws, chosen, strict=True)
        pixels = np.stack([drawn.paint(patches[k].load()[0]) for drawn, k in pairs])  # (B, px, px, 3)
        tags = (_move(draws, part[chosen]) for part in targets)
        return normalize(pixels, config.normalization.mean, config.normalization.std), *tags

    return batch


def _move(draws, tags):
    """Move grids of tags like their patches; tags of whole patches do not change."""
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
        stain_gain=augmentation.stain_gain,
        stain_offset=augmentation.stain_offset,
    )


def score(truth, scores, config):
    """Return `validation_loss` and `validation_auc` of predicted scores, or of shares.

    Parameters
    ----------
    truth : Targets
        (n, C) or (n, R, S, C).
    scores : float array, the shape of the tags
    config : Config
    """
    known = truth.weight > 0
    auc = [roc_auc(truth.target[known[..., k], k, None] > 0, scores[known[..., k], k, None])[0]
           for k in range(scores.shape[-1])]  # fmt: skip
    return {
        "validation_loss": float(compare(truth.target, scores, truth.weight, config)),
        "validation_auc": np.nanmean(auc) if np.isfinite(auc).any() else np.nan,
    }
