"""Random crops of images with the targets of the detector, of the segmenter and of the net for objects."""

import numpy as np

from ...training.sampling import CropSampler
from .detection import click_targets
from .target_maps import decode, encode_objects

BLACK_BACKGROUND = 4  # both labels are background; see `hsn.supervision.points.target_maps.encode`


class PointCrops(CropSampler):
    """Draws crops of images with points.

    Parameters
    ----------
    images : sequence of PointImage
        Images that are trained on, at least in part.
    config : Config
    encode : callable
        ``(record, warp) -> target, weight`` of a crop.
    batch_size : int
    **options
        Those of `CropSampler`.

    Attributes
    ----------
    steps : int
        Batches per epoch. Default: as many pixels as are trained on.
    """

    def __init__(self, images, config, encode, *, batch_size, **options):
        super().__init__(
            images,
            config.train,
            encode,
            normalization=config.normalization,
            batch_size=batch_size,
            **options,
        )
        pixels = sum(image.train_pixels for image in images)
        self.steps = config.train.steps or -(-pixels // (batch_size * config.train.crop_px**2))


def _inside(record, warp):
    """Return the pixels of a crop that lie in the image, bool (px, px)."""
    return warp.labels(np.ones(record.val_mask.shape, np.uint8)) > 0


def detection_crops(images, config):
    """Return crops for a detector: Gaussian peaks on clicks, and background where it is known."""

    def encode(record, warp):
        shape = warp.displacement.shape[1:]
        background = record.background
        background = None if background is None else warp.labels(background.astype(np.uint8)) > 0
        target, weight = click_targets(warp.points(record.clicks), shape, config, background=background)
        # Pixels outside the image and validation pixels are unknown.
        return target, weight * warp.labels((~record.val_mask).astype(np.float32))

    return PointCrops(images, config, encode, batch_size=config.detection_batch_size, elastic=False)


def segmentation_crops(images, config):
    """Return crops for a segmenter: the two coarse labels."""
    black = config.outside == "background"

    def encode(record, warp):
        codes = warp.labels(np.where(record.val_mask, 0, record.codes))
        if black:
            codes = np.where(_inside(record, warp), codes, BLACK_BACKGROUND)
        return decode(codes)

    def fill(pixels, record, warp):
        return np.where(_inside(record, warp)[..., None], pixels, 0)

    return PointCrops(
        images, config, encode, batch_size=config.train.batch_size, fill=fill if black else None
    )


def object_crops(images, config):
    """Return crops for the last stage: background, inside and contour of the objects."""

    def encode(record, warp):
        # Contours are drawn after the move, so that their width does not change.
        target = encode_objects(warp.labels(record.instances), config)
        return target, warp.weight(np.where(record.val_mask, 0, record.weight))

    return PointCrops(images, config, encode, batch_size=config.train.batch_size)
