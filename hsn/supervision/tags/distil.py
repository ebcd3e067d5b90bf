"""A second stage: a segmentation net learns from the first stage's own pseudo-masks.

A classifier's maps are blurred and lean towards what tells classes apart, the rim of a gland more than its lumen. A
segmentation net that must reproduce them on all images at once learns what they have in common and drops their
accidents. It needs no annotation beyond the tags.

Pseudo-masks are the mean over several first-stage nets and over the eight symmetries of the square, refined by the
dense CRF.

Sources: Kolesnikov and Lampert, ECCV 2016 (seeds, then a net); Li et al., MICCAI 2022 (OEEM, the same for glands).
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ...annotations.colors import resize_labels
from ...errors import refuse
from ...images.read import resample
from ...images.scaling import normalize
from ...images.tiles import mirror_pad
from ...losses.cross_entropy import cross_entropy
from ...metrics.classes import confusion_matrix, mean_iou
from ...training.augment import draw
from ...training.loop import LoopSpec, fit_net
from ...training.schedules import cosine
from .config import Config
from .inference import evidence_of, segment
from .stages_of_view import refined


@dataclass(frozen=True)
class Distillation:
    """Numbers of the second stage.

    Attributes
    ----------
    epochs, steps, batch : int
        An epoch is `steps` batches.
    tile_px : int
        Side of the training tiles, at the net's scale.
    highest_rate, lowest_rate : float
        Adam's learning rate, down along a cosine.
    softness : float
        Share of each target that is spread over all classes: pseudo-masks are not sure of themselves.
    strength : tuple of float
        Factor on each class's evidence before classes compete; chosen on validation images.
    zoom : float
        Tiles are cut at 1 +- zoom of their size.
    gain, offset : float
        Augmentation of colour, as in `TrainConfig`.
    seed : int
    """

    epochs: int = 40
    steps: int = 25
    batch: int = 8
    tile_px: int = 192
    highest_rate: float = 1e-3
    lowest_rate: float = 1e-5
    softness: float = 0.1
    strength: tuple[float, ...] = ()
    zoom: float = 0.2
    gain: float = 0.15
    offset: float = 15.0
    seed: int = 0


def pseudo_labels(teachers, image, *, strength=(), taxonomy=None, mpp=None):
    """Labels of an image by first-stage nets: mean evidence over nets and symmetries, refined.

    Parameters
    ----------
    teachers : sequence of (keras.Model, Config)
    image : uint8 array, shape (H, W, 3)
    strength : sequence of float
        Factor on each class of the taxonomy; 1 by default.
    taxonomy : str, optional
    mpp : float, optional

    Returns
    -------
    int32 array, shape (H, W)
    """
    config = teachers[0][1]
    wanted = config.taxonomy(taxonomy)
    evidence = mean_evidence(teachers, image, taxonomy=taxonomy, mpp=mpp)
    evidence = np.clip(evidence * np.float32(strength or (1,) * len(wanted)), 0, 1)
    return refined(evidence, image, config, wanted).argmax(axis=2).astype(np.int32)


def mean_evidence(teachers, image, *, taxonomy=None, mpp=None):
    """Adjusted evidence, mean over nets and symmetries: float32 (H, W, C); parameters as for `pseudo_labels`."""
    each = (evidence_of(net, image, r.replace(tta=8), taxonomy=taxonomy, mpp=mpp) for net, r in teachers)
    return sum(each) / np.float32(len(teachers))


def distil(student, images, pseudo, config, numbers, *, validation, out):
    """Fit a segmentation net to pseudo-masks.

    Parameters
    ----------
    student : keras.Model
        (N, H, W, 3) normalize pixels -> (N, H, W, C) that sum to 1, C classes of the config's taxonomy.
    images : sequence of uint8 arrays (H, W, 3)
    pseudo : sequence of int arrays (H, W)
        From `pseudo_labels`.
    config : Config
        Of the student: see `student_config`.
    numbers : Distillation
    validation : sequence of (image, labels)
        Images with truth, to choose the epoch by mean IoU.
    out : path
        Folder for the run's state; a killed run goes on from it.

    Returns
    -------
    History
        Per epoch `rate`, `loss` and `validation_miou`. `student` holds the best epoch's weights.

    Raises
    ------
    InputError
        If there are no images, or images and pseudo-masks are not paired.
    """
    if not len(images) or len(images) != len(pseudo):
        refuse("each image needs its pseudo-mask", expected="as many of one as of the other, and at least one",
               received=f"{len(images)} and {len(pseudo)}", remedy="make one for each with pseudo_labels")  # fmt: skip
    tiles = _Tiles(images, pseudo, config, numbers)

    def validate():
        return {"validation_miou": score(student, config, validation)}

    spec = LoopSpec(
        epochs=numbers.epochs,
        steps=numbers.steps,
        batch=tiles.batch,
        learning_rate=lambda epoch: cosine(
            epoch / numbers.epochs, lowest=numbers.lowest_rate, highest=numbers.highest_rate
        ),
        validate=validate,
        monitor="-validation_miou",
    )
    return fit_net(
        student, lambda t, p, w, _: cross_entropy(t, p, w), spec, out=Path(out), optimizer=keras.optimizers.Adam(),
        jit_compile="auto",
    )  # fmt: skip


def student_config(teacher, *, window_px):
    """The config of a student: its teacher's scale, colours and taxonomy, with a class per output of its own."""
    taxonomy = teacher.taxonomy()
    return Config(
        classes=taxonomy.names,
        thresholds=(0.0,) * len(taxonomy),
        taxonomies=(taxonomy,),
        mpp=teacher.mpp,
        image_mpp=teacher.image_mpp,
        window_px=window_px,
        normalization=teacher.normalization,
        cam_layers=None,
        crf=teacher.crf,
        train=teacher.train,
    )


def score(net, config, truths):
    """Mean IoU over (image, labels) pairs, all pixels counted together."""
    classes = len(config.taxonomy())
    return mean_iou(
        sum(confusion_matrix(labels, segment(net, image, config).labels, classes) for image, labels in truths)
    )


class _Tiles:
    """Random tiles of images at the net's scale with their pseudo-masks, drawn alike for both."""

    def __init__(self, images, pseudo, config, numbers):
        factor = config.image_mpp / config.mpp
        self._pairs = [_at_scale(i, p, factor, numbers.tile_px) for i, p in zip(images, pseudo, strict=True)]
        self._config, self._numbers = config, numbers

    def batch(self, epoch, step):
        """Tiles (B, px, px, 3), soft targets (B, px, px, C), weights (B, px, px)."""
        rng = np.random.default_rng((self._numbers.seed, epoch, step))
        drawn = [self._tile(rng) for _ in range(self._numbers.batch)]
        pixels, labels = (np.stack(x) for x in zip(*drawn, strict=True))
        classes = len(self._config.taxonomy())
        soft = self._numbers.softness
        target = np.eye(classes, dtype=np.float32)[labels] * (1 - soft) + soft / classes
        normalization = self._config.normalization
        pixels = normalize(pixels, normalization.mean, normalization.std)
        return pixels, target, np.ones(labels.shape, np.float32)

    def _tile(self, rng):
        numbers = self._numbers
        image, labels = self._pairs[rng.integers(len(self._pairs))]
        side = min(round(numbers.tile_px * rng.uniform(1 - numbers.zoom, 1 + numbers.zoom)), *image.shape[:2])
        r, c = (rng.integers(length - side + 1) for length in image.shape[:2])
        inside, shape = np.s_[r : r + side, c : c + side], (numbers.tile_px, numbers.tile_px)
        moved = draw(rng, gain=numbers.gain, offset=numbers.offset)
        return moved.paint(resample(image[inside], shape)), moved.move(resize_labels(labels[inside], shape))


def _at_scale(image, labels, factor, least_px):
    """An image and its labels at the net's scale, mirrored up to a tile where they are smaller."""
    shape = tuple(round(side * factor) for side in image.shape[:2])
    margins = [(0, max(0, least_px - side)) for side in shape]
    return mirror_pad(resample(image, shape), margins), mirror_pad(resize_labels(labels, shape), margins)
