"""Objects for the last stage: a watershed from points in the probabilities of the segmenter.

The coarse labels do not show where a nucleus ends or where two nuclei touch. The segmenter and the detector together
do: markers on the points grow within the foreground. A net that is trained on the resulting objects has fewer errors
than they have (docs/results/points.md has measurements).

A part of the foreground without a point may be a nucleus that the detector missed. Nothing is learned there.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.segmentation import expand_labels

from ...annotations.label_files import write_labels
from ...annotations.points import merge_points, to_pixels
from ...objects.cleaning import fill_holes, remove_small_components, remove_small_objects
from ...objects.watershed import marker_watershed
from ...progress import track
from .crops import object_crops
from .images import split
from .losses import make_object_loss
from .rounds import predict
from .target_maps import encode_objects
from .train_loop import train

RATES = ("learning_rate", "min_learning_rate")
NUCLEUS = 1  # output of the segmenter
KNOWN = 255  # value of known pixels in files
MARKER_RADIUS_UM = 0.75
SIGMA_UM = 0.25  # blur of the probability of the detector
DISTANCE_WEIGHT = 0.08  # of the distance to the background in um, beside the probability of the detector
GROWTH_UM = 0.25  # of the finished objects: thresholds make them too small
MARGIN_UM = 0.5  # around parts without a point; also unknown


def find_objects(foreground, detection, points, config):
    """Find the object of each point.

    Parameters
    ----------
    foreground : float array, shape (H, W)
        Probability of nuclei, of the segmenter.
    detection : float array, shape (H, W), or None
        Probability of the detector. Without it the distance to the background alone orders the growth.
    points : float array, shape (N, 2)
        Row and column.
    config : Config

    Returns
    -------
    instances : int32 array, shape (H, W)
        0 background, 1..n.
    known : bool array, shape (H, W)
        False on foreground without a point, and close to it.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> foreground = np.zeros((40, 60))
    >>> foreground[10:20, 5:30] = foreground[10:20, 45:55] = 0.9
    >>> instances, known = find_objects(foreground, None, [[15, 10], [15, 24]], preset("cpu"))
    >>> instances[15, [8, 26, 50]].tolist(), known[15, [8, 26, 50]].tolist()
    ([1, 2, 0], [True, True, False])
    """
    min_area_px, px = config.postprocess.min_area_um2 / config.mpp**2, 1 / config.mpp
    mask = foreground > config.object_threshold
    mask = fill_holes(remove_small_components(mask, min_area_px=min_area_px, connectivity=8))
    markers = np.zeros(mask.shape, np.int32)
    rows, columns = to_pixels(points, mask.shape).T
    markers[rows, columns] = np.arange(1, len(rows) + 1)
    markers = np.where(mask, expand_labels(markers, MARKER_RADIUS_UM * px), 0)
    depth = DISTANCE_WEIGHT * config.mpp * distance_transform_edt(mask)
    if detection is not None:
        depth = depth + gaussian_filter(detection, SIGMA_UM * px)
    instances = remove_small_objects(marker_watershed(markers, mask, depth=depth), min_area_px=min_area_px)
    without_point = mask & (instances == 0)
    instances = expand_labels(instances, GROWTH_UM * px)
    unknown = (
        distance_transform_edt(~without_point) <= MARGIN_UM * px if without_point.any() else without_point
    )
    return instances.astype(np.int32), (instances > 0) | ~unknown


def write_objects(images, segmenter, detector, config, folder, *, progress=None):
    """Write the objects of each image, and give the images their files; finished images are not segmented again.

    Parameters
    ----------
    images : list of PointImage
    segmenter : keras.Model
    detector : keras.Model or None
    config : Config
    folder : path
        Gets `labels/NAME.png` and `known/NAME.png` of each image.
    progress : callable, optional
    """
    for image in track(images, progress, "objects"):
        files = folder / "labels" / f"{image.name}.png", folder / "known" / f"{image.name}.png"
        if not files[1].exists():
            foreground = predict(segmenter, image, config)[..., NUCLEUS]
            detection = None if detector is None else predict(detector, image, config)[..., 0]
            instances, known = find_objects(foreground, detection, all_points(image, config), config)
            write_labels(files[0], instances)
            write_labels(files[1], KNOWN * known.astype(np.uint8))
        image.objects_files = files


def all_points(image, config):
    """Return the clicks on an image, and the points that a detector found elsewhere, at the nets' scale."""
    complete = config.complete_validation and not image.train_pixels
    found = image.found if image.found is not None and not complete else np.zeros((0, 2))
    return merge_points(image.clicks, found, radius_px=config.radius_px)


def train_on_objects(net, images, config, folder, *, progress=None):
    """Train the last net on the objects of the images.

    Parameters
    ----------
    net : keras.Model
        With the outputs background, inside and contour; trained in place.
    images : list of PointImage
        With the files of `write_objects`.
    config : Config
    folder : path
        For history and state.
    progress : callable, optional

    Returns
    -------
    History
    """
    trained, validated = split(images)
    rates = {name: config.object_rate * getattr(config.train, name) for name in RATES}
    return train(
        net,
        make_object_loss(config),
        object_crops(trained, config),
        lambda: validate(net, validated, config),
        config.replace(train=rates),
        epochs=config.object_epochs,
        monitor="validation_loss",
        out=folder,
        stage="segmentation, objects",
        progress=progress,
    )


def validate(net, images, config):
    """Return the score of the last net: `validation_loss`, the loss on the objects of the parts that validate."""
    compute_loss, losses = make_object_loss(config), []
    for image in images:
        probabilities, record = predict(net, image, config), image.load()
        target = encode_objects(np.where(record.val_mask, record.instances, 0), config)
        weight = record.weight * record.val_mask
        losses.append(float(compute_loss(target[None], probabilities[None], weight[None], None)))
    return {"validation_loss": np.mean(losses)}
