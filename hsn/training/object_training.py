"""Train a system for instance segmentation on random crops of images and label images.

A system is a net with its pre- and post-processing, for instance `hsn.extras.maskrcnn.MaskRCNN`. It must have

- `training_model`, the net that the loop trains, and `loss`;
- ``examples(images, instances, known, rng)``, which returns inputs and targets of a step;
- ``segment(image)``; the result has `scored` and `warnings`.
"""

from typing import NamedTuple

import numpy as np

from ..checks import one_of, same_length, same_shape
from ..instances import renumber
from ..metrics.objects import Matching, aji, match
from ..metrics.table import overlaps
from ..nets.encoder_unet import encoder_variables
from .images import training_images
from .loop import LoopSpec, adam, fit_net
from .run import Run
from .sampling import CropSampler
from .splits import train_val_split

KERAS_EPSILON = 1e-7


class ObjectRecord(NamedTuple):
    """An image and its objects at the net's scale.

    Attributes
    ----------
    pixels : uint8 (h, w, 3)
    instances : int32 (h, w) or None
        0 background, 1..n; None without annotation.
    known : bool (h, w) or None
        True where the annotation is complete.
    """

    pixels: np.ndarray
    instances: np.ndarray | None
    known: np.ndarray | None


def fit(system, images, annotations, train, *, out, known=None, shares=None, clip_norm=5.0, min_object_px=4,
        progress=None):  # fmt: skip
    """Train a system on images with outlined objects.

    Parameters
    ----------
    system : object
        See the module. Its net is trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At the net's scale.
    annotations : sequence of int arrays (H, W)
        Objects of each image: 0 background, any positive ids.
    train : TrainConfig
        `monitor` must be "pq" or "aji".
    out : path
        Folder of the run. The same call continues a killed run; see `hsn.training.run`.
    known : sequence of bool arrays (H, W), optional
        True where all objects of an image are annotated. Default: everywhere. Validation ignores it.
    shares : sequence of float, optional
        Relative sampling frequency of each image; entries of validation images are ignored. Default: equal.
    clip_norm : float
        Largest norm of the gradient of each variable. Default: 5.
    min_object_px : int
        Smallest area of an object in a crop, in pixels; smaller objects are removed. Default: 4.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_aji` (mean over images), `validation_pq` (pooled) and `validation_cut`,
        the number of images for which the system reported a reached limit.

    Raises
    ------
    InputError
        "length-mismatch", "shape-mismatch", "monitor-unknown", "split-empty", or the codes of `Run.open`.
    """
    one_of("monitor", train.monitor, ("pq", "aji"))
    same_length("images", images, "annotations", annotations)
    known = [None] * len(images) if known is None else known
    same_length("images", images, "known", known)
    learned, held_out = train_val_split(len(images), train.validation, seed=train.seed)
    pairs = list(zip(annotations, known, strict=True))
    samples = training_images(images, pairs, _prepare, progress=progress)
    with Run.open(
        out, train, net=system.training_model, data=(images, annotations, known), progress=progress
    ) as run:
        history = fit_system(
            system,
            [samples[k] for k in learned],
            [samples[k] for k in held_out],
            train,
            out=run.folder,
            shares=None if shares is None else [shares[k] for k in learned],
            clip_norm=clip_norm,
            min_object_px=min_object_px,
            progress=progress,
        )
        run.finish(history)
    return history


def _prepare(name, image, pair):
    instances, known = pair
    same_shape(f"image {name}", image.shape, "objects", np.shape(instances))
    known = np.ones(image.shape[:2], bool) if known is None else np.asarray(known, bool)
    same_shape(f"image {name}", image.shape, "known", known.shape)
    return ObjectRecord(image, renumber(instances)[0], known)


def fit_system(system, learned, held_out, train, *, out, shares=None, clip_norm=5.0, min_object_px=4,
               stage="training", progress=None):  # fmt: skip
    """Train a system on prepared images, within a run.

    Parameters
    ----------
    system, train, shares, clip_norm, min_object_px, progress
        As in `fit`. `shares` has one entry for each of `learned`.
    learned, held_out : sequence of TrainingImage
        Training and validation images, with records of type `ObjectRecord`.
    out : path
        Folder of history and state.
    stage : str
        Stage of progress events. Default: "training".

    Returns
    -------
    History
    """
    sampler = crop_sampler(learned, train, min_object_px, shares=shares)
    spec = LoopSpec.of(
        train,
        steps=train.steps,
        batch=sampler.batch_and_rng,
        complete=lambda drawn: system.examples(*drawn[0], drawn[1]),
        validate=lambda: validate(system, held_out),
        monitor=f"-validation_{train.monitor}",
        stage=stage,
    )
    encoder = encoder_variables(system.training_model)
    optimizer = adam(train, encoder=encoder, epsilon=KERAS_EPSILON, clipnorm=clip_norm)
    return fit_net(
        system.training_model, system.loss, spec, out=out, train=train, optimizer=optimizer, progress=progress
    )


def crop_sampler(samples, train, min_object_px, *, shares=None):
    """Make the sampler of crops: pixels 0..255, objects, and a mask of known pixels.

    Pixels outside of the image get its mean color. Mirrored pixels would show objects that the labels do not have.
    """

    def encode(record, warp):
        objects = remove_small(warp.labels(record.instances), min_object_px)
        return objects, warp.weight(record.known) == 1

    def fill(pixels, record, warp):
        outside = warp.weight(np.ones(record.pixels.shape[:2], np.float32)) < 1
        pixels[outside] = record.pixels.mean(axis=(0, 1))
        return pixels

    return CropSampler(samples, train, encode, shares=shares, fill=fill)


def remove_small(instances, min_area_px):
    """Return the objects with at least `min_area_px` pixels, numbered 1..n.

    Examples
    --------
    >>> remove_small(np.array([[1, 4, 4, 0]]), 2).tolist()
    [[0, 1, 1, 0]]
    """
    large = np.bincount(instances.ravel()) >= min_area_px
    return renumber(np.where(large[instances], instances, 0))[0]


def validate(system, samples):
    """Compute the scores of validation images: `validation_aji`, `validation_pq`, `validation_cut`."""
    ajis, matching, cut = [], Matching(), 0
    for record in (sample.load() for sample in samples):
        report = system.segment(record.pixels)
        table = overlaps(record.instances, report.scored.instances)
        ajis.append(aji(table).score)
        matching += match(table)
        cut += bool(report.warnings)
    return {"validation_aji": np.mean(ajis), "validation_pq": matching.pq, "validation_cut": cut}
