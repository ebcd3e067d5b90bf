"""Crops: random pieces of images with what the two nets learn from them."""

import numpy as np

from ...images.scaling import normalize
from ...training.augment import draw, draw_warp
from ...training.sampling import batch_of
from .detection import click_targets
from .target_maps import decode

BLACK_BACKGROUND = 4  # both labels say background; see `hsn.supervision.points.target_maps.encode`


class Crops:
    """Random crops of images; what a batch holds depends on the seed, the epoch and the step only.

    Parameters
    ----------
    fields : list of Field
        Images that are learned from, at least in part.
    config : Config
    batch : int
        Crops a batch.
    taught : callable
        ``(field, warp) -> target, weight``: what a crop teaches.
    elastic_px : float
        Elastic deformation.
    blacken : bool
        Whether a crop is black where it shows more than the image, instead of mirrored.
    """

    def __init__(self, fields, config, *, batch, taught, elastic_px=0.0, blacken=False):
        self._fields, self._config, self._batch = fields, config, batch
        self._taught, self._bend_px, self._blacken = taught, elastic_px, blacken

    @property
    def steps(self):
        """Batches an epoch."""
        pixels = sum(field.held.size - field.held.sum() for field in self._fields)
        return self._config.train.steps or -(-pixels // (self._batch * self._config.train.crop_px**2))

    def batch(self, epoch, step):
        """Pixels (B, px, px, 3), targets and weights (B, px, px, ...)."""
        seed = self._config.train.seed
        chosen, rng = batch_of(len(self._fields), self._batch, seed=seed, epoch=epoch, step=step)
        drawn = [self._crop(rng, self._fields[k]) for k in chosen]
        return tuple(np.stack(x) for x in zip(*drawn, strict=True))

    def _crop(self, rng, field):
        train = self._config.train
        warp = draw_warp(
            rng,
            field.held.shape,
            train.crop_px,
            zoom=train.augmentation.zoom,
            flips=train.augmentation.flips,
            rotation_deg=train.augmentation.rotation_deg,
            affine_jitter=train.augmentation.affine_jitter,
            elastic_px=self._bend_px,
            elastic_spacing_px=train.augmentation.elastic_spacing_px,
        )
        color = draw(
            rng,
            flips=False,
            quarter_turns=False,
            gain=train.augmentation.color_gain,
            offset=train.augmentation.color_offset,
            stain_gain=train.augmentation.stain_gain,
            stain_offset=train.augmentation.stain_offset,
        )
        pixels = color.paint(warp.image(field.image))
        if self._blacken:
            pixels = np.where(_shown(field, warp)[..., None], pixels, 0)
        normalization = self._config.normalization
        return normalize(pixels, normalization.mean, normalization.std), *self._taught(field, warp)


def _shown(field, warp):
    """Which pixels of a crop show the image, bool (px, px)."""
    return warp.labels(np.ones(field.held.shape, np.uint8)) > 0


def detection_crops(fields, config):
    """Crops that teach a detector: bumps on clicks, and background where it is known."""

    def taught(field, warp):
        side = warp.displacement.shape[1:]
        background = None if field.background is None else warp.labels(field.background.astype(np.uint8)) > 0
        target, weight = click_targets(warp.points(field.clicks), side, config, background=background)
        # Nothing is known outside of the image, nor in what is held out.
        return target, weight * warp.labels((~field.held).astype(np.float32))

    return Crops(fields, config, batch=config.detection_batch_size, taught=taught)


def segmentation_crops(fields, config):
    """Crops that teach a segmenter: the two coarse labels."""
    blacken = config.outside == "background"

    def taught(field, warp):
        codes = warp.labels(np.where(field.held, 0, field.codes))
        if blacken:
            codes = np.where(_shown(field, warp), codes, BLACK_BACKGROUND)
        return decode(codes)

    return Crops(fields, config, batch=config.train.batch_size, taught=taught,
                 elastic_px=config.train.augmentation.elastic_px, blacken=blacken)  # fmt: skip
