"""What a net saw of one image or window, told in the terms of a taxonomy: the stages between net and labels."""

from dataclasses import dataclass

import numpy as np

from ...crf.dense_crf import refine
from ...prediction.class_maps import Seer
from ...taxonomies import Taxonomy
from .adjust import adjust
from .config import Config, CRFConfig


@dataclass(frozen=True)
class Stages:
    """What each stage made of an image.

    Attributes
    ----------
    image : uint8 (h, w, 3)
        The image at the scale of the stages.
    cam, adjusted, refined : float32 (h, w, C)
        Grad-CAM evidence, adjusted evidence, marginals of the dense CRF; in the taxonomy's order.
    scores : float32 (C,)
        Highest score over the windows; 1 for a class that a rule has found.
    taxonomy : Taxonomy
    """

    image: np.ndarray
    cam: np.ndarray
    adjusted: np.ndarray
    refined: np.ndarray
    scores: np.ndarray
    taxonomy: Taxonomy

    def labels(self, stage="refined"):
        """Label image int32 (h, w) of a stage: "cam", "adjusted" or "refined".

        Before adjustment no map of an inferred class exists, so that only the seen ones compete, unless there is
        but one of them.
        """
        maps = np.array(getattr(self, stage))
        seen = len(self.taxonomy) - len(self.taxonomy.inferred)
        if stage == "cam" and seen > 1:
            maps[..., [self.taxonomy.index(n) for n in self.taxonomy.inferred]] = -np.inf
        return maps.argmax(axis=2).astype(np.int32)


@dataclass(frozen=True)
class Seen:
    """Evidence of the net's outputs for one image.

    Attributes
    ----------
    maps : float32 (h, w, len(keep))
    scores : float32 (C,)
        Of all the net's outputs.
    keep : list of int
        Which outputs `maps` holds.
    image : uint8 (h, w, 3)
    config : Config
    """

    maps: np.ndarray
    scores: np.ndarray
    keep: list[int]
    image: np.ndarray
    config: Config

    def in_order(self, taxonomy):
        """Maps (h, w, C) and scores (C,) in the taxonomy's order; nothing for classes that a rule makes."""
        cam = np.zeros((*self.image.shape[:2], len(taxonomy)), np.float32)
        scores = np.zeros(len(taxonomy), np.float32)
        for place, k in enumerate(self.keep):
            name = self.config.classes[k]
            if name in taxonomy.names and name not in taxonomy.inferred:
                cam[..., taxonomy.index(name)] = self.maps[..., place]
                scores[taxonomy.index(name)] = self.scores[k]
        return cam, scores

    def adjusted(self, taxonomy):
        """Maps after inter-class adjustment, float32 (h, w, C), not clipped.

        A taxonomy whose classes the net sees all has nothing to adjust: its maps compete in the dense CRF.
        """
        cam, _ = self.in_order(taxonomy)
        if not taxonomy.inferred:
            return cam
        return adjust(
            cam, self.image, taxonomy, subtraction=self.config.subtraction, also=self._also(taxonomy)
        )

    def _also(self, taxonomy):
        """Evidence (h, w) of outside classes that count as "other" here, or None."""
        names = taxonomy.other.also if taxonomy.other else ()
        homes = _homes(self.config, [taxonomy])
        if self.config.subtraction == "sequential" and homes:
            # The release takes them as they stand after they have competed in their own taxonomy, not clipped.
            competed = self.adjusted(homes[0])
            return competed[..., [homes[0].index(n) for n in names]].max(axis=2)
        places = [p for p, k in enumerate(self.keep) if self.config.classes[k] in names]
        return self.maps[..., places].max(axis=2) if places else None


def _homes(config, taxonomies):
    """The taxonomies in which classes compete that others count as "other"."""
    also = {n for t in taxonomies if t.other for n in t.other.also}
    return [t for t in config.taxonomies if also & set(t.names)]


def wanted_outputs(config, taxonomies):
    """Indices of the net's outputs that some taxonomy needs."""
    names = {n for t in taxonomies for n in (*t.names, *(t.other.also if t.other else ()))}
    if config.subtraction == "sequential":
        names |= {n for t in _homes(config, taxonomies) for n in t.names}
    return [k for k, name in enumerate(config.classes) if name in names]


def always(config, taxonomies):
    """Indices of the net's outputs that count as present in every window."""
    return [config.classes.index(n) for t in taxonomies for n in t.forced if n in config.classes]


def seer_of(net, config):
    """The net as the evidence room looks through it."""
    return Seer(
        net,
        layers=config.cam_layers,
        thresholds=config.thresholds,
        mean=config.normalization.mean,
        std=config.normalization.std,
        cam_norm=config.cam_norm,
    )


def refined(adjusted, image, config, taxonomy):
    """Marginals of the dense CRF, float32 (h, w, C), with the config's numbers for this taxonomy.

    Where no class has any evidence there is nothing to refine.
    """
    if not adjusted.any():
        return adjusted.copy()
    numbers = config.crf.get(taxonomy.name, CRFConfig())
    return refine(
        adjusted,
        image,
        gaussian=numbers.gaussian,
        bilateral=numbers.bilateral,
        iterations=numbers.iterations,
    )


def with_inferred(scores, adjusted, taxonomy):
    """Scores with 1 for each class that a rule has found in the image."""
    scores = np.array(scores)
    for name in taxonomy.inferred:
        scores[taxonomy.index(name)] = adjusted[..., taxonomy.index(name)].max() > 0
    return scores
