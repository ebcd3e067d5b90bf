"""Segment with a net trained on tags: heatmaps, adjustment and dense CRF, the stages of HistoSegNet.

`stages` returns the maps of every stage; `segment` returns the result.
"""

from itertools import groupby

import numpy as np

from ...checks import as_mpp, as_segmentable
from ...images.scaling import rescale
from ...images.symmetries import SYMMETRIES
from ...images.tiles import enlarge
from ...limits import SEGMENT_VALUES, WHOLE_PIXELS
from ...prediction.class_maps import cover, predict_windows
from ...progress import report
from ...strips import most_probable
from ...types import Segmentation
from .config import CRFConfig
from .overlapped_windows import overlapped_stages
from .stage_maps import (
    ClassMaps,
    Stages,
    add_inferred_scores,
    forced_outputs,
    make_predictor,
    needed_outputs,
    refine_maps,
)


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on tags.

    Parameters
    ----------
    net, image, config, taxonomy, mpp, progress
        See `hsn.prediction.segmentation.segment_objects`.

    Returns
    -------
    Segmentation
        `labels` at the size of the image; `probabilities` are the adjusted heatmaps, in [0, 1].

    Raises
    ------
    InputError
        "image-dtype", "image-too-small", "image-too-large", "mpp-range" or "taxonomy-unknown".

    References
    ----------
    .. [1] Chan et al., "HistoSegNet", ICCV 2019.
    """
    result = stages(net, image, config, taxonomy=taxonomy, mpp=mpp, progress=progress)
    shape = image.shape[:2]
    # Marginals are enlarged before the classes are compared, so that borders stay smooth.
    labels = most_probable(enlarge(result.refined, shape))
    return Segmentation(labels, None, enlarge(result.adjusted, shape), result.scores, result.taxonomy)


def stages(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Return the `Stages` of one image; parameters as for `segment`."""
    taxonomies = [config.taxonomy(taxonomy)]
    return next(all_stages(net, image, config, taxonomies=taxonomies, mpp=mpp, progress=progress))


def all_stages(net, image, config, *, taxonomies=None, mpp=None, progress=None):
    """Yield the `Stages` of one image for each taxonomy; the net runs once if possible.

    Parameters
    ----------
    net, image, config, mpp, progress
        See `segment`.
    taxonomies : sequence of Taxonomy, optional
        Default: all of the config.

    Yields
    ------
    Stages
    """
    taxonomies = config.taxonomies if taxonomies is None else taxonomies
    run = overlapped_stages if config.windows == "overlapped" else _stitched_stages
    # Taxonomies with the same forced classes and the same scale of refinement share one prediction.
    for _, group in groupby(taxonomies, key=lambda t: (t.forced, _crf(config, t).mpp)):
        group = list(group)
        small, small_mpp = _at_work_scale(image, config, group, mpp)
        yield from run(net, small, config, group, scale=config.mpp / small_mpp, progress=progress)


def _crf(config, taxonomy):
    return config.crf.get(taxonomy.name, CRFConfig())


def compute_heatmaps(net, image, config, *, taxonomy=None, mpp=None):
    """Return the adjusted heatmaps of one image, float32 (H, W, C), without dense CRF.

    Parameters as for `segment`.
    """
    chosen = config.taxonomy(taxonomy)
    small, image_mpp = _at_work_scale(image, config, [chosen], mpp)
    class_maps = _stitched_maps(net, small, config, [chosen], scale=config.mpp / image_mpp)
    return enlarge(class_maps.adjusted(chosen).clip(0, 1), image.shape[:2])


def _at_work_scale(image, config, taxonomies, mpp):
    """Return the image at the scale of adjustment and refinement, and this scale in um/px.

    `taxonomies` are refined at one scale.
    """
    image = as_segmentable(image, max_pixels=SEGMENT_VALUES // max(map(len, taxonomies)))
    image_mpp = as_mpp(config.image_mpp if mpp is None else mpp)
    # Overlapping windows are refined separately, hence at the net's scale. So are large images, to bound memory.
    crf_mpp = _crf(config, taxonomies[0]).mpp or 0
    large = image.shape[0] * image.shape[1] > WHOLE_PIXELS
    work_mpp = max(crf_mpp, image_mpp, config.mpp if large else 0)
    work_mpp = config.mpp if config.windows == "overlapped" else work_mpp
    small = rescale(image, image_mpp, work_mpp)
    return small, image_mpp if small is image else work_mpp


def _stitched_maps(net, image, config, taxonomies, *, scale, progress=None):
    """Return the `ClassMaps` of an image: the mean over windows and over symmetries."""
    keep, symmetries = needed_outputs(config, taxonomies), SYMMETRIES[: config.tta]
    covers = (
        cover(np.ascontiguousarray(symmetry.move(image)), window_px=config.window_px, scale=scale)
        for symmetry in symmetries
    )
    predicted = predict_windows(
        make_predictor(net, config), covers, always=forced_outputs(config, taxonomies), keep=keep
    )
    maps, scores = 0, 0
    pairs = zip(symmetries, predicted, strict=True)
    for done, (symmetry, (moved_maps, window_scores)) in enumerate(pairs, start=1):
        maps = (
            np.array(symmetry.back(moved_maps))
            if done == 1
            else np.add(maps, symmetry.back(moved_maps), out=maps)
        )
        scores = scores + window_scores.max(axis=0)
        report(progress, "predicting", done, len(symmetries))
    count = np.float32(len(symmetries))
    maps /= count
    return ClassMaps(maps, scores / count, keep, image, config)


def _stitched_stages(net, image, config, taxonomies, *, scale, progress=None):
    """Yield the stages of an image with windows that are stitched before the classes compete."""
    class_maps = _stitched_maps(net, image, config, taxonomies, scale=scale, progress=progress)
    for taxonomy in taxonomies:
        adjusted = class_maps.adjusted(taxonomy).clip(0, 1)
        cam, scores = class_maps.by_taxonomy(taxonomy)
        marginals = refine_maps(adjusted, image, config, taxonomy)
        scores = add_inferred_scores(scores, adjusted, taxonomy)
        yield Stages(image, cam, adjusted, marginals, scores, taxonomy)
