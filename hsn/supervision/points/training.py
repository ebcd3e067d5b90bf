"""Fit: from clicks on some nuclei to a net that segments all of them.

Detectors learn where nuclei are, round by round; what the last one finds joins the clicks; of all these points two
coarse labels are made for each image; a segmenter learns these, and in its last epochs that like colours are alike
(Qu et al., IEEE TMI 2020).

Every stage writes what it made before the next begins, and a stage whose results are there is not run again: a run that
was killed goes on where it was. `training/README.md` says what lies where.
"""

from pathlib import Path

import numpy as np

from ... import models
from ...annotations import points as point_files
from ...annotations.label_files import read_labels, write_labels
from ...errors import refuse
from ...images.scaling import normalize
from ...prediction.tiling import predict_tiled
from ...training.run import Run
from ...types import History
from .crops import segmentation_crops
from .detection import merged
from .fields import fields_of
from .losses import make_loss
from .rounds import detect
from .target_maps import decode, encode, make_targets
from .train_loop import train

CLICKED, FOUND = "clicked", "found"

CONTENTS = {
    "detection/round-K/": "one detector each; round 0 learned from the clicks, each further one also from the "
    "background of the round before",
    "detection/round-K/points/NAME.csv": "all points found in each image, x and y in pixels of the image",
    "detection/round-K/background/NAME.png": "white where there is surely no nucleus, at the net's scale",
    "detection/round-K/scores.json": "validation of the epoch that was kept; the round is done when it exists",
    "points/NAME.geojson": "the points that labels are made of, clicked or found; opens in QuPath over the image",
    "labels/NAME.png": "two coarse labels at the net's scale, 3 v + c: v by Voronoi cells, c by color clusters; each 0 "
    "unknown, 1 background, 2 nucleus",
    "segmentation/coarse/": "training of the segmenter on these labels",
    "segmentation/refined/": "the same, continued with the CRF loss",
}
# What builds on a stage, and is done again where that stage is extended.
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
        Of `hsn.nets.resunet`, two outputs; trained in place to be the segmenter. Detectors begin with its weights, and
        so does segmentation: an encoder that knows pictures helps all of them.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`.
    annotations : sequence of float arrays (N, 2), of paths of points, or of Given
        Per image the clicked nuclei, row and column in pixels. An image may have none.
    config : Config
    out : path
        The trained folder. The same call continues a run that was killed; see `hsn.training.run`.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    History
        Of the segmenter: per epoch `rate`, `loss`, `validation_loss`. Those of the detectors are in `out`.

    Raises
    ------
    InputError
        If images and clicks do not belong together, nothing is left to learn or validate on, or `out` holds
        another run.
    """
    out = Path(out)
    if net.output_shape[-1] != len(config.classes):
        refuse("a segmenter tells nuclei from background", expected=f"a net with {len(config.classes)} outputs",
               received=net.output_shape[-1], remedy="build it with 2 outputs")  # fmt: skip
    fields = fields_of(images, annotations, config)
    claim = {"data": (images, annotations), "depends": DEPENDS, "contents": CONTENTS}
    with Run.open(out, config, net=net, progress=progress, **claim) as run:
        if config.rounds is not None and any(field.codes is None for field in fields):
            detector = detect(net, fields, config, out / "detection", progress=progress)
            if config.start == "previous":
                _inherit(net, detector)
        label(fields, config, out)
        history = _segmentation(net, fields, config, out / "segmentation", progress)
        models.save(out, net, card(config, history, fields, name=out.name), config.to_dict())
        run.finish(history)
    return history


def _inherit(net, detector):
    """Give a net the weights of a detector, but for the head."""
    theirs = {layer.name: layer for layer in detector.layers}
    for layer in net.layers:
        shapes = [w.shape for w in layer.weights]
        if shapes and shapes == [w.shape for w in theirs[layer.name].weights]:
            layer.set_weights(theirs[layer.name].get_weights())


def label(fields, config, out):
    """Write the points and the coarse labels of each image that has no labels yet; `field.codes` holds the latter."""
    for field in fields:
        path = out / "labels" / f"{field.name}.png"
        if field.codes is None and path.exists():
            field.codes = read_labels(path).astype(np.uint8)
        if field.codes is not None:
            continue
        complete = config.complete_validation and field.held.all()
        found = field.found if field.found is not None and not complete else np.zeros((0, 2))
        points = merged(field.clicks, found, config)
        names = [CLICKED] * len(field.clicks) + [FOUND] * (len(points) - len(field.clicks))
        point_files.write(out / "points" / f"{field.name}.geojson", field.at_image(points), labels=names)
        field.codes = encode(make_targets(field.image, points, config))
        write_labels(path, field.codes)


def _segmentation(net, fields, config, folder, progress):
    """Train the segmenter, by the labels and then with the CRF loss as well."""
    crops = segmentation_crops([field for field in fields if not field.held.all()], config)
    judging = [field for field in fields if field.held.any()]
    phases = {"coarse": (config.replace(crf_weight=0.0), config.train.epochs, None)}
    if config.crf_weight and config.refinement_epochs:
        phases["refined"] = (config, config.refinement_epochs, config.refinement_rate)
    rows, best = [], None
    for name, (phase, epochs, factor) in phases.items():
        history = train(
            net,
            make_loss(phase),
            crops,
            lambda phase=phase: validation(net, judging, phase),
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


def validation(net, fields, config):
    """Loss of a segmenter on what is held out: `validation_loss`, of the coarse labels and the CRF."""
    of, losses = make_loss(config), []
    for field in fields:
        maps = predict_tiled(net, field.image, config.normalization, config.tiling)
        target, weight = decode(np.where(field.held, field.codes, 0))
        pixels = normalize(field.image, config.normalization.mean, config.normalization.std)
        losses.append(float(of(target[None], maps[None], weight[None], pixels[None])))
    return {"validation_loss": np.mean(losses)}


def card(config, history, fields, *, name):
    """The card of what `fit` trained."""
    kept = history.epochs[history.best]
    clicks = sum(len(field.clicks) for field in fields)
    epochs = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation loss"
    notes = f"learned from {clicks} clicks on {len(fields)} images; {epochs}"
    return models.card_of(config, kept, name=name, notes=notes)
