"""Rounds: a detector learns from clicks, tells what is surely background, and another learns from both.

Each round has a folder: its training, `points/` with all that it found in each image, `background/` with what the next
round may take for background, and last, as the sign that it is finished, `scores.json`.
"""

import json

import numpy as np

from ...annotations import points as point_files
from ...annotations.label_files import read_labels, write_labels
from ...files import atomic_write
from ...metrics.points import PointMatching, match_points
from ...nets import resunet
from ...prediction.tiling import predict_tiled
from .background import background_of
from .crops import detection_crops
from .detection import click_targets, find_points
from .fields import clicks_in, inside
from .losses import detection_loss
from .train_loop import train

SCORES, BEST = "scores.json", "best.weights.h5"
LIKELY = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)  # thresholds that are tried
PUBLISHED_LIKELY = 0.35  # among equals the nearest to this is taken


def detect(net, fields, config, folder, *, progress=None):
    """Train detectors round by round; `field.found` holds what the last one found.

    Parameters
    ----------
    net : keras.Model
        A ResUNet; a detector begins with its weights, its own head excepted. It stays as it is.
    fields : list of Field
    config : Config
    folder : path
        For the rounds; those finished before are read from it.

    Returns
    -------
    keras.Model
        The last detector.
    """
    seed = config.train.seed
    detector = resunet.rebuild(net, 1, seed=seed)
    for k in range(config.rounds + 1):
        if config.start == "initial" and k:
            detector = resunet.rebuild(net, 1, seed=seed + k)
        one = folder / f"round-{k}"
        if (one / SCORES).exists():
            detector.load_weights(one / BEST)
        else:
            _round(detector, fields, config, one, progress)
        for field in fields:
            path = one / "points" / f"{field.name}.csv"
            field.found = field.at_net(point_files.read(path))
            field.background = read_labels(one / "background" / f"{field.name}.png") > 0
            if field.surely is not None:
                field.background |= field.surely
    return detector


def _round(detector, fields, config, folder, progress):
    """Train one detector, and write what it sees."""
    judging = [field for field in fields if field.held.any()]
    train(
        detector,
        detection_loss,
        detection_crops([field for field in fields if len(clicks_in(field, ~field.held))], config),
        lambda: validation(detector, judging, config),
        config,
        epochs=config.detection_epochs,
        monitor="-validation_f1" if config.complete_validation else "validation_loss",
        out=folder,
        stage=f"detection, {folder.name}",
        progress=progress,
    )
    maps = [
        predict_tiled(detector, field.image, config.normalization, config.tiling)[..., 0] for field in fields
    ]
    likely = _likely(maps, fields, config)[0]
    for field, probability in zip(fields, maps, strict=True):
        found = field.at_image(find_points(probability, config, likely=likely))
        point_files.write(folder / "points" / f"{field.name}.csv", found)
        background = background_of(probability, config)
        write_labels(folder / "background" / f"{field.name}.png", np.where(background, 255, 0))
    with atomic_write(folder / SCORES) as temporary:
        scores = {"likely": likely, **validation(detector, judging, config)}
        plain = {name: float(value) for name, value in scores.items()}
        temporary.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def validation(detector, fields, config):
    """Scores of a detector on what is held out.

    Returns
    -------
    dict of str to float
        `validation_loss`, where clicks say something; where all nuclei are clicked also `validation_precision`,
        `validation_recall` and `validation_f1`, counted together over images.
    """
    maps = [
        predict_tiled(detector, field.image, config.normalization, config.tiling)[..., 0] for field in fields
    ]
    squares, known = 0.0, 0
    for field, probability in zip(fields, maps, strict=True):
        target, weight = click_targets(field.clicks, field.held.shape, config)
        weight = weight * field.held
        squares += (weight * (probability - target) ** 2).sum()
        known += (weight > 0).sum()
    scores = {"validation_loss": squares / max(known, 1)}
    if config.complete_validation:
        matching = _likely(maps, fields, config)[1]
        scores |= {"validation_precision": matching.precision, "validation_recall": matching.recall,
                   "validation_f1": matching.f1}  # fmt: skip
    return scores


def _likely(maps, fields, config):
    """The threshold of probabilities whose points answer best to clicks, and how they do."""
    tried = LIKELY if config.detection_threshold is None else (config.detection_threshold,)
    told = [sum((_answers(probability, field, likely, config)
                 for probability, field in zip(maps, fields, strict=True)), PointMatching())
            for likely in tried]  # fmt: skip
    best = max(range(len(tried)), key=lambda k: (told[k].f1, -abs(tried[k] - PUBLISHED_LIKELY)))
    return tried[best], told[best]


def _answers(probability, field, likely, config):
    """How the points of an image answer to its clicks.

    Where all nuclei are clicked, what is held out counts. Otherwise what lies in the rings of clicks does, all of
    them: there another nucleus is a mistake, elsewhere nobody can tell.
    """
    found = find_points(probability, config, likely=likely)
    if config.complete_validation:
        clicks, where = clicks_in(field, field.held), field.held
    else:
        clicks, where = field.clicks, click_targets(field.clicks, field.held.shape, config).weight > 0
    return match_points(clicks, inside(found, where), radius_px=config.radius_px)
