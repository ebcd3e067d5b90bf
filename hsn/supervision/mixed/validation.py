"""Validation of nets trained on mixed annotation: hold images out by group, and measure what they allow."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from ...data.grouped_split import Split, split_by_group
from ...metrics.classes import mean_iou
from ...metrics.objects import Matching, match
from ...metrics.points import PointMatching, match_points
from ...metrics.ranking import roc_auc
from ...metrics.table import overlaps
from ...objects.labeling import label_instances
from ...prediction.tiling import predict_tiled
from ...training.splits import train_val_split
from .from_tags import channels_of, class_probability
from .sources import SCRIBBLE, SOURCES, UNUSED, to_possible
from .target_maps import centers

_MIN_CLICKS = 20  # that validate: fewer cannot rank epochs
GRID = 4  # rows and columns of blocks, if no image can be held out


def split_images(kinds, groups, validation, *, seed):
    """Hold out images: those of the given indices, or a share of the annotated images by group.

    Parameters
    ----------
    kinds, groups, seed : see `hsn.data.grouped_split.split_by_group`
    validation : float or sequence of int
        Share of the annotated images, or their indices.

    Returns
    -------
    hsn.data.grouped_split.Split
    """
    if isinstance(validation, float | int):
        return split_by_group(kinds, groups, validation, seed=seed)
    return Split(*train_val_split(len(kinds), validation, seed=seed))


def blocks_of(known, validation, *, seed):
    """Return the validating blocks of an image, bool (H, W): a share of the blocks of a grid with known pixels.

    Examples
    --------
    >>> blocks_of(np.ones((8, 8), bool), 0.25, seed=0).mean()
    np.float64(0.25)
    """
    rows, cols = (np.linspace(0, side, GRID + 1).astype(int) for side in known.shape)
    windows = [
        (slice(rows[r], rows[r + 1]), slice(cols[c], cols[c + 1])) for r in range(GRID) for c in range(GRID)
    ]
    windows = [window for window in windows if known[window].any()]
    mask = np.zeros(known.shape, bool)
    for k in np.random.default_rng(seed).permutation(len(windows))[: round(validation * len(windows))]:
        mask[windows[k]] = True
    return mask


def most_precise(sources):
    """Return the kind of the most precise known pixels of source maps; None without known pixels.

    Examples
    --------
    >>> most_precise(np.array([[0, 3, 6]]))
    'points'
    """
    return next((kind for kind, codes in SOURCES.items() if np.isin(sources, codes).any()), None)


def validate(net, samples, config):
    """Return the scores that the annotation of the validation images allows.

    Parameters
    ----------
    net : keras.Model
    samples : sequence of TrainingImage
        With records of type `MixedRecord`.
    config : Config

    Returns
    -------
    dict of str to float
        `validation_loss`: mean cross-entropy of the known pixels. `validation_pq`: panoptic quality, pooled, where all
        objects are outlined. `validation_f1`: detection of clicked objects. `validation_iou`: mean IoU of the tissues
        of scribbles. `validation_auc`: mean over the tagged classes.
    """
    scores = _Scores(config)
    for sample in samples:
        record = sample.load()
        scores.add(
            record, predict_tiled(net, record.pixels, config.normalization, config.tiling.replace(tta=1))
        )
    return scores.result()


class Allowed(NamedTuple):
    """Measures that the annotation of a validation image allows.

    Attributes
    ----------
    outlined : bool
        Whether all objects of a part are outlined.
    clicks : int
        Number of clicks, if no part is outlined.
    scribbles : bool
        Whether tissues are scribbled.
    tags : frozenset of (int, bool)
        Channels of the tags, and whether they are present.
    """

    outlined: bool
    clicks: int
    scribbles: bool
    tags: frozenset[tuple[int, bool]]


def allowed_measures(record, config):
    """Return what the validating pixels of a record allow to measure, as `validate` does.

    Examples
    --------
    >>> from .config import preset
    >>> from .crops import MixedRecord
    >>> here, maps = np.ones((2, 2), bool), np.zeros((1, 2, 2), np.int32)
    >>> record = MixedRecord(None, None, here, np.zeros((0, 2)), maps, maps, maps, here, ())
    >>> allowed_measures(record, preset("cpu"))
    Allowed(outlined=True, clicks=0, scribbles=False, tags=frozenset())
    """
    here, outlined, clicks, scribbles = record.validating, False, 0, False
    for k, head in enumerate(config.heads):
        if head.name == "objects":
            outlined = bool((record.complete & here).any())
            clicks = 0 if outlined else int(here[_places(record.points, here.shape)].sum())
        else:
            scribbles = bool(((record.source[k] == SCRIBBLE) & here).any())
    tags = frozenset((tag.channel, tag.present) for tag in record.tags if here[tag.window].all())
    return Allowed(outlined, clicks, scribbles, tags)


def find_monitor(images, config):
    """Return the most precise measure that the validation images allow, a key of `MONITORS`.

    F1 of a few clicks takes a few values only, and the first of equal epochs would be kept: then the last one is.

    Parameters
    ----------
    images : sequence of Allowed
    config : Config

    Examples
    --------
    >>> from .config import preset
    >>> [find_monitor([Allowed(False, clicks, False, frozenset())], preset("cpu")) for clicks in (0, 5, 50)]
    ['loss', 'last', 'f1']
    """
    if config.train.monitor != "auto":
        return config.train.monitor
    best = next(iter(measures_of(images)), "loss")
    return "last" if best == "f1" and sum(image.clicks for image in images) < _MIN_CLICKS else best


def measures_of(images):
    """Return the measures that validation images allow, keys of `MONITORS`, the most precise first.

    Examples
    --------
    >>> measures_of([Allowed(True, 0, False, frozenset()), Allowed(False, 3, False, frozenset())])
    ['pq', 'f1']
    """
    tags = frozenset().union(*(image.tags for image in images))
    allowed = {
        "pq": any(image.outlined for image in images),
        "f1": any(image.clicks for image in images),
        "iou": any(image.scribbles for image in images),
        "auc": any((channel, not present) in tags for channel, present in tags),
    }
    return [measure for measure, holds in allowed.items() if holds]


class _Scores:
    """Collects the counts of validation images."""

    def __init__(self, config):
        self._config, self._losses = config, []
        self._matching, self._points = Matching(), PointMatching()
        self._counts = np.zeros((len(config.tissues),) * 2, np.int64)
        self._allowed = []
        self._tags = [([], []) for _ in channels_of(config)]

    def add(self, record, probabilities):
        """Add the counts of an image."""
        self._allowed.append(allowed_measures(record, self._config))
        for k, head in enumerate(self._config.heads):
            own = probabilities[..., head.start : head.stop]
            known = (record.weight[k] > 0) & record.validating
            if known.any():
                possible = to_possible(record.possible[k][known], head.channels)
                p = np.clip((own[known] * possible).sum(axis=1), 1e-7, 1)
                self._losses.append(float(-np.log(p).mean()))
            if head.name == "objects":
                self._add_objects(record, own)
            else:
                self._add_tissues(record.possible[k], (record.source[k] == SCRIBBLE) & record.validating, own)
        for tag in record.tags:
            if record.validating[tag.window].all():
                p = class_probability(probabilities[tag.window], tag.channel, self._config)
                tags, scores = self._tags[tag.channel]
                tags.append(tag.present)
                scores.append(float(np.exp(self._config.pool_rate * p).mean()))

    def _add_objects(self, record, own):
        region, clicks = record.complete & record.validating, record.points
        clicks = clicks[record.validating[_places(clicks, region.shape)]]
        if not region.any() and not len(clicks):
            return
        instances = label_instances(own, self._config.postprocess, mpp=self._config.mpp)
        if region.any():
            self._matching += match(overlaps(record.instances * region, instances * region))
        else:
            found = centers(instances)
            found = found[record.validating[_places(found, region.shape)]]
            radius_px = self._config.radius_px
            near = _near(found, clicks, self._config.click_radii * radius_px)
            self._points += match_points(clicks, near, radius_px=radius_px)

    def _add_tissues(self, possible, known, own):
        truth = np.log2(np.maximum(possible[known], 1)).astype(int)  # scribbles have one class
        np.add.at(self._counts, (truth, own.argmax(axis=2)[known]), 1)

    def result(self):
        """Return the scores that exist."""
        measure = {
            "pq": lambda: self._matching.pq,
            "f1": lambda: self._points.f1,
            "iou": lambda: mean_iou(self._counts),
            "auc": self._mean_auc,
        }
        loss = float(np.mean(self._losses)) if self._losses else 0.0
        scores = {name: measure[name]() for name in measures_of(self._allowed)}
        return {"validation_loss": loss} | {f"validation_{name}": value for name, value in scores.items()}

    def _mean_auc(self):
        """Return the mean AUC over the classes that are present in some tags and absent in others."""
        pairs = [(tags, scores) for tags, scores in self._tags if len(set(tags)) > 1]
        return float(np.mean([roc_auc(np.array(t)[:, None], np.array(s)[:, None])[0] for t, s in pairs]))


def _places(points, shape):
    """Return the pixels of points, as indices."""
    return tuple(np.clip(np.round(np.reshape(points, (-1, 2))).astype(int), 0, np.array(shape) - 1).T)


def _near(found, clicks, distance_px):
    """Return the found centers near clicks: farther ones may be right, because not all objects are clicked."""
    if not len(found):
        return found
    return found[KDTree(clicks).query(found)[0] <= distance_px]


def held_out_pixels(record, blocks, validation, *, seed):
    """Return the pixels of a held-out record that validate, bool (H, W).

    Examples
    --------
    >>> from .crops import MixedRecord
    >>> record = MixedRecord(np.zeros((2, 2, 3)), *8 * [np.zeros((1, 2, 2))])
    >>> held_out_pixels(record, False, 0.2, seed=0).all()
    np.True_
    """
    if not blocks:
        return np.ones(record.pixels.shape[:2], bool)
    kind = most_precise(record.source)
    known = np.isin(record.source, SOURCES.get(kind, (UNUSED,))).any(axis=0)
    return blocks_of(known, validation, seed=seed)
