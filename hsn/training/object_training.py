"""Objects: a system that tells objects apart learns from random crops of images and their label images.

A system is a net with what surrounds it, as `hsn.extras.maskrcnn.MaskRCNN` is. It has `teaching`, the net that the loop
trains; `loss`; ``examples(images, instances, known, rng)``, what a step learns from; and ``segment(image)``, whose
result has `scored` and `said`. Nothing here knows what net it is.
"""

from dataclasses import dataclass

import keras
import numpy as np

from ..checks import as_image
from ..errors import refuse
from ..instances import renumber
from ..metrics.objects import Matching, aji, match
from ..metrics.table import overlaps
from .augment import draw, draw_warp
from .loop import Plan, learn
from .sampling import batch_by_share, batch_of
from .schedules import cosine
from .splits import train_val_split

MONITORS = {"pq": "-validation_pq", "aji": "-validation_aji"}


@dataclass(frozen=True)
class TrainConfig:
    """How a system is trained on crops.

    Attributes
    ----------
    epochs, steps, batch : int
        An epoch is `steps` batches.
    crop_px : int
        Side of the crops, at the net's scale.
    rate, lowest_rate : float
        Adam's learning rate, from the one down to the other along a cosine.
    clip_norm : float
        Each variable's gradient is no longer than this.
    weight_decay : float
        Half the squares of all weights times this are added to the loss.
    zoom : (float, float)
        Range of the factor by which tissue is enlarged.
    flips : (bool, bool)
        Whether crops may be flipped top to bottom, and left to right.
    turn_deg, skew : float
        Largest rotation to either side, and movement of every entry of an affine matrix.
    bend_px, bend_every_px : float
        Spread of the control points of an elastic deformation, and from one to the next.
    gain, offset : float
        Each colour channel is multiplied by 1 +- gain and shifted by +- offset grey levels.
    stain_gain, stain_offset : float
        The amounts of haematoxylin and eosin are multiplied by 1 +- stain_gain, and +- stain_offset is added.
    least_px : int
        An object that a crop leaves fewer pixels of is not told.
    validation : float or tuple of int
        Share of the images to validate on, drawn by the seed, or their indices.
    monitor : {"pq", "aji"}
        Which validation score decides the epoch that is kept.
    seed : int
    """

    epochs: int = 20
    steps: int = 100
    batch: int = 4
    crop_px: int = 128
    rate: float = 1e-3
    lowest_rate: float = 1e-5
    clip_norm: float = 5.0
    weight_decay: float = 1e-5
    zoom: tuple[float, float] = (0.8, 1.25)
    flips: tuple[bool, bool] = (True, True)
    turn_deg: float = 180.0
    skew: float = 0.0
    bend_px: float = 0.0
    bend_every_px: float = 42.0
    gain: float = 0.15
    offset: float = 15.0
    stain_gain: float = 0.0
    stain_offset: float = 0.0
    least_px: int = 4
    validation: float | tuple[int, ...] = 0.2
    monitor: str = "pq"
    seed: int = 0


def fit(system, images, annotations, learning, *, out, known=None, often=None, show=True):
    """Train a system on images whose objects are outlined.

    Parameters
    ----------
    system : object
        See the module; its net is trained in place.
    images : sequence of uint8 arrays (H, W, 3)
        At the net's scale.
    annotations : sequence of int arrays (H, W)
        Per image its objects: 0 background, any positive ids.
    learning : TrainConfig
    out : path
        Folder of the history and the state; a run that was killed goes on from its last epoch.
    known : sequence of bool arrays (H, W), optional
        Per image where its objects are told, as `hsn.objects.overlaps.pseudo_labels` gives it; everywhere by
        default. Validation does not ask.
    often : sequence of float, optional
        Per image how often it is drawn, in relation to the others; all alike by default. Those of images that
        validate do not count.
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
    if learning.monitor not in MONITORS:
        refuse("there is no such score to choose by", expected=" or ".join(MONITORS), received=learning.monitor,
               remedy="leave `monitor` out")  # fmt: skip
    pairs = [_pair(*pair) for pair in _together(images, annotations)]
    known = [np.ones(objects.shape, bool) for _, objects in pairs] if known is None else known
    told = [(*pair, where) for pair, where in _together(pairs, known)]
    learned, held_out = train_val_split(len(pairs), learning.validation, seed=learning.seed)
    crops = Crops(
        [told[k] for k in learned], learning, often=None if often is None else [often[k] for k in learned]
    )
    plan = Plan(
        epochs=learning.epochs,
        steps=learning.steps,
        batch=crops.batch,
        finish=lambda drawn: system.examples(*drawn),
        rate=lambda e: cosine(e / learning.epochs, lowest=learning.lowest_rate, highest=learning.rate),
        validate=lambda: validation(system, [pairs[k] for k in held_out]),
        monitor=MONITORS[learning.monitor],
    )
    return learn(
        system.teaching, system.loss, plan, optimizer=keras.optimizers.Adam(clipnorm=learning.clip_norm), out=out,
        weight_decay=learning.weight_decay, show=show,
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
    learning : TrainConfig
    often : sequence of float, optional
        Per image how often it is drawn, in relation to the others; all alike by default.
    """

    def __init__(self, told, learning, *, often=None):
        self._told, self._learning, self._often = told, learning, often

    def batch(self, epoch, step):
        """Pixels (B, px, px, 3), objects and where they are known (B, px, px), a generator for what else is drawn."""
        of, told = self._learning, self._told
        when = {"seed": of.seed, "epoch": epoch, "step": step}
        if self._often is None:
            chosen, rng = batch_of(len(told), of.batch, **when)
        else:
            chosen, rng = batch_by_share(self._often, of.batch, steps=of.steps, **when)
        crops = [self._crop(rng, *told[k]) for k in chosen]
        return *(np.stack(side) for side in zip(*crops, strict=True)), rng

    def _crop(self, rng, image, instances, known):
        of = self._learning
        warp = draw_warp(
            rng, instances.shape, of.crop_px, zoom=of.zoom, flips=of.flips, turn_deg=of.turn_deg, skew=of.skew,
            bend_px=of.bend_px, bend_every_px=of.bend_every_px,
        )  # fmt: skip
        color = draw(
            rng, flips=False, quarter_turns=False, gain=of.gain, offset=of.offset, stain_gain=of.stain_gain,
            stain_offset=of.stain_offset,
        )  # fmt: skip
        # Beyond the image's edge the picture is mirrored, which would complete objects that are told as cut.
        outside = warp.weight(np.ones(instances.shape, np.float32)) < 1
        pixels = color.paint(warp.image(image))
        pixels[outside] = image.mean(axis=(0, 1))
        return pixels, without_small(warp.labels(instances), of.least_px), warp.weight(known) == 1


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
        cut += bool(report.said)
    return {"validation_aji": np.mean(ajis), "validation_pq": matching.pq, "validation_cut": cut}
