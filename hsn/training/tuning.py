"""Tuning: post-processing is chosen on validation images after training.

The threshold of the foreground and the height at which objects are split are worth as much as hours of training: on
Kumar's validation images the shipped nuclei net has an AJI of .46 to .57 with the candidates that are tried here.
"""

from ..metrics.objects import Matching, match
from ..metrics.table import overlaps
from ..objects.labeling import label_instances

THRESHOLDS = (None, 0.3, 0.4)
HEIGHTS_UM = (0.0, 0.15, 0.3)


def tune_postprocess(pairs, postprocess, *, mpp):
    """Return the post-processing with the best panoptic quality, counted together over images.

    Parameters
    ----------
    pairs : iterable of (float array (H, W, C), int array (H, W))
        Probabilities of a net with contours for images that it did not learn from, and their true objects.
    postprocess : PostProcess
        `foreground_threshold` and `h_um` are tuned. Of equals this one is taken, or else the first candidate.
    mpp : float
        Micrometers per pixel of both.

    Returns
    -------
    PostProcess
    """
    grid = [
        postprocess.replace(foreground_threshold=threshold, h_um=height)
        for threshold in THRESHOLDS
        for height in HEIGHTS_UM
    ]
    candidates = [postprocess, *(candidate for candidate in grid if candidate != postprocess)]
    matchings = [Matching() for _ in candidates]
    for probabilities, truth in pairs:
        for k, candidate in enumerate(candidates):
            matchings[k] += match(overlaps(truth, label_instances(probabilities, candidate, mpp=mpp)))
    return max(zip(matchings, candidates, strict=True), key=lambda pair: pair[0].pq)[1]
