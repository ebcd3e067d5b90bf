"""Tune post-processing on the validation images after training.

The foreground threshold and the height of the h-maxima have a large effect. On Kumar's validation images, the shipped
nuclei net has an AJI of .46 to .57 over the candidates of this file.
"""

from ..metrics.objects import Matching, match
from ..metrics.table import overlaps
from ..objects.labeling import label_instances

THRESHOLDS = (None, 0.3, 0.4)
HEIGHTS_UM = (0.0, 0.15, 0.3)


def tune_postprocess(pairs, postprocess, *, mpp):
    """Select the post-processing with the best panoptic quality, pooled over images.

    Parameters
    ----------
    pairs : iterable of (float array (H, W, C), int array (H, W))
        Probabilities of a net with contours, and true objects, for each validation image.
    postprocess : PostProcess
        `foreground_threshold` and `h_um` are tuned. Ties prefer this one, then the first candidate.
    mpp : float
        Micrometers per pixel of the arrays.

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
