"""Objects: a system that tells objects apart learns from random crops of images and their label images.

A system wraps a net, as `hsn.extras.maskrcnn.MaskRCNN`. It has `training_model`, the net that the loop trains; `loss`;
``examples(images, instances, known, rng)``, the inputs of a step; and ``segment(image)``, with a result that has
`scored` and `warnings`. This file does not depend on the kind of net.
"""

import keras
import numpy as np

from ..checks import as_image, one_of
from ..errors import refuse
from ..instances import renumber
from ..metrics.objects import Matching, aji, match
from ..metrics.table import overlaps
from .augment import draw, draw_warp
from .loop import Plan, learn
from .sampling import batch_by_share, batch_of
from .schedules import cosine
from .splits import train_val_split


def fit(system, images, annotations, train, *, out, known=None, often=None, clip_norm=5.0, min_object_px=4,
        show=True):  # fmt: skip
    """Train a system on images whose objects are outlined.

    Parameters
    ----------
    system : object
        See the module; its net is trained in place.
    images : sequence of uint8 arrays (H, W, 3)
        At the net's scale.
    annotations : sequence of int arrays (H, W)
        Per image its objects: 0 background, any positive ids.
    train : TrainConfig
        Its `monitor` is "pq" or "aji".
    out : path
        Folder of the history and the state; a run that was killed goes on from its last epoch.
    known : sequence of bool arrays (H, W), optional
        Per image where its objects are told, as `hsn.objects.overlaps.pseudo_labels` gives it; everywhere by
        default. Validation does not ask.
    often : sequence of float, optional
        Per image how often it is drawn, in relation to the others; all alike by default. Those of images that
        validate do not count.
    clip_norm : float
        Largest norm of each variable's gradient.
    min_object_px : int
        Objects with fewer pixels in a crop are left out.
    show : bool
        Whether to show a progress bar.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_aji` (mean over images), `validation_pq` (pooled) and
        `validation_cut`, in how many images a limit of the system may have left out objects.

    Raises
    ------
    InputError
        If images and annotations do not belong together, or nothing is left to learn or validate on.
    """
    one_of("monitor", train.monitor, ("pq", "aji"))
    pairs = [_pair(*pair) for pair in _together(images, annotations)]
    known = [np.ones(objects.shape, bool) for _, objects in pairs] if known is None else known
    told = [(*pair, where) for pair, where in _together(pairs, known)]
    learned, held_out = train_val_split(len(pairs), train.validation, seed=train.seed)
    crops = Crops(
        [told[k] for k in learned],
        train,
        min_object_px,
        often=None if often is None else [often[k] for k in learned],
    )
    plan = Plan(
        epochs=train.epochs,
        steps=train.steps,
        batch=crops.batch,
        finish=lambda drawn: system.examples(*drawn),
        rate=lambda e: cosine(e / train.epochs, lowest=train.min_learning_rate, highest=train.learning_rate),
        validate=lambda: validation(system, [pairs[k] for k in held_out]),
        monitor=f"-validation_{train.monitor}",
    )
    return learn(
        system.training_model, system.loss, plan, optimizer=keras.optimizers.Adam(clipnorm=clip_norm), out=out,
        weight_decay=train.weight_decay, show=show,
        # XLA takes a minute to compile a net of this size, and its convolutions on CPUs are slower.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )  # fmt: skip


def _together(images, annotations):
    if len(images) != len(annotations):
        refuse("images and objects must belong together", expected=f"objects of {len(images)} images",
               received=len(annotations), remedy="give one label image per image, in the same order")  # fmt: skip
    return zip(images, annotations, strict=True)


def _pair(image, instances):
    image, instances = as_image(image), renumber(instances)[0]
    if image.shape[:2] != instances.shape:
        refuse("an image and its objects must be of one size", expected=image.shape[:2],
               received=instances.shape, remedy="check that the files are paired rightly")  # fmt: skip
    return image, instances


class Crops:
    """Random crops; what a batch holds follows from the seed, the epoch and the step.

    Parameters
    ----------
    told : sequence of (uint8 (H, W, 3), int32 (H, W), bool (H, W))
        Images, their objects, and where these are known.
    train : TrainConfig
    min_object_px : int
    often : sequence of float, optional
        Per image how often it is drawn, in relation to the others; all alike by default.
    """

    def __init__(self, told, train, min_object_px, *, often=None):
        self._told, self._train, self._min_px, self._often = told, train, min_object_px, often

    def batch(self, epoch, step):
        """Pixels (B, px, px, 3), objects and where they are known (B, px, px), a generator for what else is drawn."""
        of, told = self._train, self._told
        when = {"seed": of.seed, "epoch": epoch, "step": step}
        if self._often is None:
            chosen, rng = batch_of(len(told), of.batch_size, **when)
        else:
            chosen, rng = batch_by_share(self._often, of.batch_size, steps=of.steps, **when)
        crops = [self._crop(rng, *told[k]) for k in chosen]
        return *(np.stack(side) for side in zip(*crops, strict=True)), rng

    def _crop(self, rng, image, instances, known):
        of = self._train.augmentation
        warp = draw_warp(
            rng, instances.shape, self._train.crop_px, zoom=of.zoom, flips=of.flips, turn_deg=of.rotation_deg,
            skew=of.affine_jitter, bend_px=of.elastic_px, bend_every_px=of.elastic_spacing_px,
        )  # fmt: skip
        color = draw(
            rng, flips=False, quarter_turns=False, gain=of.color_gain, offset=of.color_offset, stain_gain=of.stain_gain,
            stain_offset=of.stain_offset,
        )  # fmt: skip
        # Beyond the image's edge the picture is mirrored, which would complete objects that are told as cut.
        outside = warp.weight(np.ones(instances.shape, np.float32)) < 1
        pixels = color.paint(warp.image(image))
        pixels[outside] = image.mean(axis=(0, 1))
        return pixels, without_small(warp.labels(instances), self._min_px), warp.weight(known) == 1


def without_small(instances, least_px):
    """Objects of `least_px` pixels or more, 1..n.

    Examples
    --------
    >>> without_small(np.array([[1, 4, 4, 0]]), 2).tolist()
    [[0, 1, 1, 0]]
    """
    large = np.bincount(instances.ravel()) >= least_px
    return renumber(np.where(large[instances], instances, 0))[0]


def validation(system, pairs):
    """Scores of images that were not learned from: `validation_aji`, `validation_pq`, `validation_cut`."""
    ajis, matching, cut = [], Matching(), 0
    for image, instances in pairs:
        report = system.segment(image)
        table = overlaps(instances, report.scored.instances)
        ajis.append(aji(table).score)
        matching += match(table)
        cut += bool(report.warnings)
    return {"validation_aji": np.mean(ajis), "validation_pq": matching.pq, "validation_cut": cut}
