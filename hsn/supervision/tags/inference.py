"""Segment with a net that learned from tags: evidence, adjustment, dense CRF, the four stages of HistoSegNet.

`stages` keeps what each stage made, for those who want to see or score them; `segment` returns the end.
"""

from itertools import groupby

import numpy as np

from ...checks import as_mpp, as_segmentable
from ...images.read import resample
from ...images.tiles import enlarge
from ...prediction.class_maps import cover, stitched
from ...training.augment import SYMMETRIES
from ...types import Segmentation
from .config import CRFConfig
from .overlap import overlapped
from .stages_of_view import Seen, Stages, always, refined, seer_of, wanted_outputs, with_inferred

SAME_SCALE = 0.01  # scales that differ by less need no resampling
MAX_VALUES = 2_000_000_000  # pixels times classes: 8 GB for each of the stages' maps


def segment(net, image, config, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from tags.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (H, W, 3)
    config : Config
    taxonomy : str, optional
        Which of the config's taxonomies; the first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `labels` at the size of the image; `evidence` after adjustment, in [0, 1].

    Raises
    ------
    InputError
        If the image is none, or too small to tell anything.

    References
    ----------
    .. [1] Chan et al., "HistoSegNet", ICCV 2019.
    """
    made = stages(net, image, config, taxonomy=taxonomy, mpp=mpp)
    shape = image.shape[:2]
    # Marginals are enlarged before the classes are compared, so that borders stay smooth.
    labels = enlarge(made.refined, shape).argmax(axis=2).astype(np.int32)
    return Segmentation(labels, None, enlarge(made.adjusted, shape), made.scores, made.taxonomy)


def stages(net, image, config, *, taxonomy=None, mpp=None):
    """All stages of one image; parameters as for `segment`.

    Returns
    -------
    Stages
    """
    return next(iter(all_stages(net, image, config, taxonomies=[config.taxonomy(taxonomy)], mpp=mpp)))


def all_stages(net, image, config, *, taxonomies=None, mpp=None):
    """Stages of one image for several taxonomies, from one look at it; parameters as for `segment`.

    Yields
    ------
    Stages
        One per taxonomy, in order.
    """
    taxonomies = config.taxonomies if taxonomies is None else taxonomies
    look = overlapped if config.windows == "overlapped" else at_once
    # Taxonomies that force no class differently and are refined at one scale share one look.
    for _, alike in groupby(taxonomies, key=lambda t: (t.forced, _refinement(config, t).mpp)):
        alike = list(alike)
        small, small_mpp = _at_work_scale(image, config, alike, mpp)
        yield from look(net, small, config, alike, scale=config.mpp / small_mpp)


def _refinement(config, taxonomy):
    return config.crf.get(taxonomy.name, CRFConfig())


def evidence_of(net, image, config, *, taxonomy=None, mpp=None):
    """Adjusted evidence of one image, float32 (H, W, C), without the dense CRF; parameters as for `segment`."""
    wanted = config.taxonomy(taxonomy)
    small, image_mpp = _at_work_scale(image, config, [wanted], mpp)
    seen = _seen(net, small, config, [wanted], scale=config.mpp / image_mpp)
    return enlarge(seen.adjusted(wanted).clip(0, 1), image.shape[:2])


def _at_work_scale(image, config, taxonomies, mpp):
    """The image at the scale of adjustment and refinement, and that scale in um/px; refuses what cannot be.

    `taxonomies` are refined at one scale.
    """
    image = as_segmentable(image, max_pixels=MAX_VALUES // max(map(len, taxonomies)))
    image_mpp = as_mpp(config.image_mpp if mpp is None else mpp)
    # Overlapping windows are refined one by one, so at the net's scale; else where the config says.
    tuned_mpp = _refinement(config, taxonomies[0]).mpp or 0
    work_mpp = config.mpp if config.windows == "overlapped" else max(tuned_mpp, image_mpp)
    if abs(work_mpp / image_mpp - 1) <= SAME_SCALE:
        return image, image_mpp
    shape = tuple(max(1, round(side * image_mpp / work_mpp)) for side in image.shape[:2])
    return resample(image, shape), work_mpp


def _seen(net, image, config, taxonomies, *, scale):
    """What the net saw of an image, its windows stitched."""
    keep, forced, seer = wanted_outputs(config, taxonomies), always(config, taxonomies), seer_of(net, config)
    maps, scores = 0, 0
    for view in SYMMETRIES[: config.tta]:
        windows = cover(np.ascontiguousarray(view.move(image)), window_px=config.window_px, scale=scale)
        seen, each = stitched(seer, windows, always=forced, keep=keep)
        maps, scores = maps + view.back(seen), scores + each.max(axis=0)
    views = np.float32(config.tta)
    return Seen(maps / views, scores / views, keep, image, config)


def at_once(net, image, config, taxonomies, *, scale):
    """Stages of an image whose windows are stitched before the classes compete."""
    seen = _seen(net, image, config, taxonomies, scale=scale)
    for taxonomy in taxonomies:
        adjusted = seen.adjusted(taxonomy).clip(0, 1)
        cam, scores = seen.in_order(taxonomy)
        marginals = refined(adjusted, image, config, taxonomy)
        yield Stages(image, cam, adjusted, marginals, with_inferred(scores, adjusted, taxonomy), taxonomy)
