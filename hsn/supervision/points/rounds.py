"""Rounds of detection: a detector trains on clicks, and the next one also on the background that it found.

Each round has a folder: its training; `points/`, all points that it found in each image; `background/`, the background
for the next round; and `scores.json`, which is written last and marks the round as done.
"""

import json

import numpy as np

from ...annotations import points as point_files
from ...annotations.label_files import write_labels
from ...files import atomic_write
from ...metrics.points import PointMatching, match_points
from ...nets import encoder_unet, resunet
from ...prediction.tiling import predict_tiled
from .crops import detection_crops
from .detection import click_targets, find_background, find_points
from .images import points_in
from .losses import detection_loss
from .train_loop import train

SCORES, BEST = "scores.json", "best.weights.h5"
THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
PUBLISHED_THRESHOLD = 0.35  # of equally good thresholds the closest to this one is used


def detect(net, images, config, folder, *, progress=None):
    """Train detectors round by round; images get the points and the background of the last one.

    Parameters
    ----------
    net : keras.Model
        Not changed; see `rebuild`. A detector starts with its weights, except for the head.
    images : list of PointImage
    config : Config
    folder : path
        Gets a folder for each round; finished rounds are read from it.
    progress : callable, optional

    Returns
    -------
    keras.Model
        The last detector.
    """
    seed = config.train.seed
    detector = rebuild(net, 1, seed=seed)
    for k in range(config.rounds + 1):
        if config.start == "initial" and k:
            detector = rebuild(net, 1, seed=seed + k)
        round_folder = folder / f"round-{k}"
        if (round_folder / SCORES).exists():
            detector.load_weights(round_folder / BEST)
        else:
            _train_round(detector, images, config, round_folder, progress)
        for image in images:
            path = round_folder / "points" / f"{image.name}.csv"
            image.found = image.to_net_scale(point_files.read(path))
            image.background_file = round_folder / "background" / f"{image.name}.png"
    return detector


def rebuild(net, outputs, *, seed):
    """Return a copy of a ResUNet or of a U-Net on an encoder, with a new head."""
    kind = encoder_unet if encoder_unet.encoder_variables(net) else resunet
    return kind.rebuild(net, outputs, seed=seed)


def _train_round(detector, images, config, folder, progress):
    """Train one detector, and write its points, its background and its scores."""
    validated = [image for image in images if image.val_boxes]
    train(
        detector,
        detection_loss,
        detection_crops([image for image in images if len(image.train_clicks())], config),
        lambda: validate(detector, validated, config),
        config,
        epochs=config.detection_epochs,
        monitor="-validation_f1" if config.complete_validation else "validation_loss",
        out=folder,
        stage=f"detection, {folder.name}",
        progress=progress,
    )
    tuner, found = ThresholdTuner(config), []
    for image in images:
        probability = predict(detector, image, config)[..., 0]
        found.append(tuner.add(image, probability))
        background = find_background(probability, config)
        write_labels(folder / "background" / f"{image.name}.png", np.where(background, 255, 0))
    best = tuner.best()
    for image, points in zip(images, found, strict=True):
        point_files.write(folder / "points" / f"{image.name}.csv", image.to_image_scale(points[best]))
    scores = {"threshold": tuner.thresholds[best], **validate(detector, validated, config)}
    with atomic_write(folder / SCORES) as temporary:
        plain = {name: float(value) for name, value in scores.items()}
        temporary.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def predict(net, image, config):
    """Return the probabilities of a net for a `PointImage`, float32 (h, w, outputs)."""
    return predict_tiled(net, image.load().pixels, config.normalization, config.tiling)


def validate(detector, images, config):
    """Return the scores of a detector on the parts of images that validate.

    Returns
    -------
    dict of str to float
        `validation_loss`, over known pixels; where all nuclei are clicked also `validation_precision`,
        `validation_recall` and `validation_f1`, pooled over images.
    """
    squares, known, tuner = 0.0, 0, ThresholdTuner(config)
    for image in images:
        probability = predict(detector, image, config)[..., 0]
        target, weight = click_targets(image.clicks, image.net_shape, config)
        weight = weight * image.val_mask()
        squares += (weight * (probability - target) ** 2).sum()
        known += (weight > 0).sum()
        if config.complete_validation:
            tuner.add(image, probability)
    scores = {"validation_loss": squares / max(known, 1)}
    if config.complete_validation:
        matching = tuner.matchings[tuner.best()]
        scores |= {
            "validation_precision": matching.precision,
            "validation_recall": matching.recall,
            "validation_f1": matching.f1,
        }
    return scores


class ThresholdTuner:
    """Finds the detection threshold whose points match the clicks best; probabilities are not kept.

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    thresholds : tuple of float
        `THRESHOLDS`, or the threshold of the config.
    matchings : list of PointMatching
        For each threshold, pooled over images.
    """

    def __init__(self, config):
        self._config = config
        fixed = config.detection_threshold
        self.thresholds = THRESHOLDS if fixed is None else (fixed,)
        self.matchings = [PointMatching()] * len(self.thresholds)

    def add(self, image, probability):
        """Add an image; return its points for each threshold, at the net's scale."""
        config = self._config
        found = [find_points(probability, config, threshold=threshold) for threshold in self.thresholds]
        if config.complete_validation:
            clicks, mask = image.val_clicks(), image.val_mask()
        else:
            # Around clicks every other point is wrong; elsewhere nothing is known.
            clicks, mask = image.clicks, click_targets(image.clicks, image.net_shape, config).weight > 0
        self.matchings = [
            matching + match_points(clicks, points_in(points, mask), radius_px=config.radius_px)
            for matching, points in zip(self.matchings, found, strict=True)
        ]
        return found

    def best(self):
        """Return the index of the threshold with the highest F1."""
        return max(
            range(len(self.thresholds)),
            key=lambda k: (self.matchings[k].f1, -abs(self.thresholds[k] - PUBLISHED_THRESHOLD)),
        )
