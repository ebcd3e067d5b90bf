"""Patches at the net's scale: annotated ones to learn from and to validate on, and unlabeled images."""

from functools import partial
from typing import NamedTuple

import numpy as np

from ...annotations.colors import resize_labels
from ...annotations.mask_files import read as read_instances
from ...checks import same_length, same_shape
from ...errors import InputError
from ...images.scaling import rescale
from ...instances import renumber
from ...training.images import TrainingImage, training_images
from ...training.object_training import ObjectRecord
from ...training.splits import train_val_split


class Patches(NamedTuple):
    """Training images by their use; records are `ObjectRecord`s."""

    learned: list[TrainingImage]
    held_out: list[TrainingImage]
    unlabeled: list[TrainingImage]


def load_patches(images, annotations, config, *, progress=None):
    """Return the patches of all images.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence of int arrays (H, W), of paths, or of None
    config : Config
    progress : callable, optional

    Returns
    -------
    Patches

    Raises
    ------
    InputError
        "length-mismatch", "shape-mismatch", "validation-unlabeled" or "split-empty".
    """
    same_length("images", images, "annotations", annotations)
    annotated = [number for number, annotation in enumerate(annotations) if annotation is not None]
    validation = config.train.validation
    if not isinstance(validation, float):
        if not set(validation) <= set(annotated):
            raise InputError(
                "validation-unlabeled",
                f"`validation` must name annotated images, some of {annotated}",
                got=validation,
                hint="correct it in the config",
            )
        validation = [annotated.index(number) for number in validation]
    learned, held_out = train_val_split(len(annotated), validation, seed=config.train.seed)
    samples = training_images(images, annotations, partial(prepare, config=config), progress=progress)
    return Patches(
        [samples[annotated[k]] for k in learned],
        [samples[annotated[k]] for k in held_out],
        [sample for sample in samples if sample.annotation is None],
    )


def prepare(name, image, annotation, *, config):
    """Return a patch at the net's scale.

    Parameters
    ----------
    name : str
    image : uint8 array, shape (H, W, 3)
    annotation : int array (H, W), path, or None
    config : Config

    Returns
    -------
    ObjectRecord
    """
    pixels = rescale(image, config.image_mpp, config.mpp)
    if annotation is None:
        return ObjectRecord(pixels, None, None)
    instances, known = outlined(name, image, annotation)
    small, unknown = (resize_labels(labels, pixels.shape[:2]) for labels in (instances, ~known))
    return ObjectRecord(pixels, small, ~unknown)


def outlined(name, image, annotation):
    """Return the objects of an image, numbered 1..n, and where they are known, at the image's own scale."""
    if not isinstance(annotation, np.ndarray):
        annotation = read_instances(annotation, image.shape[:2])
    same_shape(f"image {name}", image.shape, "mask", annotation.shape)
    return renumber(np.ma.filled(annotation, 0))[0], ~np.ma.getmaskarray(annotation)
