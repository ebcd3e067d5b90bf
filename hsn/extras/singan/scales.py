"""Scales: what the generators and critics of a conditional SinGAN see, and how finished ones paint together.

The pyramid of one annotated patch. Every scale has the patch and its mask at its own size; a generator that has learned
is put into its scale; and what a step of the next scale sees is painted by all before it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from ...images import pyramid

# Random streams of a run: each draws from the run's seed, one of these, and what is said beside it.
_STAR, _STEP, _EPOCH, _PAINTING = range(4)

BLACK = -1.0  # of pixels in -1..1


@dataclass
class Scale:
    """One scale of a patch.

    Attributes
    ----------
    image : float32 array, shape (H, W, 3)
        In -1..1.
    views : float32 array, shape (3, H, W, 3)
        The image as each critic sees it: whole, nuclei, between.
    mask : float32 array, shape (H, W)
        1 inside nuclei, -1 around them.
    generator : keras.Model or None
        When it has learned.
    amplitude : float
        Of this scale's noise.
    """

    image: np.ndarray
    views: np.ndarray
    mask: np.ndarray
    generator: keras.Model | None = None
    amplitude: float = 1.0

    @property
    def shape(self):
        """Height and width."""
        return self.mask.shape


class Seen(NamedTuple):
    """What one step sees, as float32 arrays: N crops of one side.

    Attributes
    ----------
    condition, coarser, mask : (N, h + margins, w + margins, 4), the same with 3, (N, h, w, 1)
        Input of the generator for a random layout, and that layout.
    made_parts : (3, N, h', w', 1)
        How much each score of what is made counts, for each critic.
    real, real_parts : (3, N, h, w, 3), (3, N, h', w', 1)
        The patch as each critic sees it, likewise.
    known, known_coarser : as `condition` and `coarser`
        For the patch's own nuclei and the noise that stands for the patch.
    share : ()
        Of the real image in the point of the gradient penalty.
    """

    condition: np.ndarray
    coarser: np.ndarray
    mask: np.ndarray
    made_parts: np.ndarray
    real: np.ndarray
    real_parts: np.ndarray
    known: np.ndarray
    known_coarser: np.ndarray
    share: np.ndarray


class Painter:
    """The scales of a patch, coarsest first, and what their generators paint.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    instances : int array, shape (H, W)
        0 background.
    smallest_px, count : int
        Shorter side of the coarsest scale, and how many scales.
    margin_px : int
        What a generator takes from each side of its input.
    seed : int
    released : bool
        As the released code has it: real images masked before they are resized, by black, layouts resized from the
        next coarser scale, no noise at finer scales but the one painted last, zeros beyond the edges.

    Attributes
    ----------
    scales : list of Scale
    hidden : float32 array, shape (2, 3)
        What hides the rest from the critics of nuclei and of what is between: the mean colour of what each judges.

    Examples
    --------
    >>> made = Painter(np.zeros((64, 48, 3), np.uint8), np.eye(64, 48, dtype=int), smallest_px=24, count=2, margin_px=5,
    ...                seed=0)
    >>> [scale.shape for scale in made.scales]
    [(32, 24), (64, 48)]
    """

    def __init__(self, image, instances, *, smallest_px, count, margin_px, seed, released=False):
        self.seed, self.released, self.margin_px = seed, released, margin_px
        options = {"smallest_px": smallest_px, "scales": count}
        self.shapes = pyramid.sizes(image.shape[:2], **options)
        self.enlarge = 1 / pyramid.step(image.shape[:2], **options)
        pixels, mask = image.astype(np.float32) / 127.5 - 1, np.asarray(instances) > 0
        self.hidden = np.full((2, 3), BLACK, np.float32)
        if not released:
            for color, part in zip(self.hidden, (mask, ~mask), strict=True):
                color[:] = pixels[part].mean(axis=0) if part.any() else BLACK
        whole = _views(pixels, mask, self.hidden)
        self.scales = []
        for level, shape in enumerate(self.shapes):
            shrink = self.enlarge ** (level + 1 - count)
            small, m = pyramid.resize(pixels, shape, scale=shrink), pyramid.nearest(mask, shape)
            seen = (
                np.stack([pyramid.resize(v, shape, scale=shrink) for v in whole])
                if released
                else _views(small, m, self.hidden)
            )
            self.scales.append(Scale(small, seen, _signed(m)))

    def masks(self, layout):
        """A layout at every scale: list of float32 (H, W), 1 inside nuclei and -1 around them."""
        mask, made = np.asarray(layout) > 0, []
        for shape in self.shapes:
            made.append(pyramid.nearest(mask, shape))
            if self.released:
                mask = made[-1]
        return [_signed(m) for m in made]

    def before(self, level, masks, rng):
        """What the scales before `level` paint, enlarged to it: float32 (N, H, W, 3); before the first, nothing.

        `masks` holds what `masks` gives, for each of N layouts.
        """
        image = np.zeros((len(masks), *self.shapes[0], 3), np.float32)
        for k in range(level):
            noise = self.noise(k, len(masks), rng, still=self.released)
            image = self._enlarged(k, self.layer(k, noise, image, np.stack([m[k] for m in masks])))
        return image

    def known(self, level, star):
        """The patch as the scales before `level` reconstruct it from the noise that stands for it."""
        image = np.zeros((1, *self.shapes[0], 3), np.float32)
        for k in range(level):
            noise = star if k == 0 else np.zeros((1, *self.shapes[k], 3), np.float32)
            image = self._enlarged(k, self.layer(k, noise, image, self.scales[k].mask[None]))
        return image

    def star(self, epoch=0):
        """The noise of the coarsest scale that stands for the patch; the released code draws it each epoch."""
        rng = np.random.default_rng([self.seed, _STAR, epoch if self.released else 0])
        return self.noise(0, 1, rng)

    def noise(self, level, count, rng, *, still=False):
        """Noise of a scale, float32 (N, H, W, 3); the coarsest has one channel, three times. `still`: only that one."""
        shape = (count, *self.shapes[level], 3)
        if level and still:
            return np.zeros(shape, np.float32)
        drawn = rng.standard_normal((*shape[:3], 3 if level else 1), np.float32)
        return np.broadcast_to(drawn, shape)

    def layer(self, level, noise, coarser, masks):
        """What one finished generator paints over `coarser`."""
        given = self.inputs(level, noise, coarser, masks)
        return self.scales[level].generator.predict_on_batch(given)

    def inputs(self, level, noise, coarser, masks):
        """The two inputs of a generator."""
        condition = np.concatenate(
            [self.scales[level].amplitude * noise + coarser, masks[..., None]], axis=-1
        )
        around = ((0, 0), *2 * ((self.margin_px, self.margin_px),), (0, 0))
        # Crops seldom see the edge: beyond it lies what looks like the rest, and the edge needs no learning.
        how = "constant" if self.released else "reflect"
        return [np.pad(array.astype(np.float32), around, mode=how) for array in (condition, coarser)]

    def paint(self, layout, number, *, level=None):
        """Paint a layout by the scales up to `level`, all by default: uint8 (H, W, 3). `number` chooses the noise."""
        level = len(self.scales) - 1 if level is None else level
        rng = np.random.default_rng([self.seed, _PAINTING, number])
        masks = self.masks(layout)
        coarser = self.before(level, [masks], rng)
        (image,) = self.layer(level, self.noise(level, 1, rng), coarser, masks[level][None])
        return _levels(image)

    def error(self, level, star):
        """Root of the mean squared difference of the patch and its reconstruction from coarser scales."""
        return float(np.sqrt(np.mean((self.known(level, star)[0] - self.scales[level].image) ** 2)))

    def _enlarged(self, level, images):
        shape = self.shapes[level + 1]
        return np.stack([pyramid.resize(image, shape, scale=self.enlarge) for image in images])


def watch(painter, level, layouts, *, batch, crop_px, epochs=1):
    """What each step of a scale sees.

    Parameters
    ----------
    painter : Painter
        Whose scales before `level` have learned.
    level : int
    layouts : int array, shape (L, H, W)
    batch, crop_px : int
        How many squares of which side; 0 or more than the scale has for all of it.
    epochs : int
        How often the coarsest scale saw all layouts: in the released way, the noise of the last time stands for the
        patch.

    Returns
    -------
    callable
        ``(step, turn) -> Seen``, which depends on nothing else. In the released way a step shows the layouts in
        their order, and their noise changes once they were all seen.
    """
    scale = painter.scales[level]
    masks = [painter.masks(layout) for layout in layouts]
    sides = [min(crop_px or side, side) for side in scale.shape]
    # What a critic of parts says counts as much as its part of the patch, whatever part the layout has there.
    inside = float((scale.mask > 0).mean())
    shares = None if painter.released else (1.0, inside, 1 - inside)

    def draw(step, turn):
        rng = np.random.default_rng([painter.seed, _STEP, level, step, turn])
        epoch, turn_of = divmod(step, len(masks))
        chosen = [turn_of] * batch if painter.released else rng.integers(len(masks), size=batch)
        fresh = np.random.default_rng([painter.seed, _EPOCH, level, epoch]) if painter.released else rng
        mask = np.stack([masks[k][level] for k in chosen])
        coarse = painter.before(level, [masks[k] for k in chosen], rng)
        made = painter.inputs(level, painter.noise(level, batch, fresh), coarse, mask)
        known = painter.inputs(level, *known_at(epoch), scale.mask[None])
        here, there = (_corners(rng, scale.shape, sides, batch) for _ in range(2))
        larger = [side + 2 * painter.margin_px for side in sides]
        mask = _crops(mask, here, sides)
        real = np.stack([_crops(np.repeat(v[None], batch, 0), there, sides) for v in scale.views])
        real_mask = _crops(np.repeat(scale.mask[None], batch, 0), there, sides)
        parts = [_parts(m, painter.margin_px, shares) for m in (mask, real_mask)]
        made = (_crops(array, here, larger) for array in made)
        known = (_crops(np.repeat(array, batch, 0), there, larger) for array in known)
        return Seen(*made, mask[..., None], parts[0], real, parts[1], *known, np.float32(rng.uniform()))

    still = np.zeros((1, *scale.shape, 3), np.float32)
    final = painter.known(level, painter.star(epochs - 1)) if level else still

    def known_at(epoch):
        return (still, final) if level else (painter.star(epoch), still)

    return draw


def _views(image, mask, hidden):
    """An image (H, W, 3) as each critic sees it, (3, H, W, 3)."""
    inside, (around, within) = mask[..., None], hidden
    return np.stack([image, np.where(inside, image, around), np.where(inside, within, image)]).astype(
        np.float32
    )


def _signed(mask):
    return np.where(mask, 1, -1).astype(np.float32)


def _levels(image):
    return np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)


def _corners(rng, shape, sides, count):
    return [[int(rng.integers(whole - side + 1)) for whole, side in zip(shape, sides, strict=True)]
            for _ in range(count)]  # fmt: skip


def _crops(arrays, corners, sides):
    """A crop of each of N arrays (N, H, W, ...)."""
    return np.stack([array[r : r + sides[0], c : c + sides[1]]
                     for array, (r, c) in zip(arrays, corners, strict=True)])  # fmt: skip


def _parts(masks, margin_px, shares):
    """How much each score counts, (3, N, h, w, 1), of masks (N, H, W); `shares` is what the three come to."""
    shape = [side - 2 * margin_px for side in masks.shape[1:]]
    if shares is None:  # the released code resizes the mask, a little beside what a score looks at
        inside = np.stack([pyramid.nearest(mask, shape) for mask in masks]) > 0
    else:
        inside = masks[:, margin_px:-margin_px, margin_px:-margin_px] > 0
    parts = np.stack([np.ones_like(inside), inside, ~inside])[..., None].astype(np.float32)  # (3, N, h, w, 1)
    if shares is not None:
        mean = parts.mean(axis=(1, 2, 3, 4), keepdims=True)
        parts *= np.reshape(shares, mean.shape) / np.maximum(mean, 1 / parts[0].size)
    return parts.astype(np.float32)
