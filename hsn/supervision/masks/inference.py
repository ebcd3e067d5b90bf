"""Inference of nets trained on masks; all nets of objects share `segment_objects`."""

from ...prediction.segmentation import segment_objects


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on masks.

    Parameters, result and errors: see `hsn.prediction.segmentation.segment_objects`.
    """
    return segment_objects(net, image, config, taxonomy=taxonomy, mpp=mpp, progress=progress)
