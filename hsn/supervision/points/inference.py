"""Inference of nets trained on points: the path that all nets of objects share."""

from ...prediction.segmentation import segment_objects


def segment(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment an image of any size with a net that was trained on points.

    Parameters
    ----------
    net : keras.Model
        The segmenter, two outputs.
    image : uint8 array, shape (H, W, 3)
    config : Config
    taxonomy : str, optional
        One of the config's taxonomies. Default: the first.
    mpp : float, optional
        Micrometers per pixel of the image. Default: `config.image_mpp`.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch of tiles.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `probabilities` of background and of objects.
        See `hsn.prediction.segmentation.segment_objects`.
    """
    return segment_objects(net, image, config, taxonomy=taxonomy, mpp=mpp, progress=progress)
