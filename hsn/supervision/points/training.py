"""Train a net from clicks on some nuclei to segment all of them.

Detectors are trained round by round. The points of the last one join the clicks. From these points two coarse labels of
each image are computed. A segmenter is trained on the labels, in its last epochs also with a CRF loss (Qu et al., IEEE
TMI 2020). With `object_epochs` a further net is trained on the objects that a watershed from the points finds in the
probabilities of the segmenter; then only this net is the result.

Every stage writes its results before the next begins, and results that exist are not computed again.
"""

from pathlib import Path

import numpy as np

from ... import models
from ...annotations import points as point_files
from ...annotations.label_files import write_labels
from ...errors import InputError
from ...images.scaling import normalize
from ...instances import median_diameter, object_areas
from ...training.run import Run
from ...types import History
from .config import SEGMENTED
from .crops import segmentation_crops
from .images import load_images, split
from .losses import make_loss
from .object_stage import all_points, train_on_objects, write_objects
from .rounds import detect, predict, rebuild
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
    "objects/labels/NAME.png": "objects that the last net was trained on, at the net's scale",
    "objects/known/NAME.png": "black where the segmenter found a nucleus without a point: nothing is learned there",
    "segmentation/objects/": "training of the last net on these objects",
}
# Results that depend on a stage are removed if the stage gets more epochs.
DEPENDS = {
    "detection_epochs": (
        "detection/round-0/scores.json",
        "detection/round-[1-9]*",
        "points",
        "labels",
        "segmentation",
        "objects",
    ),
    "train.epochs": ("segmentation/refined", "objects", "segmentation/objects"),
    "refinement_epochs": ("objects", "segmentation/objects"),
}


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a segmenter from clicks on some nuclei, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        Of `hsn.nets.encoder_unet` or `hsn.nets.resunet`, with the outputs of `config.classes`; trained in place. The
        nets of other stages start with its weights.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of float arrays (N, 2), of paths of points, or of PointAnnotation
        Clicked nuclei of each image, row and column in pixels. An image may have none.
    config, out, progress
        See `hsn.supervision.masks.fit`.

    Returns
    -------
    History
        Of the segmenter and of the net for objects: per epoch `rate`, `loss` and `validation_loss`. `out` has the
        histories of the detectors.

    Raises
    ------
    InputError
        "net-outputs", the codes of `hsn.supervision.points.images.load_images`, or those of `Run.open`.
    """
    out = Path(out)
    if net.output_shape[-1] != len(config.classes):
        raise InputError(
            "net-outputs",
            f"the net must have {len(config.classes)} outputs: {', '.join(config.classes)}",
            got=net.output_shape[-1],
            hint=f"build it with {len(config.classes)} outputs",
        )
    loaded = load_images(images, annotations, config, progress=progress)
    claim = {"data": (images, annotations), "depends": DEPENDS, "contents": CONTENTS}
    with Run.open(out, config, net=net, progress=progress, **claim) as run:
        detector, diameter_um = None, None
        segmenter = rebuild(net, len(SEGMENTED), seed=config.train.seed) if config.object_epochs else net
        if config.rounds is not None and not all(image.has_codes for image in loaded):
            detector = detect(net, loaded, config, out / "detection", progress=progress)
            if config.start == "previous":
                _copy_weights(detector, segmenter)
        label_images(loaded, config, out)
        history = _train_segmenter(segmenter, loaded, config, out / "segmentation", progress)
        if config.object_epochs:
            if config.start == "previous":
                _copy_weights(segmenter, net)
            write_objects(loaded, segmenter, detector, config, out / "objects", progress=progress)
            diameter_um = median_diameter(
                [object_areas(image.load().instances) * config.mpp**2 for image in loaded]
            )
            last = train_on_objects(net, loaded, config, out / "segmentation" / "objects", progress=progress)
            history = _join(history, last)
        written = card(config, history, loaded, name=out.name, object_diameter_um=diameter_um)
        models.save(out, net, written, config.to_dict())
        run.finish(history)
    return history


def _copy_weights(source, net):
    """Copy the weights of another net, except for the head."""
    sources = {layer.name: layer for layer in source.layers}
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
            points = all_points(image, config)
            names = [CLICKED] * len(image.clicks) + [FOUND] * (len(points) - len(image.clicks))
            point_files.write(
                out / "points" / f"{image.name}.geojson", image.to_image_scale(points), labels=names
            )
            write_labels(path, encode(make_targets(image.load().pixels, points, config)))
        image.codes_file = path


def _train_segmenter(net, images, config, folder, progress):
    """Train the segmenter on the labels, and then with the CRF loss as well."""
    trained, validated = split(images)
    crops = segmentation_crops(trained, config)
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


def _join(history, last):
    """Return the history of both stages, one after the other; the epoch that was kept is one of the last stage."""
    before = len(history.epochs)
    rows = [{**row, "epoch": before + row["epoch"]} for row in last.epochs]
    return History((*history.epochs, *rows), before + last.best)


def validate(net, images, config):
    """Return the score of a segmenter: `validation_loss`, the loss on the parts of images that validate."""
    compute_loss, losses = make_loss(config), []
    for image in images:
        probabilities, record = predict(net, image, config), image.load()
        target, weight = decode(np.where(record.val_mask, record.codes, 0))
        pixels = normalize(record.pixels, config.normalization.mean, config.normalization.std)
        losses.append(float(compute_loss(target[None], probabilities[None], weight[None], pixels[None])))
    return {"validation_loss": np.mean(losses)}


def card(config, history, images, *, name, object_diameter_um=None):
    """Return the card of what `fit` trained."""
    kept = history.epochs[history.best]
    clicks = sum(len(image.clicks) for image in images)
    epochs = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation loss"
    notes = f"learned from {clicks} clicks on {len(images)} images; {epochs}"
    threshold = config.postprocess.foreground_threshold
    thresholds = None if threshold is None else (threshold,) * len(config.classes)
    return models.card_of(
        config, kept, name=name, notes=notes, thresholds=thresholds, object_diameter_um=object_diameter_um
    )
