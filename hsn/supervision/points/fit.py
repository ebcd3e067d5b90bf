"""Fit: from clicks on some nuclei to a net that segments all of them.

Detectors learn where nuclei are, round by round; what the last one finds joins the clicks; of all these points two
coarse labels are made for each image; a segmenter learns these, and in its last epochs that like colours are alike
(Qu et al., IEEE TMI 2020).

Every stage writes what it made before the next begins, and a stage whose results are there is not run again: a run that
was killed goes on where it was. `README.txt` in the folder says what lies where.
"""

from pathlib import Path

import numpy as np

from ... import weights
from ..._refuse import refuse
from ...evidence.tiled import normalised
from ...labels import points as point_files
from ...labels.files import read_labels, write_labels
from ...training.claim import claim
from ...types import History
from .crops import segmentation_crops
from .detect import merged
from .fields import fields_of
from .loss import loss
from .rounds import detect
from .segment import maps_of
from .targets import decode, encode, targets
from .train import train

CLICKED, FOUND = "clicked", "found"

ABOUT = """\
This folder was made by learning from clicks on nuclei (hsn.points.fit). In the order in which it came to be:

run.json                   the recipe, and a checksum of images and clicks: whose run this is
detection/round-K/         one detector each; round 0 learned from the clicks alone, each further one also from what the
                           one before was sure to be background
  history.json             loss and validation of every epoch
  points/NAME.csv          all points that it found in each image, x and y in pixels of the image
  background/NAME.png      white: surely no nucleus, at the net's scale
  scores.json              validation of the epoch that was kept; the round is finished where this file is
points/NAME.geojson        the points that labels are made of, clicked or found; opens in QuPath over the image
labels/NAME.png            two coarse labels at the net's scale, 3 v + c: v by Voronoi cells, c by colour clusters;
                           each 0 unknown, 1 background, 2 nucleus
segmentation/coarse/       the segmenter learns these labels
segmentation/refined/      and goes on with the CRF loss as well
net.keras card.json recipe.json
                           the trained net, which `hsn segment --model` takes

Start the same command again to go on with a run that was interrupted.
"""


def fit(net, images, annotations, recipe, *, out):
    """Train a segmenter from clicks on some nuclei, and write it as a trained folder.

    Parameters
    ----------
    net : keras.Model
        Of `hsn.nets.resunet`, two outputs; trained in place to be the segmenter. Detectors begin with its weights, and
        so does segmentation: an encoder that knows pictures helps all of them.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `recipe.image_mpp`.
    annotations : sequence of float arrays (N, 2), of paths of points, or of Given
        Per image the clicked nuclei, row and column in pixels. An image may have none.
    recipe : Recipe
    out : path
        The folder. A run that was killed goes on when it is started again.

    Returns
    -------
    History
        Of the segmenter: per epoch `rate`, `loss`, `validation_loss`. Those of the detectors are in `out`.

    Raises
    ------
    Refusal
        If images and clicks do not belong together, nothing is left to learn or validate on, or `out` holds
        another run.
    """
    out = Path(out)
    if net.output_shape[-1] != len(recipe.classes):
        refuse("a segmenter tells nuclei from background", expected=f"a net with {len(recipe.classes)} outputs",
               received=net.output_shape[-1], remedy="build it with 2 outputs")  # fmt: skip
    fields = fields_of(images, annotations, recipe)
    arrays = (each for f in fields for each in (f.image, f.clicks, f.background, f.codes))
    claim(out, recipe, arrays, guide=ABOUT, what="images, clicks")
    if recipe.learning.rounds is not None and any(field.codes is None for field in fields):
        detector = detect(net, fields, recipe, out / "detection")
        if recipe.learning.start == "onward":
            _inherit(net, detector)
    label(fields, recipe, out)
    history = _segmentation(net, fields, recipe, out / "segmentation")
    weights.save(out, net, card(recipe, history, fields, name=out.name), recipe.as_dict())
    return history


def _inherit(net, detector):
    """Give a net the weights of a detector, but for the head."""
    theirs = {layer.name: layer for layer in detector.layers}
    for layer in net.layers:
        shapes = [w.shape for w in layer.weights]
        if shapes and shapes == [w.shape for w in theirs[layer.name].weights]:
            layer.set_weights(theirs[layer.name].get_weights())


def label(fields, recipe, out):
    """Write the points and the coarse labels of each image that has no labels yet; `field.codes` holds the latter."""
    for field in fields:
        path = out / "labels" / f"{field.name}.png"
        if field.codes is None and path.exists():
            field.codes = read_labels(path).astype(np.uint8)
        if field.codes is not None:
            continue
        complete = recipe.learning.complete_validation and field.held.all()
        found = field.found if field.found is not None and not complete else np.zeros((0, 2))
        points = merged(field.clicks, found, recipe)
        names = [CLICKED] * len(field.clicks) + [FOUND] * (len(points) - len(field.clicks))
        point_files.write(out / "points" / f"{field.name}.geojson", field.at_image(points), labels=names)
        field.codes = encode(targets(field.image, points, recipe))
        write_labels(path, field.codes)


def _segmentation(net, fields, recipe, folder):
    """Train the segmenter, by the labels and then with the CRF loss as well."""
    numbers = recipe.learning
    crops = segmentation_crops([field for field in fields if not field.held.all()], recipe)
    judging = [field for field in fields if field.held.any()]
    phases = {"coarse": (recipe.changed(crf=0.0), numbers.segmentation_epochs, None)}
    if recipe.crf and numbers.refinement_epochs:
        phases["refined"] = (recipe, numbers.refinement_epochs, numbers.refinement_rate)
    rows, best = [], None
    for name, (phase, epochs, factor) in phases.items():
        history = train(
            net,
            loss(phase),
            crops,
            lambda phase=phase: validation(net, judging, phase),
            recipe,
            epochs=epochs,
            monitor="validation_loss",
            out=folder / name,
            factor=factor,
        )
        best = len(rows) + history.best
        rows += [{**row, "epoch": len(rows) + row["epoch"]} for row in history.epochs]
    return History(tuple(rows), best)


def validation(net, fields, recipe):
    """Loss of a segmenter on what is held out: `validation_loss`, of the coarse labels and the CRF."""
    of, losses = loss(recipe), []
    for field in fields:
        maps = maps_of(net, field.image, recipe)
        target, weight = decode(np.where(field.held, field.codes, 0))
        pixels = normalised(field.image, recipe.mean, recipe.std)
        losses.append(float(of(target[None], maps[None], weight[None], pixels[None])))
    return {"validation_loss": np.mean(losses)}


def card(recipe, history, fields, *, name):
    """The card of what `fit` trained."""
    kept = history.epochs[history.best]
    clicks = sum(len(field.clicks) for field in fields)
    epochs = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, by validation loss"
    notes = f"learned from {clicks} clicks on {len(fields)} images; {epochs}"
    return weights.card_of(recipe, kept, name=name, notes=notes)
