"""Sampling of batches, and random crops of training images.

A batch is a function of the seed, the epoch and the step. A killed run therefore resumes with the same batches.
"""

import numpy as np

from ..images.scaling import normalize
from .augment import draw, draw_warp


def batch_of(count, size, *, seed, epoch, step):
    """Draw a batch without replacement: every epoch uses each example once, in a new order.

    Parameters
    ----------
    count : int
        Number of examples.
    size : int
        Number of examples in a batch. The last batch of an epoch is filled from the beginning of the epoch.
    seed, epoch, step : int
        0 or more.

    Returns
    -------
    chosen : int64 array, shape (size,)
        Indices 0..count - 1.
    rng : numpy.random.Generator
        Generator for further draws of this step.

    Examples
    --------
    >>> [batch_of(5, 2, seed=0, epoch=1, step=step)[0].tolist() for step in range(3)]
    [[1, 4], [3, 0], [2, 1]]
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    chosen = order[(step * size + np.arange(size)) % count]
    return chosen, np.random.default_rng((seed, epoch, step))


def batch_by_share(often, size, *, steps, seed, epoch, step):
    """Draw a batch with a sampling frequency for each example (systematic sampling).

    Parameters
    ----------
    often : sequence of float
        Relative frequency of each example. Counts over an epoch differ from it by less than one draw.
    size, steps : int
        Number of examples in a batch, and of batches in an epoch.
    seed, epoch, step : int
        0 or more.

    Returns
    -------
    chosen, rng
        As in `batch_of`.

    Examples
    --------
    >>> batches = [batch_by_share([1, 2, 1], 2, steps=2, seed=0, epoch=0, step=step)[0].tolist() for step in (0, 1)]
    >>> sorted(batches[0] + batches[1])
    [0, 1, 1, 2]
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(often))
    # Equal steps along the cumulative frequencies: each example is drawn as often as its frequency demands.
    ends = np.cumsum(np.asarray(often, np.float64)[order])
    positions = (rng.random() + np.arange(steps * size)) / (steps * size) * ends[-1]
    found = np.minimum(np.searchsorted(ends, positions, side="right"), len(order) - 1)
    chosen = rng.permutation(order[found])[step * size + np.arange(size)]
    return chosen, np.random.default_rng((seed, epoch, step))


class CropSampler:
    """Draws batches of random crops; one `Warp` transforms image, target and weight of a crop.

    A batch depends only on the seed, the epoch and the step.

    Parameters
    ----------
    images : sequence of TrainingImage
        The first entry of a record is the image, uint8 (H, W, 3), at the net's scale.
    train : TrainConfig
    encode : callable
        ``(record, warp) -> tuple of arrays``: makes target and weight of a crop.
    normalization : Normalization, optional
        Default: pixels stay 0..255.
    batch_size : int, optional
        Default: `train.batch_size`.
    shares : sequence of float, optional
        Relative sampling frequency of each image. Default: equal, without replacement in an epoch.
    elastic : bool
        Whether to deform crops elastically. Default: True.
    fill : callable, optional
        ``(pixels, record, warp) -> pixels``: fills the pixels outside of the image. Default: mirrored.
    """

    def __init__(self, images, train, encode, *, normalization=None, batch_size=None, shares=None, elastic=True,
                 fill=None):  # fmt: skip
        self._images, self._train, self._encode = images, train, encode
        self._normalization, self._shares, self._fill = normalization, shares, fill
        self._batch_size = batch_size or train.batch_size
        self._augmentation = train.augmentation if elastic else train.augmentation.replace(elastic_px=0.0)

    def batch(self, epoch, step):
        """Draw the pixels of a batch, float32 (B, px, px, 3), and the stacked results of `encode`."""
        return self.batch_and_rng(epoch, step)[0]

    def batch_and_rng(self, epoch, step):
        """Draw a batch as `batch`; return it and a generator for further draws of this step."""
        position = {"seed": self._train.seed, "epoch": epoch, "step": step}
        if self._shares is None:
            chosen, rng = batch_of(len(self._images), self._batch_size, **position)
        else:
            chosen, rng = batch_by_share(self._shares, self._batch_size, steps=self._train.steps, **position)
        crops = [self._crop(rng, self._images[k].load()) for k in chosen]
        return tuple(np.stack(part) for part in zip(*crops, strict=True)), rng

    def _crop(self, rng, record):
        augmentation = self._augmentation
        warp = warp_of(rng, record[0].shape[:2], self._train.crop_px, augmentation)
        color = color_of(rng, augmentation)
        pixels = color.paint(warp.image(record[0]))
        if self._fill is not None:
            pixels = self._fill(pixels, record, warp)
        if self._normalization is not None:
            pixels = normalize(pixels, self._normalization.mean, self._normalization.std)
            pixels = pixels * contrast(rng, augmentation)
        return pixels, *self._encode(record, warp)


def warp_of(rng, shape, crop_px, augmentation):
    """Draw the `Warp` of a crop for an `Augmentation`."""
    return draw_warp(
        rng,
        shape,
        crop_px,
        zoom=augmentation.zoom,
        flips=augmentation.flips,
        rotation_deg=augmentation.rotation_deg,
        shear_deg=augmentation.shear_deg,
        affine_jitter=augmentation.affine_jitter,
        elastic_px=augmentation.elastic_px,
        elastic_spacing_px=augmentation.elastic_spacing_px,
        noise_elastic_px=augmentation.noise_elastic_px,
        noise_elastic_sigma_px=augmentation.noise_elastic_sigma_px,
    )


def color_of(rng, augmentation):
    """Draw the change of colors of a crop for an `Augmentation`."""
    return draw(
        rng,
        flips=False,
        quarter_turns=False,
        gain=augmentation.color_gain,
        offset=augmentation.color_offset,
        stain_gain=augmentation.stain_gain,
        stain_offset=augmentation.stain_offset,
    )


def contrast(rng, augmentation):
    """Draw factors of the three normalized channels, float32 (3,); see `Augmentation.contrast`."""
    factors = np.ones(3)
    for k, spread in enumerate(augmentation.contrast):
        last = k == len(augmentation.contrast) - 1
        channelwise = last and rng.random() < augmentation.channelwise_contrast
        factors = factors * (1 + spread * rng.uniform(-1, 1, 3 if channelwise else 1))
    return factors.astype(np.float32)
