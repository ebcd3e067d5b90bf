"""Fit: a net learns from full masks, on random crops, and the epoch that judges unseen images best is kept.

The result is a folder that explains itself and that `hsn.segment` takes by path: `net.keras`, `card.json`,
`config.json`; beside them what a killed run needs to go on.
"""

from pathlib import Path

import keras
import numpy as np

from ... import models
from ...annotations.colors import resize_labels
from ...annotations.mask_files import read as read_instances
from ...checks import as_image
from ...errors import refuse
from ...images.read import read
from ...instances import renumber
from ...metrics.objects import Matching, match
from ...metrics.table import overlaps
from ...objects.contours import INSIDE
from ...prediction.tiling import normalize
from ...training.augment import draw, draw_warp
from ...training.loop import Plan, learn
from ...training.sampling import batch_of
from ...training.schedules import cosine
from ...training.splits import train_val_split
from .config import MONITORS
from .inference import maps_of, objects, preprocess
from .losses import loss
from .target_maps import encoded, targets, weights_of
from .tuning import best_told

ADAM_EPSILON = 1e-8  # torch's, which both systems used; Keras has 1e-7


def fit(net, images, annotations, config, *, out):
    """Train a net from full masks, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalize pixels -> (N, H, W, C) probabilities, for instance of `hsn.nets.unet` or
        `hsn.nets.fullnet`; trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of int arrays (H, W), or of paths
        Per image its objects: 0 background, any positive ids. Paths as `hsn.annotations.mask_files` reads them. What a
        masked array of NumPy masks is unknown: nothing is learned there. Validation takes it for background.
    config : Config
    out : path
        The folder. A run that was killed goes on from its last epoch when it is started again.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_loss`, `validation_iou` (of the inside, mean over images) and
        `validation_pq` (panoptic quality of objects at the size of the images, pooled).

    Raises
    ------
    InputError
        If images and annotations do not belong together, nothing is left to learn or validate on, or `out` holds
        another run.
    """
    if len(images) != len(annotations):
        refuse("images and masks must belong together", expected=f"masks for {len(images)} images",
               received=len(annotations), remedy="give one label image per image, in the same order")  # fmt: skip
    train = config.train
    learned, held_out = train_val_split(len(images), train.validation, seed=train.seed)
    known = [Annotated(image, objects, config) for image, objects in zip(images, annotations, strict=True)]
    crops = Crops([known[k] for k in learned], config)
    optimizer = keras.optimizers.Adam(
        beta_1=train.betas[0],
        beta_2=train.betas[1],
        epsilon=ADAM_EPSILON,
        gradient_accumulation_steps=train.accumulate_batches if train.accumulate_batches > 1 else None,
    )
    plan = Plan(
        epochs=train.epochs,
        steps=train.steps or -(-len(learned) // train.batch_size),
        batch=crops.batch,
        rate=lambda epoch: cosine(
            epoch / train.epochs, lowest=train.min_learning_rate, highest=train.learning_rate
        ),
        validate=lambda: validation(net, [known[k] for k in held_out], config),
        monitor=MONITORS[train.monitor],
    )
    history = learn(
        net,
        loss(config),
        plan,
        optimizer=optimizer,
        out=Path(out) / "training",
        weight_decay=train.weight_decay,
        precision=train.precision,
        # XLA takes a minute to compile a net with skips, and its convolutions on CPUs are slower.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    if config.tune_postprocess:
        config = best_told(net, [known[k] for k in held_out], config)
    models.save(out, net, card(config, history, name=Path(out).name), config.to_dict())
    return history


def card(config, history, *, name):
    """The card of what `fit` trained."""
    kept = history.epochs[history.best]
    notes = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation {config.train.monitor}"
    threshold = config.postprocess.foreground_threshold
    thresholds = None if threshold is None else (threshold,) * len(config.classes)
    return models.card_of(config, kept, name=name, notes=notes, thresholds=thresholds)


class Annotated:
    """An image and its objects, at their own scale and at the net's.

    Attributes
    ----------
    instances : int32 (H, W)
        At the image's own scale.
    image, small, weight : uint8 (h, w, 3), int32 (h, w), float32 (h, w)
        Image in the config's stains, objects and weights, at the net's scale. The weight is 0 where nothing is known.
    """

    def __init__(self, image, instances, config):
        image = as_image(image) if isinstance(image, np.ndarray) else read(image)
        if not isinstance(instances, np.ndarray):
            instances = read_instances(instances, image.shape[:2])
        if image.shape[:2] != instances.shape:
            refuse("an image and its masks must be of one size", expected=image.shape[:2],
                   received=instances.shape, remedy="check that the files are paired rightly")  # fmt: skip
        unknown = np.ma.getmaskarray(instances)
        self.instances = renumber(np.ma.filled(instances, 0))[0]
        self.image = preprocess(image, config, config.image_mpp)
        self.small = resize_labels(self.instances, self.image.shape[:2])
        self.weight = weights_of(self.small, config)
        self.weight[resize_labels(unknown, self.image.shape[:2])] = 0


class Crops:
    """Random crops with their targets; what a batch holds depends on the seed, the epoch and the step only."""

    def __init__(self, known, config):
        self._known, self._config = known, config

    def batch(self, epoch, step):
        """Pixels (B, px, px, 3), targets (B, px, px, C + 1), weights (B, px, px)."""
        train = self._config.train
        chosen, rng = batch_of(len(self._known), train.batch_size, seed=train.seed, epoch=epoch, step=step)
        drawn = [self._crop(rng, self._known[k]) for k in chosen]
        return tuple(np.stack(x) for x in zip(*drawn, strict=True))

    def _crop(self, rng, known):
        train = self._config.train
        warp = draw_warp(
            rng,
            known.small.shape,
            train.crop_px,
            zoom=train.augmentation.zoom,
            flips=train.augmentation.flips,
            turn_deg=train.augmentation.rotation_deg,
            shear_deg=train.augmentation.shear_deg,
            skew=train.augmentation.affine_jitter,
            bend_px=train.augmentation.elastic_px,
            bend_every_px=train.augmentation.elastic_spacing_px,
            ripple_px=train.augmentation.noise_elastic_px,
            ripple_sigma_px=train.augmentation.noise_elastic_sigma_px,
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
        pixels = color.paint(warp.image(known.image))
        normalization = self._config.normalization
        pixels = normalize(pixels, normalization.mean, normalization.std) * contrast(rng, train.augmentation)
        # Contours are drawn after the move, so that their width stays; weights move with the image.
        return pixels, encoded(warp.labels(known.small), self._config), warp.weight(known.weight)


def contrast(rng, augmentation):
    """Draw factors of the three normalized channels, float32 (3,); see `Augmentation.contrast`."""
    factors = np.ones(3)
    for k, spread in enumerate(augmentation.contrast):
        last = k == len(augmentation.contrast) - 1
        apart = last and rng.random() < augmentation.channelwise_contrast
        factors = factors * (1 + spread * rng.uniform(-1, 1, 3 if apart else 1))
    return factors.astype(np.float32)


def validation(net, known, config):
    """Scores of images that were not learned from: `validation_loss`, `validation_iou`, `validation_pq`."""
    of, single = loss(config), config.replace(**{"tiling.tta": 1})
    losses, ious, matching = [], [], Matching()
    for each in known:
        maps = maps_of(net, each.image, single)
        target, weight = targets(each.image, each.small, config)
        losses.append(float(of(target[None], maps[None], weight[None], None)))
        inside = target[..., INSIDE if config.ternary else 0] > 0
        found = (
            maps.argmax(axis=2) == INSIDE
            if config.ternary
            else maps[..., 0] > config.postprocess.foreground_threshold
        )
        ious.append((inside & found).sum() / max((inside | found).sum(), 1))
        told = objects(maps, config, mpp=config.mpp)
        matching += match(overlaps(each.small, told))
    return {"validation_loss": np.mean(losses), "validation_iou": np.mean(ious), "validation_pq": matching.pq}
