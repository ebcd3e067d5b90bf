"""Train one net on images with mixed annotation, and write it as a trained folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ... import models
from ...annotations.annotation import Annotation, kinds_of
from ...annotations.label_files import write_labels
from ...checks import same_length
from ...files import atomic_write
from ...images.scaling import rescale
from ...nets.encoder_unet import encoder_variables
from ...prediction.tiling import predict_tiled
from ...training.images import training_images
from ...training.loop import LoopSpec, adam, fit_net
from ...training.run import Run
from ...training.schedules import shorten
from ...training.tuning import tune_postprocess
from .config import MONITORS, Config
from .crops import MixedCrops, MixedRecord, count_kinds
from .losses import make_loss
from .others import FOLDER, find_others, has_partial_clicks, read_found
from .record_files import read_record, write_record
from .sources import UNKNOWN, UNUSED
from .target_maps import know
from .teacher import Teacher
from .validation import allowed_measures, find_monitor, held_out_pixels, split_images, validate

TARGETS = "targets"  # folder of the source maps
CONTENTS = {
    f"{TARGETS}/HEAD/NAME.png": "source of what is known about each pixel: 0 unknown, 1 mask, 2 scribble, 3 point, "
    "4 Voronoi label, 5 cluster label, 6 absent tag, 9 box",
    f"training/{FOLDER}/found/NAME.csv": "centers of the objects that a first stage found in images with clicks on "
    "some of their objects, x and y at the net's scale",
}
_MAX_STEPS = 250  # batches per epoch, whatever the number of images


def fit(net, images, annotations, config, *, out, progress=None):
    """Train a net on images with outlines, clicks, scribbles, boxes, tags, or nothing.

    Parameters
    ----------
    net : keras.Model
        Its output holds the probabilities of all heads of the config. Trained in place.
    images : sequence of uint8 arrays (H, W, 3), or of paths
        At `config.image_mpp`, or at the scale of their annotation.
    annotations : sequence of Annotation, or of None for images without annotation
    config, out, progress
        See `hsn.supervision.masks.fit`.

    Returns
    -------
    History
        Per epoch `rate`, `loss`, and the scores of `hsn.supervision.mixed.validation.validate`.

    Raises
    ------
    InputError
        "length-mismatch", "split-empty", the codes of `make_targets`, or those of `Run.open`.
    """
    same_length("images", images, "annotations", annotations)
    train = config.train
    given = [annotation or Annotation() for annotation in annotations]
    split = split_images(
        [kinds_of(a) for a in given], [a.group for a in given], train.validation, seed=train.seed
    )
    tasks = [(annotation, k in split.held_out) for k, annotation in enumerate(given)]
    with TemporaryDirectory(prefix="hsn-targets-") as folder:
        survey = Survey(config, Path(folder, TARGETS))
        prepare = Prepare(config, split.blocks, store=Path(folder, "first"))
        samples = training_images(images, tasks, prepare, visit=survey.add, progress=progress)
        partial = [sample for sample, a in zip(samples, given, strict=True) if has_partial_clicks(a)]
        with Run.open(
            out, config, net=net, data=(images, annotations), contents=CONTENTS, progress=progress
        ) as run:
            if partial and config.has_objects and config.click_epochs:
                found = run.folder / FOLDER
                first = config.replace(train={"epochs": min(config.click_epochs, train.epochs)})
                find_others(
                    net, partial, config, found,
                    lambda folder: _train(net, samples, survey, split, first, folder, "first stage", progress),
                    progress=progress,
                )  # fmt: skip
                survey = Survey(config, Path(folder, TARGETS))
                prepare = Prepare(config, split.blocks, found, Path(folder, "second"))
                samples = training_images(images, tasks, prepare, visit=survey.add, progress=progress)
            survey.copy_sources(run.out / TARGETS)
            history, monitor = _train(net, samples, survey, split, config, run.folder, "training", progress)
            held_out = [samples[k] for k in split.held_out]
            config = _tune(net, held_out, config) if monitor == "pq" else config
            models.save(out, net, card(config, history, monitor, split, name=run.out.name), config.to_dict())
            run.finish(history)
    return history


def _train(net, samples, survey, split, config, folder, stage, progress):
    """Train the net on the targets of the samples; return the history, and the measure that chose the epoch."""
    learned, held_out = ([samples[k] for k in side] for side in split[:2])
    counts = [survey.counts[k] for k in split.learned]
    steps = config.train.steps or survey.steps(split.learned, config.train)
    train = shorten(config.train, steps * config.train.epochs)
    crops = MixedCrops(learned, counts, config, steps=steps)
    monitor = find_monitor([survey.allowed[k] for k in split.held_out], config)
    optimizer = adam(train, encoder=encoder_variables(net))
    spec = LoopSpec.of(
        train,
        steps=crops.steps,
        batch=crops.batch,
        complete=Teacher(net, optimizer, config).complete,
        validate=lambda: validate(net, held_out, config),
        monitor=MONITORS[monitor],
        stage=stage,
    )
    loss = make_loss(config)
    history = fit_net(net, loss, spec, out=folder, train=train, optimizer=optimizer, progress=progress)
    return history, monitor


@dataclass(frozen=True)
class Prepare:
    """Makes the record of an image: ``(name, image, (annotation, held out)) -> MixedRecord``."""

    config: Config
    blocks: bool
    found: Path | None = None  # folder of the first stage
    store: Path | None = None  # folder of records that take long to make

    def __call__(self, name, image, task):
        """Rescale an image and collect what is known about it, or read that from the store."""
        annotation, config = task[0], self.config
        pixels = rescale(image, annotation.mpp or config.image_mpp, config.mpp)
        if self.store is None or not set(kinds_of(annotation)) - {"tags"}:
            return self._make(name, pixels, image.shape[:2], *task)
        path = self.store / f"{name}.npz"
        if path.exists():
            return read_record(path, pixels)
        record = self._make(name, pixels, image.shape[:2], *task)
        write_record(path, record)
        return record

    def _make(self, name, pixels, shape, annotation, held_out):
        config = self.config
        found = None if self.found is None else read_found(self.found, name)
        known = know(pixels, annotation, shape, config, found=found)
        maps = [known.heads[head.name] for head in config.heads]
        possible, weight, source = (np.stack([head[k] for head in maps]) for k in range(3))
        record = MixedRecord(
            pixels, known.instances, known.complete, known.points, possible, weight, source,
            np.zeros(pixels.shape[:2], bool), known.tags,
        )  # fmt: skip
        if not held_out:
            return record
        seed, share = config.train.seed, config.train.validation
        return record._replace(validating=held_out_pixels(record, self.blocks, share, seed=seed))


class Survey:
    """Collects, in the one pass over all images, what the training needs to know about each of them.

    Parameters
    ----------
    config : Config
    folder : path
        For the source maps, until the folder of the run is known to be its own.

    Attributes
    ----------
    counts : list of dict of str to int
        Of `count_kinds`, for each image.
    pixels : list of int
        Number of pixels of each image at the net's scale.
    allowed : list of Allowed
    """

    def __init__(self, config, folder):
        self.counts, self.pixels, self.allowed = [], [], []
        self._config, self._folder = config, folder

    def add(self, sample, record):
        """Add an image, and write its source map of each head."""
        self.counts.append(count_kinds(record))
        self.pixels.append(record.pixels[..., 0].size)
        self.allowed.append(allowed_measures(record, self._config))
        for k, head in enumerate(self._config.heads):
            source = np.where(record.source[k] == UNUSED, UNKNOWN, record.source[k])
            if source.any():
                write_labels(self._folder / head.name / f"{sample.name}.png", source)

    def copy_sources(self, folder):
        """Copy the source maps to another folder."""
        for path in sorted(self._folder.rglob("*.png")):
            with atomic_write(folder / path.relative_to(self._folder)) as temporary:
                shutil.copyfile(path, temporary)

    def steps(self, learned, train):
        """Return the number of batches that show as many pixels as the annotated images have."""
        pixels = sum(self.pixels[k] for k in learned if self.counts[k].keys() - {"unlabeled"})
        return int(np.clip(-(-pixels // (train.batch_size * train.crop_px**2)), 1, _MAX_STEPS))


def _tune(net, samples, config):
    """Return the config with the best post-processing on completely outlined validation pixels."""
    if not config.tune_postprocess:
        return config

    def pairs():
        for record in (sample.load() for sample in samples):
            region = record.complete & record.validating
            if region.any():
                own = predict_tiled(net, record.pixels, config.normalization, config.tiling)[..., :3]
                own = np.where(
                    region[..., None], own, np.float32([1, 0, 0])
                )  # background outside of the region
                yield own, record.instances * region

    return config.replace(postprocess=tune_postprocess(pairs(), config.postprocess, mpp=config.mpp))


def card(config, history, monitor, split, *, name):
    """Return the card of what `fit` trained."""
    kept = history.epochs[history.best]
    where = "blocks of the training images" if split.blocks else f"{len(split.held_out)} validation images"
    why = "too few clicks validate" if monitor == "last" else f"by {monitor} on {where}"
    notes = f"epoch {kept['epoch']} of {len(history.epochs)} was kept, {why}"
    return models.card_of(config, kept, name=name, notes=notes)
