"""Random crops of images with the targets of the detector and of the segmenter."""

import numpy as np

from ...training.sampling import CropSampler
from .detection import click_targets
from .target_maps import decode

BLACK_BACKGROUND = 4  # both labels are background; see `hsn.supervision.points.target_maps.encode`


class FieldCrops(CropSampler):
    """Draws crops of fields.

    Parameters
    ----------
    fields : list of Field
        Images that are trained on, at least in part.
    config : Config
    encode : callable
        ``(field, warp) -> target, weight`` of a crop.
    batch_size : int
    **options
        Those of `CropSampler`.

    Attributes
    ----------
    steps : int
        Batches per epoch. Default: as many pixels as are trained on.
    """

    def __init__(self, fields, config, encode, *, batch_size, **options):
        super().__init__(
            fields,
            config.train,
            lambda record, warp: encode(record[1], warp),
            normalization=config.normalization,
            batch_size=batch_size,
            **options,
        )
        pixels = sum(field.held.size - field.held.sum() for field in fields)
        self.steps = config.train.steps or -(-pixels // (batch_size * config.train.crop_px**2))


def _inside(field, warp):
    """Return the pixels of a crop that lie in the image, bool (px, px)."""
    return warp.labels(np.ones(field.held.shape, np.uint8)) > 0


def detection_crops(fields, config):
    """Return crops for a detector: Gaussian peaks on clicks, and background where it is known."""

    def encode(field, warp):
        side = warp.displacement.shape[1:]
        background = None if field.background is None else warp.labels(field.background.astype(np.uint8)) > 0
        target, weight = click_targets(warp.points(field.clicks), side, config, background=background)
        # Pixels outside the image and validation pixels are unknown.
        return target, weight * warp.labels((~field.held).astype(np.float32))

    return FieldCrops(fields, config, encode, batch_size=config.detection_batch_size, elastic=False)


def segmentation_crops(fields, config):
    """Return crops for a segmenter: the two coarse labels."""
    black = config.outside == "background"

    def encode(field, warp):
        codes = warp.labels(np.where(field.held, 0, field.codes))
        if black:
            codes = np.where(_inside(field, warp), codes, BLACK_BACKGROUND)
        return decode(codes)

    def fill(pixels, record, warp):
        return np.where(_inside(record[1], warp)[..., None], pixels, 0)

    return FieldCrops(
        fields, config, encode, batch_size=config.train.batch_size, fill=fill if black else None
    )
