"""Maps of the stages of HistoSegNet for one image or window, in the classes of a taxonomy."""

from dataclasses import dataclass

import numpy as np

from ...crf.dense_crf import refine
from ...prediction.class_maps import Predictor
from ...taxonomies import Taxonomy
from .adjust import adjust
from .config import Config, CRFConfig


@dataclass(frozen=True)
class Stages:
    """Maps of an image after each stage.

    Attributes
    ----------
    image : uint8 (h, w, 3)
        The image at the scale of the stages.
    cam, adjusted, refined : float32 (h, w, C)
        Grad-CAM heatmaps, adjusted heatmaps and marginals of the dense CRF, in the taxonomy's order.
    scores : float32 (C,)
        Highest score over the windows; 1 for an inferred class that is present.
    taxonomy : Taxonomy
    """

    image: np.ndarray
    cam: np.ndarray
    adjusted: np.ndarray
    refined: np.ndarray
    scores: np.ndarray
    taxonomy: Taxonomy

    def labels(self, stage="refined"):
        """Return the label image of a stage, "cam", "adjusted" or "refined", int32 (h, w).

        Inferred classes have no map before adjustment. In stage "cam" they only compete if the net predicts a single
        class of the taxonomy.
        """
        maps = np.array(getattr(self, stage))
        predicted = len(self.taxonomy) - len(self.taxonomy.inferred)
        if stage == "cam" and predicted > 1:
            maps[..., [self.taxonomy.index(n) for n in self.taxonomy.inferred]] = -np.inf
        return maps.argmax(axis=2).astype(np.int32)


@dataclass(frozen=True)
class ClassMaps:
    """Heatmaps of the net's outputs for one image.

    Attributes
    ----------
    maps : float32 (h, w, len(keep))
    scores : float32 (C,)
        Of all outputs of the net.
    keep : list of int
        Indices of the outputs in `maps`.
    image : uint8 (h, w, 3)
    config : Config
    """

    maps: np.ndarray
    scores: np.ndarray
    keep: list[int]
    image: np.ndarray
    config: Config

    def by_taxonomy(self, taxonomy):
        """Return maps (h, w, C) and scores (C,) in the taxonomy's order; 0 for inferred classes."""
        cam = np.zeros((*self.image.shape[:2], len(taxonomy)), np.float32)
        scores = np.zeros(len(taxonomy), np.float32)
        for channel, k in enumerate(self.keep):
            name = self.config.classes[k]
            if name in taxonomy.names and name not in taxonomy.inferred:
                cam[..., taxonomy.index(name)] = self.maps[..., channel]
                scores[taxonomy.index(name)] = self.scores[k]
        return cam, scores

    def adjusted(self, taxonomy):
        """Return the maps after inter-class adjustment, float32 (h, w, C), not clipped.

        Without inferred classes nothing is adjusted: the maps compete in the dense CRF.
        """
        cam, _ = self.by_taxonomy(taxonomy)
        if not taxonomy.inferred:
            return cam
        return adjust(
            cam, self.image, taxonomy, subtraction=self.config.subtraction, also=self._other_map(taxonomy)
        )

    def _other_map(self, taxonomy):
        """Return the map (h, w) of classes outside the taxonomy that count as "other", or None."""
        names = taxonomy.other.also if taxonomy.other else ()
        sources = _source_taxonomies(self.config, [taxonomy])
        if self.config.subtraction == "sequential" and sources:
            # The release uses these maps after adjustment in their own taxonomy, not clipped.
            adjusted = self.adjusted(sources[0])
            return adjusted[..., [sources[0].index(n) for n in names]].max(axis=2)
        channels = [channel for channel, k in enumerate(self.keep) if self.config.classes[k] in names]
        return self.maps[..., channels].max(axis=2) if channels else None


def _source_taxonomies(config, taxonomies):
    """Return the config's taxonomies with classes that count as "other" in some of `taxonomies`."""
    also = {n for t in taxonomies if t.other for n in t.other.also}
    return [t for t in config.taxonomies if also & set(t.names)]


def needed_outputs(config, taxonomies):
    """Return the indices of the net's outputs that some taxonomy needs."""
    names = {n for t in taxonomies for n in (*t.names, *(t.other.also if t.other else ()))}
    if config.subtraction == "sequential":
        names |= {n for t in _source_taxonomies(config, taxonomies) for n in t.names}
    return [k for k, name in enumerate(config.classes) if name in names]


def forced_outputs(config, taxonomies):
    """Return the indices of the net's outputs that count as present in every window."""
    return [config.classes.index(n) for t in taxonomies for n in t.forced if n in config.classes]


def make_predictor(net, config):
    """Return the `Predictor` of a net, with its normalization and its layers for Grad-CAM."""
    return Predictor(
        net,
        config.normalization,
        layers=config.cam_layers,
        thresholds=config.thresholds,
        cam_norm=config.cam_norm,
    )


def refine_maps(adjusted, image, config, taxonomy):
    """Return the marginals of the dense CRF, float32 (h, w, C), with the config's parameters for the taxonomy.

    Maps that are 0 everywhere are returned as they are, and all maps if the dense CRF has no iterations.
    """
    crf = config.crf.get(taxonomy.name, CRFConfig())
    if not crf.iterations or not adjusted.any():
        return adjusted.copy()
    return refine(
        adjusted,
        image,
        gaussian=crf.gaussian,
        bilateral=crf.bilateral,
        iterations=crf.iterations,
    )


def add_inferred_scores(scores, adjusted, taxonomy):
    """Return the scores with 1 for each inferred class that is present in the image."""
    scores = np.array(scores)
    for name in taxonomy.inferred:
        scores[taxonomy.index(name)] = adjusted[..., taxonomy.index(name)].max() > 0
    return scores
