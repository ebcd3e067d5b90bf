"""Inference of nets trained on mixed annotation: objects, or tissues."""

from ...images.tiles import enlarge
from ...objects.labeling import object_probability, segmentation_of
from ...prediction.segmentation import checked, preprocess, separate_objects
from ...prediction.tiling import predict_tiled
from ...strips import most_probable
from ...types import Segmentation


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on mixed annotation.

    Parameters, result and errors: see `hsn.prediction.segmentation.segment_objects`. The taxonomy chooses the head:
    objects, if there are objects, or tissues, without instances.
    """
    chosen, image, image_mpp = checked(image, config, taxonomy, mpp)
    small = preprocess(image, config, image_mpp)
    probabilities = predict_tiled(net, small, config.normalization, config.tiling, progress=progress)
    head = config.head_of(chosen)
    own = enlarge(probabilities[..., head.start : head.stop], image.shape[:2])
    if head.name == "tissue":
        labels = most_probable(own)
        return Segmentation(labels, None, own, own.max(axis=(0, 1)), chosen)
    instances = separate_objects(own, config.postprocess, mpp=image_mpp)
    return segmentation_of(instances, object_probability(own), chosen)
