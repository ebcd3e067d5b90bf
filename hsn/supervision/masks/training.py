"""Train a net from full masks on random crops, and keep the epoch with the best validation score."""

from functools import partial
from typing import NamedTuple

import numpy as np

from ... import models
from ...annotations.colors import resize_labels
from ...annotations.mask_files import read as read_instances
from ...checks import same_length, same_shape
from ...images.tiles import enlarge
from ...instances import median_diameter, object_areas, renumber
from ...metrics.objects import Matching, match
from ...metrics.table import overlaps
from ...objects.contours import INSIDE
from ...objects.labeling import foreground, label_instances
from ...prediction.segmentation import preprocess
from ...prediction.tiling import predict_tiled
from ...training.images import training_images
from ...training.loop import LoopSpec, fit_net
from ...training.run import Run
from ...training.sampling import CropSampler
from ...training.splits import train_val_split
from ...training.tuning import tune_postprocess
from .config import MONITORS
from .losses import make_loss
from .target_maps import encode, make_targets, weigh

SIZED_IMAGES = 20  # whose objects give the median diameter


class MaskRecord(NamedTuple):
    """A training image and its objects.

    Attributes
    ----------
    pixels : uint8 (h, w, 3)
        At the net's scale, in the config's stains.
    instances, weight : int32 (h, w), float32 (h, w)
        Objects and weights at the net's scale; unknown pixels have weight 0.
    image_instances : int32 (H, W)
        Objects at the image's own scale.
    """

    pixels: np.ndarray
    instances: np.ndarray
    weight: np.ndarray
    image_instances: np.ndarray


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a net from full masks, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, C) probabilities, for instance of `hsn.nets.unet` or
        `hsn.nets.fullnet`; trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of int arrays (H, W), or of paths
        Objects of each image: 0 background, any positive ids; or files for `hsn.annotations.mask_files`. The masked
        pixels of a NumPy masked array are unknown: their weight is 0, and in validation they are background.
    config : Config
    out : path
        The trained folder. The same call continues a run that was killed; see `hsn.training.run`.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, `validation_loss`, `validation_iou` (of the inside, mean over images) and
        `validation_pq` (panoptic quality, pooled).

    Raises
    ------
    InputError
        "length-mismatch", "shape-mismatch", "split-empty", or the codes of `Run.open`.
    """
    same_length("images", images, "annotations", annotations)
    train = config.train
    learned, held_out = train_val_split(len(images), train.validation, seed=train.seed)
    samples = training_images(images, annotations, partial(prepare, config=config), progress=progress)
    validated = [samples[k] for k in held_out]
    with Run.open(out, config, net=net, data=(images, annotations), progress=progress) as run:
        sampler = CropSampler(
            [samples[k] for k in learned],
            train,
            # Contours are drawn after the move, so that their width does not change; weights move with the image.
            lambda record, warp: (encode(warp.labels(record.instances), config), warp.weight(record.weight)),
            normalization=config.normalization,
        )
        spec = LoopSpec.of(
            train,
            steps=train.steps or -(-len(learned) // train.batch_size),
            batch=sampler.batch,
            validate=lambda: validate(net, validated, config),
            monitor=MONITORS[train.monitor],
        )
        history = fit_net(net, make_loss(config), spec, out=run.folder, train=train, progress=progress)
        if config.tune_postprocess:
            pairs = (_at_image_scale(net, sample.load(), config) for sample in validated)
            config = config.replace(
                postprocess=tune_postprocess(pairs, config.postprocess, mpp=config.image_mpp)
            )
        objects = [object_areas(sample.load().image_instances) for sample in samples[:SIZED_IMAGES]]
        diameter_um = median_diameter([areas * config.image_mpp**2 for areas in objects])
        models.save(
            out,
            net,
            card(config, history, name=run.out.name, object_diameter_um=diameter_um),
            config.to_dict(),
        )
        run.finish(history)
    return history


def prepare(name, image, annotation, *, config):
    """Bring an image and its objects to the net's scale.

    Parameters
    ----------
    name : str
    image : uint8 array, shape (H, W, 3)
    annotation : int array (H, W), or path
    config : Config

    Returns
    -------
    MaskRecord
    """
    if not isinstance(annotation, np.ndarray):
        annotation = read_instances(annotation, image.shape[:2])
    same_shape(f"image {name}", image.shape, "mask", annotation.shape)
    image_instances = renumber(np.ma.filled(annotation, 0))[0]
    pixels = preprocess(image, config, config.image_mpp)
    instances = resize_labels(image_instances, pixels.shape[:2])
    weight = weigh(instances, config)
    weight[resize_labels(np.ma.getmaskarray(annotation), pixels.shape[:2])] = 0
    return MaskRecord(pixels, instances, weight, image_instances)


def validate(net, samples, config):
    """Return scores of validation images: `validation_loss`, `validation_iou`, `validation_pq`."""
    compute_loss, tiling = make_loss(config), config.tiling.replace(tta=1)
    losses, ious, matching = [], [], Matching()
    for record in (sample.load() for sample in samples):
        probabilities = predict_tiled(net, record.pixels, config.normalization, tiling)
        target, weight = make_targets(record.pixels, record.instances, config)
        losses.append(float(compute_loss(target[None], probabilities[None], weight[None], None)))
        inside = target[..., INSIDE if config.ternary else 0] > 0
        threshold = None if config.ternary else config.postprocess.foreground_threshold
        predicted = foreground(probabilities, threshold)
        ious.append((inside & predicted).sum() / max((inside | predicted).sum(), 1))
        instances = label_instances(probabilities, config.postprocess, mpp=config.mpp)
        matching += match(overlaps(record.instances, instances))
    return {
        "validation_loss": np.mean(losses),
        "validation_iou": np.mean(ious),
        "validation_pq": matching.pq,
    }


def _at_image_scale(net, record, config):
    """Return probabilities and true objects at the image's own scale."""
    probabilities = predict_tiled(net, record.pixels, config.normalization, config.tiling)
    return enlarge(probabilities, record.image_instances.shape), record.image_instances


def card(config, history, *, name, object_diameter_um=None):
    """Return the card of what `fit` trained."""
    kept = history.epochs[history.best]
    notes = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation {config.train.monitor}"
    threshold = config.postprocess.foreground_threshold
    thresholds = None if threshold is None else (threshold,) * len(config.classes)
    return models.card_of(
        config, kept, name=name, notes=notes, thresholds=thresholds, object_diameter_um=object_diameter_um
    )
