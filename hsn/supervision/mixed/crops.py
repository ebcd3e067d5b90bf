"""Random crops by kind of annotation: a kind, then an image, then a crop that holds some of it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...images.scaling import normalize
from ...losses.objects import encode_targets
from ...training.sampling import CropSampler, color_of, contrast, warp_of
from .from_tags import TileTag, channels_of
from .sources import MASK, SOURCES, UNUSED, count_known, to_possible

_JITTER = 0.25  # of the side of a crop: distance of its center from the known pixel it was drawn for


class MixedRecord(NamedTuple):
    """An image at the net's scale and all that is known about it.

    Attributes
    ----------
    pixels : uint8 (h, w, 3)
    instances, complete, points
        See `hsn.supervision.mixed.target_maps.Known`.
    possible : int32 (heads, h, w)
    weight : float32 (heads, h, w)
    source : uint8 (heads, h, w)
    validating : bool (h, w)
        Pixels that validate.
    tags : tuple of TileTag
    """

    pixels: np.ndarray
    instances: np.ndarray
    complete: np.ndarray
    points: np.ndarray
    possible: np.ndarray
    weight: np.ndarray
    source: np.ndarray
    validating: np.ndarray
    tags: tuple[TileTag, ...]


def count_kinds(record):
    """Return the number of pixels of each kind of a record that are trained on, dict of str to int."""
    source = np.where(record.validating, UNUSED, record.source)
    counts = count_known(source)
    for tag in record.tags:
        counts["tags"] += int((~record.validating[tag.window]).sum()) * tag.present
    if not any(counts.values()):
        counts["unlabeled"] = int((source == 0).sum())
    return {kind: count for kind, count in counts.items() if count}


class MixedCrops(CropSampler):
    """Draws crops by kind, with probability proportional to the square root of the kind's known pixels.

    The first crop of a batch is of the most precise kind.

    Parameters
    ----------
    images : sequence of TrainingImage
    counts : sequence of dict of str to int
        Of `count_kinds`, for each image.
    config : Config
    steps : int
        Batches per epoch.
    """

    def __init__(self, images, counts, config, *, steps):
        super().__init__(images, config.train, None, normalization=config.normalization)
        self._config, self.steps, self._epochs = config, steps, config.train.epochs
        self._of_kind = {kind: [k for k, c in enumerate(counts) if c.get(kind)] for kind in SOURCES}
        known = {kind: sum(c.get(kind, 0) for c in counts) for kind in SOURCES}
        self._roots = {kind: count**0.5 for kind, count in known.items() if count}

    def batch(self, epoch, step):
        """Draw a batch: pixels, target, weight, pixels without changes of color, and the weight of pseudo-labels."""
        rng = np.random.default_rng((self._train.seed, epoch, step))
        ramp = self._ramp(epoch + step / self.steps)
        kinds = [kind for kind in self._roots if kind != "unlabeled" or ramp > 0] or list(self._roots)
        share = np.array([self._roots[kind] for kind in kinds])
        crops = []
        for number in range(self._batch_size):
            drawn = kinds[0] if number == 0 else kinds[rng.choice(len(kinds), p=share / share.sum())]
            image = self._images[rng.choice(self._of_kind[drawn])]
            crops.append(self._crop_of(rng, image.load(), drawn))
        return *(np.stack(part) for part in zip(*crops, strict=True)), ramp

    def _ramp(self, time):
        """Return the weight of pseudo-labels at a time in epochs, 0 to 1."""
        start, rise = (
            share * self._epochs for share in (self._config.pseudo_start, self._config.pseudo_ramp)
        )
        return (
            float(np.clip((time - start) / max(rise, 1e-9), 0, 1))
            if self._config.weight_of("unlabeled")
            else 0.0
        )

    def _crop_of(self, rng, record, kind):
        augmentation, side = self._augmentation, self._train.crop_px
        warp = warp_of(rng, record.pixels.shape[:2], side, augmentation)
        anchor = _pixel_of(rng, record, kind)
        if anchor is not None:
            middle = (side - 1) / 2
            center = anchor + rng.uniform(-_JITTER, _JITTER, 2) * side
            last = np.maximum(np.array(record.pixels.shape[:2]) - 1 - middle, middle)
            warp = replace(warp, center=tuple(np.clip(center, middle, last).tolist()))
        color, mean, std = color_of(rng, augmentation), self._normalization.mean, self._normalization.std
        moved = warp.image(record.pixels)
        painted = normalize(color.paint(moved), mean, std) * contrast(rng, augmentation)
        return painted, *encode(record, warp, self._config), normalize(moved, mean, std)


def _pixel_of(rng, record, kind):
    """Draw a pixel of a kind; None if any pixel of the image will do."""
    codes = SOURCES[kind]
    known = np.isin(record.source, codes).any(axis=0) & ~record.validating
    if not known.any():
        return None
    places = np.flatnonzero(known)
    return np.array(np.unravel_index(places[rng.integers(len(places))], known.shape), float)


def encode(record, warp, config):
    """Return target and weight of a crop, packed as `hsn.supervision.mixed.losses` states.

    Examples
    --------
    >>> from hsn.training.augment import Warp
    >>> from .config import preset
    >>> one = np.ones((1, 2), np.int32)
    >>> record = MixedRecord(None, one, one > 0, None, 6 * one[None], one[None] * 1.0, one[None], one > 1, ())
    >>> target, weight = encode(record, Warp((0.0, 0.5), np.eye(2), np.zeros((2, 1, 2))), preset("cpu"))
    >>> target[0].tolist(), weight[0].tolist()
    ([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    """
    usable = warp.labels((~record.validating).astype(np.uint8)) > 0  # not outside of the image
    targets, weights, sources = [], [], []
    for k, head in enumerate(config.heads):
        source = np.where(usable, warp.labels(record.source[k]), UNUSED)
        weight = warp.labels(record.weight[k]) * usable
        target = to_possible(warp.labels(record.possible[k]), head.channels)
        if head.name == "objects":
            exact = encode_targets(
                warp.labels(record.instances), head.channels, shrink_px=config.targets.shrink_px,
                contour_px=config.targets.contour_px,
            )  # fmt: skip
            masked = (source == MASK)[..., None]
            target = np.where(masked, exact[..., : head.channels], target)
            parts = exact[..., -1:] * masked
        targets.append(target)
        weights.append(weight)
        sources.append(source.astype(np.float32))
    parts = parts if config.has_objects else np.zeros((*usable.shape, 1), np.float32)
    shares = _tag_shares(record, warp, usable, len(channels_of(config)))
    packed = np.concatenate([np.stack([*weights, *sources], axis=2), shares], axis=2)
    return np.concatenate([*targets, parts], axis=2).astype(np.float32), packed.astype(np.float32)


def _tag_shares(record, warp, usable, channels):
    """Return, on the pixels of each present tag's tile, the share of the tile that the crop holds."""
    shares = np.zeros((*usable.shape, channels), np.float32)
    for tag in record.tags:
        if not tag.present:
            continue
        tile = np.zeros(record.validating.shape, np.uint8)
        tile[tag.window] = 1
        moved = (warp.labels(tile) > 0) & usable
        visible = moved.sum() * abs(np.linalg.det(warp.matrix)) / max(tile.sum(), 1)
        shares[..., tag.channel][moved] = min(visible, 1.0)
    return shares
