"""Segmentation of objects, shared by the methods `points`, `masks` and `selected`."""

from ..checks import as_mpp, as_segmentable
from ..images.scaling import rescale
from ..images.tiles import enlarge
from ..limits import SEGMENT_PIXELS, WHOLE_PIXELS
from ..objects.labeling import label_instances, object_probability, segmentation_of
from ..objects.regions import label_in_boxes
from .tiling import predict_tiled


def segment_objects(net, image, config, *, taxonomy=None, mpp=None, progress=None):
    """Segment the objects of an image of any size.

    Probabilities are enlarged to the size of the image before objects are separated, so that borders stay smooth.

    Parameters
    ----------
    net : keras.Model
        (N, h, w, 3) -> (N, h, w, C) probabilities; for C see `hsn.objects.labeling.label_instances`.
    image : uint8 array, shape (H, W, 3)
    config : Config
        Config of a method, with `normalization`, `tiling` and `postprocess`.
    taxonomy : str, optional
        One of the config's taxonomies. Default: the first.
    mpp : float, optional
        Micrometers per pixel of the image. Default: `config.image_mpp`.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch of tiles.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `probabilities` of background and objects, which include
        contours.

    Raises
    ------
    InputError
        "image-dtype", "image-too-small", "image-too-large", "mpp-range" or "taxonomy-unknown".

    References
    ----------
    .. [1] Qu et al., FullNet + varCE, MICCAI 2019; Qu et al., partial points, IEEE TMI 2020; Lou et al., IEEE TMI 2022.
    """
    chosen, image, image_mpp = checked(image, config, taxonomy, mpp)
    small = preprocess(image, config, image_mpp)
    probabilities = predict_tiled(net, small, config.normalization, config.tiling, progress=progress)
    probabilities = enlarge(probabilities, image.shape[:2])
    instances = separate_objects(probabilities, config.postprocess, mpp=image_mpp)
    probability = object_probability(probabilities)
    del probabilities  # of a large image, the largest array
    return segmentation_of(instances, probability, chosen)


def separate_objects(probabilities, postprocess, *, mpp):
    """Separate the objects of an image of any size; parameters and result as for `label_instances`.

    Watersheds on the distances of a large image take much memory, so it is processed in boxes, with the same objects.
    """
    height, width, _ = probabilities.shape
    large = height * width > WHOLE_PIXELS and postprocess.h_um > 0
    return (label_in_boxes if large else label_instances)(probabilities, postprocess, mpp=mpp)


def checked(image, config, taxonomy, mpp):
    """Validate the arguments; return the taxonomy, the image and its um/px with defaults filled in."""
    return (
        config.taxonomy(taxonomy),
        as_segmentable(image, max_pixels=SEGMENT_PIXELS),
        as_mpp(config.image_mpp if mpp is None else mpp),
    )


def preprocess(image, config, image_mpp):
    """Rescale an image to the net's scale and normalize its stains; return uint8 (h, w, 3)."""
    small = rescale(image, image_mpp, config.mpp)
    stain = config.normalization.stain
    return stain.normalize(small) if stain else small
