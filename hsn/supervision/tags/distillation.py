"""Second stage: train a segmentation net on pseudo-masks of nets that were trained on tags.

Heatmaps of a classifier are blurred, and concentrate on discriminative parts, such as the edge of a gland. A
segmentation net that is trained on the pseudo-masks of all images learns what they share. It needs no further
annotation.

Pseudo-masks are the mean over several first-stage nets and over the eight symmetries of the square, refined by the
dense CRF.

Sources: Kolesnikov and Lampert, ECCV 2016 (seeds, then a net); Li et al., MICCAI 2022 (OEEM, for glands).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ...annotations.colors import resize_labels
from ...annotations.label_files import read_labels
from ...checks import same_length, same_shape
from ...errors import InputError
from ...images.read import resample
from ...images.scaling import normalize
from ...images.tiles import mirror_pad
from ...losses.cross_entropy import cross_entropy
from ...metrics.classes import confusion_matrix, mean_iou
from ...training.augment import draw
from ...training.images import training_images
from ...training.loop import LoopSpec, fit_net
from ...training.schedules import cosine
from .config import Config
from .inference import compute_heatmaps, segment
from .stage_maps import refine_maps


@dataclass(frozen=True)
class DistillationConfig:
    """Config of the second stage.

    Attributes
    ----------
    epochs, steps, batch_size : int
        An epoch is `steps` batches.
    tile_px : int
        Side of the training tiles, at the net's scale.
    learning_rate, min_learning_rate : float
        Highest and lowest rate of Adam, along a cosine.
    label_smoothing : float
        Share of each target that is spread over all classes, because pseudo-masks are uncertain.
    strength : tuple of float
        Factor on the heatmap of each class before classes compete; tune it on validation images.
    zoom : float
        Tiles are cut at 1 - zoom to 1 + zoom of their size.
    color_gain, color_offset : float
        As in `hsn.config.Augmentation`.
    seed : int
    """

    epochs: int = 40
    steps: int = 25
    batch_size: int = 8
    tile_px: int = 192
    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-5
    label_smoothing: float = 0.1
    strength: tuple[float, ...] = ()
    zoom: float = 0.2
    color_gain: float = 0.15
    color_offset: float = 15.0
    seed: int = 0


class LabeledImage(NamedTuple):
    """An image, uint8 (H, W, 3), and its labels, int32 (H, W)."""

    pixels: np.ndarray
    labels: np.ndarray


def pseudo_labels(teachers, image, *, strength=(), taxonomy=None, mpp=None):
    """Return labels of an image: mean heatmaps over nets and symmetries, refined by the dense CRF.

    Parameters
    ----------
    teachers : sequence of (keras.Model, Config)
    image : uint8 array, shape (H, W, 3)
    strength : sequence of float
        Factor on each class of the taxonomy. Default: 1.
    taxonomy : str, optional
    mpp : float, optional

    Returns
    -------
    int32 array, shape (H, W)
    """
    config = teachers[0][1]
    chosen = config.taxonomy(taxonomy)
    heatmaps = mean_heatmaps(teachers, image, taxonomy=taxonomy, mpp=mpp)
    heatmaps = np.clip(heatmaps * np.float32(strength or (1,) * len(chosen)), 0, 1)
    return refine_maps(heatmaps, image, config, chosen).argmax(axis=2).astype(np.int32)


def mean_heatmaps(teachers, image, *, taxonomy=None, mpp=None):
    """Return the mean of the adjusted heatmaps over nets and symmetries, float32 (H, W, C).

    Parameters as for `pseudo_labels`.
    """
    heatmaps = (
        compute_heatmaps(net, image, config.replace(tta=8), taxonomy=taxonomy, mpp=mpp)
        for net, config in teachers
    )
    return sum(heatmaps) / np.float32(len(teachers))


def distill(student, images, pseudo, config, settings, *, validation, out):
    """Train a segmentation net on pseudo-masks.

    Parameters
    ----------
    student : keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, C) that sum to 1, C classes of the config's taxonomy.
    images : sequence of uint8 arrays (H, W, 3), or of paths
    pseudo : sequence of int arrays (H, W), or of paths of label images
        Of `pseudo_labels`.
    config : Config
        Of the student: see `student_config`.
    settings : DistillationConfig
    validation : sequence of (image, labels)
        Images with true labels, as above; the epoch with the best mean IoU is kept.
    out : path
        Folder for the state of the run; a run that was killed continues from it.

    Returns
    -------
    History
        Per epoch `rate`, `loss` and `validation_miou`. `student` gets the weights of the best epoch.

    Raises
    ------
    InputError
        "length-mismatch", "images-missing" or "shape-mismatch".
    """
    same_length("images", images, "pseudo", pseudo)
    if not len(images):
        raise InputError(
            "images-missing", "`images` must have at least one image", got="none", hint="give some"
        )
    factor = config.image_mpp / config.mpp
    samples = training_images(images, pseudo, partial(_at_scale, factor=factor, min_px=settings.tile_px))
    truths = training_images(*zip(*validation, strict=True), _labeled)

    def batch(epoch, step):
        rng = np.random.default_rng((settings.seed, epoch, step))
        return _batch(rng, samples, config, settings)

    spec = LoopSpec(
        epochs=settings.epochs,
        steps=settings.steps,
        batch=batch,
        learning_rate=lambda epoch: cosine(
            epoch / settings.epochs, lowest=settings.min_learning_rate, highest=settings.learning_rate
        ),
        validate=lambda: {"validation_miou": score(student, config, (truth.load() for truth in truths))},
        monitor="-validation_miou",
    )
    return fit_net(
        student,
        lambda target, prediction, weight, _: cross_entropy(target, prediction, weight),
        spec,
        out=Path(out),
        optimizer=keras.optimizers.Adam(),
        jit_compile="auto",
    )


def student_config(teacher, *, window_px):
    """Return the config of a student: the teacher's scale, normalization and taxonomy, one output for each class."""
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


def score(net, config, pairs):
    """Return the mean IoU over (image, labels) pairs, pooled over all pixels."""
    classes = len(config.taxonomy())
    return mean_iou(
        sum(confusion_matrix(labels, segment(net, image, config).labels, classes) for image, labels in pairs)
    )


def _labeled(name, image, labels):
    """Return a `LabeledImage` at its own scale."""
    labels = labels if isinstance(labels, np.ndarray) else read_labels(labels)
    same_shape(f"image {name}", image.shape, "labels", labels.shape)
    return LabeledImage(image, labels)


def _at_scale(name, image, labels, *, factor, min_px):
    """Return a `LabeledImage` at the net's scale, mirrored up to a tile if it is smaller."""
    image, labels = _labeled(name, image, labels)
    shape = tuple(round(side * factor) for side in image.shape[:2])
    margins = [(0, max(0, min_px - side)) for side in shape]
    pixels, labels = resample(image, shape), resize_labels(labels, shape)
    return LabeledImage(mirror_pad(pixels, margins), mirror_pad(labels, margins))


def _batch(rng, samples, config, settings):
    """Return tiles (B, px, px, 3), smoothed targets (B, px, px, C) and weights (B, px, px)."""
    tiles = [_draw_tile(rng, samples, settings) for _ in range(settings.batch_size)]
    pixels, labels = (np.stack(part) for part in zip(*tiles, strict=True))
    classes, smoothing = len(config.taxonomy()), settings.label_smoothing
    target = np.eye(classes, dtype=np.float32)[labels] * (1 - smoothing) + smoothing / classes
    pixels = normalize(pixels, config.normalization.mean, config.normalization.std)
    return pixels, target, np.ones(labels.shape, np.float32)


def _draw_tile(rng, samples, settings):
    """Draw a tile: pixels, float32 (px, px, 3), and labels, moved by the same draw."""
    image, labels = samples[rng.integers(len(samples))].load()
    zoom = rng.uniform(1 - settings.zoom, 1 + settings.zoom)
    side = min(round(settings.tile_px * zoom), *image.shape[:2])
    top, left = (rng.integers(length - side + 1) for length in image.shape[:2])
    box, shape = np.s_[top : top + side, left : left + side], (settings.tile_px, settings.tile_px)
    drawn = draw(rng, gain=settings.color_gain, offset=settings.color_offset)
    return drawn.paint(resample(image[box], shape)), drawn.move(resize_labels(labels[box], shape))
