"""Train a net from clicks on some nuclei to segment all of them.

Detectors are trained round by round. The points of the last one join the clicks. From these points two coarse labels of
each image are computed. A segmenter is trained on the labels, in its last epochs also with a CRF loss (Qu et al., IEEE
TMI 2020).

Every stage writes its results before the next begins, and results that exist are not computed again.
"""

from pathlib import Path

import numpy as np

from ... import models
from ...annotations import points as point_files
from ...annotations.label_files import write_labels
from ...errors import InputError
from ...images.scaling import normalize
from ...prediction.tiling import predict_tiled
from ...training.run import Run
from ...types import History
from .crops import segmentation_crops
from .detection import merge_points
from .images import load_images
from .losses import make_loss
from .rounds import detect
from .target_maps import decode, encode, make_targets
from .train_loop import train

CLICKED, FOUND = "clicked", "found"

CONTENTS = {
    "detection/round-K/": "one detector each; round 0 was trained on the clicks, each further one also on the "
    "background of the round before",
    "detection/round-K/points/NAME.csv": "all points found in each image, x and y in pixels of the image",
    "detection/round-K/background/NAME.png": "background for the next round in white, at the net's scale",
    "detection/round-K/scores.json": "validation of the epoch that was kept; the round is done when it exists",
    "points/NAME.geojson": "the points that labels are computed from, clicked or found; opens in QuPath over the image",
    "labels/NAME.png": "two coarse labels at the net's scale, 3 v + c: v by Voronoi cells, c by color clusters; each 0 "
    "unknown, 1 background, 2 nucleus",
    "segmentation/coarse/": "training of the segmenter on these labels",
    "segmentation/refined/": "the same, continued with the CRF loss",
}
# Results that depend on a stage are removed if the stage gets more epochs.
DEPENDS = {
    "detection_epochs": (
        "detection/round-0/scores.json",
        "detection/round-[1-9]*",
        "points",
        "labels",
        "segmentation",
    ),
    "train.epochs": ("segmentation/refined",),
}


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a segmenter from clicks on some nuclei, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        The segmenter, of `hsn.nets.resunet` with two outputs; trained in place. Detectors start with its weights.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of float arrays (N, 2), of paths of points, or of PointAnnotation
        Clicked nuclei of each image, row and column in pixels. An image may have none.
    config, out, progress
        See `hsn.supervision.masks.fit`.

    Returns
    -------
    History
        Of the segmenter: per epoch `rate`, `loss` and `validation_loss`. `out` has the histories of the detectors.

    Raises
    ------
    InputError
        "net-outputs", the codes of `hsn.supervision.points.images.load_images`, or those of `Run.open`.
    """
    out = Path(out)
    if net.output_shape[-1] != len(config.classes):
        raise InputError(
            "net-outputs",
            f"the net must have {len(config.classes)} outputs, background and nucleus",
            got=net.output_shape[-1],
            hint="build it with 2 outputs",
        )
    loaded = load_images(images, annotations, config, progress=progress)
    claim = {"data": (images, annotations), "depends": DEPENDS, "contents": CONTENTS}
    with Run.open(out, config, net=net, progress=progress, **claim) as run:
        if config.rounds is not None and not all(image.has_codes for image in loaded):
            detector = detect(net, loaded, config, out / "detection", progress=progress)
            if config.start == "previous":
                _copy_weights(detector, net)
        label_images(loaded, config, out)
        history = _train_segmenter(net, loaded, config, out / "segmentation", progress)
        models.save(out, net, card(config, history, loaded, name=out.name), config.to_dict())
        run.finish(history)
    return history


def _copy_weights(detector, net):
    """Copy the weights of a detector to a net, except for the head."""
    sources = {layer.name: layer for layer in detector.layers}
    for layer in net.layers:
        shapes = [w.shape for w in layer.weights]
        if shapes and shapes == [w.shape for w in sources[layer.name].weights]:
            layer.set_weights(sources[layer.name].get_weights())


def label_images(images, config, out):
    """Write the points and the coarse labels of each image without labels."""
    for image in images:
        if image.has_codes:
            continue
        path = out / "labels" / f"{image.name}.png"
        if not path.exists():
            complete = config.complete_validation and not image.train_pixels
            found = image.found if image.found is not None and not complete else np.zeros((0, 2))
            points = merge_points(image.clicks, found, config)
            names = [CLICKED] * len(image.clicks) + [FOUND] * (len(points) - len(image.clicks))
            point_files.write(
                out / "points" / f"{image.name}.geojson", image.to_image_scale(points), labels=names
            )
            write_labels(path, encode(make_targets(image.load().pixels, points, config)))
        image.codes_file = path


def _train_segmenter(net, images, config, folder, progress):
    """Train the segmenter on the labels, and then with the CRF loss as well."""
    crops = segmentation_crops([image for image in images if image.train_pixels], config)
    validated = [image for image in images if image.val_boxes]
    phases = {"coarse": (config.replace(crf_weight=0.0), config.train.epochs, None)}
    if config.crf_weight and config.refinement_epochs:
        phases["refined"] = (config, config.refinement_epochs, config.refinement_rate)
    rows, best = [], None
    for name, (phase, epochs, factor) in phases.items():
        history = train(
            net,
            make_loss(phase),
            crops,
            lambda phase=phase: validate(net, validated, phase),
            config,
            epochs=epochs,
            monitor="validation_loss",
            out=folder / name,
            factor=factor,
            stage=f"segmentation, {name}",
            progress=progress,
        )
        best = len(rows) + history.best
        rows += [{**row, "epoch": len(rows) + row["epoch"]} for row in history.epochs]
    return History(tuple(rows), best)


def validate(net, images, config):
    """Return the score of a segmenter: `validation_loss`, the loss on the parts of images that validate."""
    compute_loss, losses = make_loss(config), []
    for record in (image.load() for image in images):
        probabilities = predict_tiled(net, record.pixels, config.normalization, config.tiling)
        target, weight = decode(np.where(record.val_mask, record.codes, 0))
        pixels = normalize(record.pixels, config.normalization.mean, config.normalization.std)
        losses.append(float(compute_loss(target[None], probabilities[None], weight[None], pixels[None])))
    return {"validation_loss": np.mean(losses)}


def card(config, history, images, *, name):
    """Return the card of what `fit` trained."""
    kept = history.epochs[history.best]
    clicks = sum(len(image.clicks) for image in images)
    epochs = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation loss"
    notes = f"learned from {clicks} clicks on {len(images)} images; {epochs}"
    return models.card_of(config, kept, name=name, notes=notes)
