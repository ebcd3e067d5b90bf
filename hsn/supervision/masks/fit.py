"""Fit: a net learns from full masks, on random crops, and the epoch that judges unseen images best is kept.

The result is a folder that explains itself and that `hsn.segment` takes by path: `net.keras`, `card.json`,
`recipe.json`; beside them what a killed run needs to go on.
"""

from pathlib import Path

import keras
import numpy as np

from ... import weights
from ..._instances import renumber
from ..._refuse import as_image, refuse
from ...evidence.tiled import normalised
from ...images.read import read
from ...labels.colors import resize_labels
from ...labels.contours import INSIDE
from ...labels.mask_files import read as read_instances
from ...metrics.objects import Matching, match
from ...metrics.table import overlaps
from ...training.augment import draw, draw_warp
from ...training.held_out import hold_out
from ...training.learner import Plan, learn
from ...training.order import batch_of
from ...training.rates import cosine
from .choose import best_told
from .learning import MONITORS
from .loss import loss
from .segment import as_seen, maps_of, objects
from .targets import encoded, targets, weights_of

ADAM_EPSILON = 1e-8  # torch's, which both systems used; Keras has 1e-7


def fit(net, images, annotations, recipe, *, out):
    """Train a net from full masks, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalised pixels -> (N, H, W, C) probabilities, for instance of `hsn.nets.unet` or
        `hsn.nets.fullnet`; trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `recipe.image_mpp`.
    annotations : sequence of int arrays (H, W), or of paths
        Per image its objects: 0 background, any positive ids. Paths as `hsn.labels.mask_files` reads them. What a
        masked array of NumPy masks is unknown: nothing is learned there. Validation takes it for background.
    recipe : Recipe
    out : path
        The folder. A run that was killed goes on from its last epoch when it is started again.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_loss`, `validation_iou` (of the inside, mean over images) and
        `validation_pq` (panoptic quality of objects at the size of the images, pooled).

    Raises
    ------
    Refusal
        If images and annotations do not belong together, nothing is left to learn or validate on, or `out` holds
        another run.
    """
    if len(images) != len(annotations):
        refuse("images and masks must belong together", expected=f"masks for {len(images)} images",
               received=len(annotations), remedy="give one label image per image, in the same order")  # fmt: skip
    numbers = recipe.learning
    learned, held_out = hold_out(len(images), numbers.validation, seed=numbers.seed)
    known = [Annotated(image, objects, recipe) for image, objects in zip(images, annotations, strict=True)]
    crops = Crops([known[k] for k in learned], recipe)
    optimizer = keras.optimizers.Adam(
        beta_1=numbers.momenta[0],
        beta_2=numbers.momenta[1],
        epsilon=ADAM_EPSILON,
        gradient_accumulation_steps=numbers.accumulate if numbers.accumulate > 1 else None,
    )
    plan = Plan(
        epochs=numbers.epochs,
        steps=numbers.steps or -(-len(learned) // numbers.batch),
        batch=crops.batch,
        rate=lambda epoch: cosine(epoch / numbers.epochs, lowest=numbers.lowest_rate, highest=numbers.rate),
        validate=lambda: validation(net, [known[k] for k in held_out], recipe),
        monitor=MONITORS[numbers.monitor],
    )
    history = learn(
        net,
        loss(recipe),
        plan,
        optimizer=optimizer,
        out=Path(out) / "training",
        weight_decay=numbers.weight_decay,
        precision=numbers.precision,
        # XLA takes a minute to compile a net with skips, and its convolutions on CPUs are slower.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    if numbers.choose:
        recipe = best_told(net, [known[k] for k in held_out], recipe)
    weights.save(out, net, card(recipe, history, name=Path(out).name), recipe.as_dict())
    return history


def card(recipe, history, *, name):
    """The card of what `fit` trained."""
    kept = history.epochs[history.best]
    notes = (
        f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation {recipe.learning.monitor}"
    )
    thresholds = None if recipe.inside is None else (recipe.inside,) * len(recipe.classes)
    return weights.card_of(recipe, kept, name=name, notes=notes, thresholds=thresholds)


class Annotated:
    """An image and its objects, at their own scale and at the net's.

    Attributes
    ----------
    instances : int32 (H, W)
        At the image's own scale.
    image, small, weight : uint8 (h, w, 3), int32 (h, w), float32 (h, w)
        Image in the recipe's stains, objects and weights, at the net's scale. The weight is 0 where nothing is known.
    """

    def __init__(self, image, instances, recipe):
        image = as_image(image) if isinstance(image, np.ndarray) else read(image)
        if not isinstance(instances, np.ndarray):
            instances = read_instances(instances, image.shape[:2])
        if image.shape[:2] != instances.shape:
            refuse("an image and its masks must be of one size", expected=image.shape[:2],
                   received=instances.shape, remedy="check that the files are paired rightly")  # fmt: skip
        unknown = np.ma.getmaskarray(instances)
        self.instances = renumber(np.ma.filled(instances, 0))[0]
        self.image = as_seen(image, recipe, recipe.image_mpp)
        self.small = resize_labels(self.instances, self.image.shape[:2])
        self.weight = weights_of(self.small, recipe)
        self.weight[resize_labels(unknown, self.image.shape[:2])] = 0


class Crops:
    """Random crops with their targets; what a batch holds depends on the seed, the epoch and the step only."""

    def __init__(self, known, recipe):
        self._known, self._recipe = known, recipe

    def batch(self, epoch, step):
        """Pixels (B, px, px, 3), targets (B, px, px, C + 1), weights (B, px, px)."""
        numbers = self._recipe.learning
        chosen, rng = batch_of(len(self._known), numbers.batch, seed=numbers.seed, epoch=epoch, step=step)
        drawn = [self._crop(rng, self._known[k]) for k in chosen]
        return tuple(np.stack(x) for x in zip(*drawn, strict=True))

    def _crop(self, rng, known):
        numbers = self._recipe.learning
        warp = draw_warp(
            rng,
            known.small.shape,
            numbers.crop_px,
            zoom=numbers.zoom,
            flips=numbers.flips,
            turn_deg=numbers.turn_deg,
            shear_deg=numbers.shear_deg,
            skew=numbers.skew,
            bend_px=numbers.bend_px,
            bend_every_px=numbers.bend_every_px,
            ripple_px=numbers.ripple_px,
            ripple_sigma_px=numbers.ripple_sigma_px,
        )
        color = draw(
            rng,
            flips=False,
            quarter_turns=False,
            gain=numbers.gain,
            offset=numbers.offset,
            stain_gain=numbers.stain_gain,
            stain_offset=numbers.stain_offset,
        )
        pixels = color.paint(warp.image(known.image))
        pixels = normalised(pixels, self._recipe.mean, self._recipe.std) * contrast(rng, numbers)
        # Contours are drawn after the move, so that their width stays; weights move with the image.
        return pixels, encoded(warp.labels(known.small), self._recipe), warp.weight(known.weight)


def contrast(rng, numbers):
    """Factors of the three normalised channels, float32 (3,); see `Learning.contrasts`."""
    factors = np.ones(3)
    for k, spread in enumerate(numbers.contrasts):
        apart = k == len(numbers.contrasts) - 1 and rng.random() < numbers.apart
        factors = factors * (1 + spread * rng.uniform(-1, 1, 3 if apart else 1))
    return factors.astype(np.float32)


def validation(net, known, recipe):
    """Scores of images that were not learned from: `validation_loss`, `validation_iou`, `validation_pq`."""
    of, single = loss(recipe), recipe.changed(views=1)
    losses, ious, matching = [], [], Matching()
    for each in known:
        maps = maps_of(net, each.image, single)
        target, weight = targets(each.image, each.small, recipe)
        losses.append(float(of(target[None], maps[None], weight[None], None)))
        inside = target[..., INSIDE if recipe.ternary else 0] > 0
        found = maps.argmax(axis=2) == INSIDE if recipe.ternary else maps[..., 0] > recipe.inside
        ious.append((inside & found).sum() / max((inside | found).sum(), 1))
        told = objects(maps, recipe, mpp=recipe.mpp)
        matching += match(overlaps(each.small, told))
    return {"validation_loss": np.mean(losses), "validation_iou": np.mean(ious), "validation_pq": matching.pq}
