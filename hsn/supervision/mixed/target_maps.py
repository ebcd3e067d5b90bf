"""Targets of learning from mixed annotation: what is known about each pixel, by head.

The kinds are written from the least to the most precise, so that a more precise kind overrides a less precise one:
absent tags, boxes, clicks, scribbles, outlines. Ignored regions override all.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...annotations.annotation import fill, number_objects
from ...annotations.colors import resize_labels
from ...annotations.mask_files import read as read_masks
from ...annotations.points import merge_points, to_pixels
from ...checks import as_image, same_shape
from ...errors import InputError
from ...instances import renumber
from ...types import Targets
from .from_boxes import add_boxes
from .from_masks import add_masks
from .from_points import add_points
from .from_scribbles import add_scribbles
from .from_tags import TileTag, add_tags
from .sources import UNUSED, HeadMaps, blank, to_possible


class Known(NamedTuple):
    """Record of what is known about an image at the net's scale.

    Attributes
    ----------
    heads : dict of str to HeadMaps
    instances : int32 (H, W)
        Outlined objects, 1..n.
    complete : bool (H, W)
        Where all objects are outlined.
    points : float (N, 2)
        Clicks beside the outlined objects.
    tags : tuple of TileTag
    """

    heads: dict[str, HeadMaps]
    instances: np.ndarray
    complete: np.ndarray
    points: np.ndarray
    tags: tuple[TileTag, ...]


def make_targets(image, annotation, config):
    """Return the targets and the weights of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
        At the net's scale.
    annotation : Annotation
        In pixels of `image`.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, C): 1 for each possible class of a pixel. `weight`, float32 (H, W, heads): 0 where
        nothing is known.

    Raises
    ------
    InputError
        "shape-mismatch", "points-outside", or an error of the mask file.

    Examples
    --------
    >>> from hsn.annotations.annotation import Annotation, Tag
    >>> from .config import preset
    >>> absent = Annotation(tags=(Tag("Nucleus", False),))
    >>> target, weight = make_targets(np.zeros((1, 2, 3), np.uint8), absent, preset("cpu"))
    >>> target.tolist(), weight.tolist()
    ([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]], [[[0.5], [0.5]]])
    """
    heads = know(image, annotation, image.shape[:2], config).heads
    target = [to_possible(heads[head.name].possible, head.channels) for head in config.heads]
    weight = [heads[head.name].weight for head in config.heads]
    return Targets(np.concatenate(target, axis=2), np.stack(weight, axis=2))


def know(pixels, annotation, shape, config, *, found=None):
    """Collect all that is known about an image.

    Parameters
    ----------
    pixels : uint8 array, shape (h, w, 3)
        The image at the net's scale.
    annotation : Annotation
        In pixels of the image.
    shape : (int, int)
        Height and width of the image before it was rescaled.
    config : Config
    found : float array, shape (M, 2), optional
        Centers of objects that a net found, at the net's scale. Outside of complete regions, they and the clicks are
        all objects.

    Returns
    -------
    Known
    """
    pixels = as_image(pixels)
    size = pixels.shape[:2]
    factor = np.divide(size, shape)
    instances = objects_of(annotation, shape, size)
    regions = _complete_regions(annotation, size, factor)
    complete = np.logical_or.reduce([np.zeros(size, bool), *regions])
    points = points_of(annotation, shape, size)
    beside = points[instances[tuple(to_pixels(points, size).T)] == 0] if len(points) else points
    heads = {head.name: blank(size) for head in config.heads}
    tags = add_tags(heads, annotation.tags, factor, config)
    outlined = np.zeros(size, bool)
    if config.has_objects:
        maps = heads["objects"]
        outlined = _outlined(annotation, regions, instances, beside, factor)
        add_boxes(maps, pixels, annotation.boxes, complete & ~outlined, factor, config)
        clicks, clicked = beside, complete & ~outlined
        if found is not None and len(found):
            others = found[~(complete | (instances > 0))[tuple(to_pixels(found, size).T)]]
            clicks, clicked = merge_points(beside, others, radius_px=config.radius_px), ~outlined
        _add_points(maps, pixels, clicks, instances, clicked & (not annotation.boxes), config)
    add_scribbles(heads, annotation.scribbles, factor, config)
    if config.has_objects and (instances.any() or outlined.any()):
        add_masks(heads["objects"], instances, outlined, config)
    ignored = fill(annotation.ignore, size, factor=factor)
    for maps in heads.values():
        maps.write(ignored, [], UNUSED, weight=0.0)
    return Known(heads, instances, outlined & ~ignored, beside, tags)


def _add_points(maps, pixels, points, instances, complete, config):
    """Add clicks; outlined objects separate the clicked ones, too."""
    if not len(points):
        return
    if instances.any():
        points = np.concatenate([points, centers(instances)])
    add_points(maps, pixels, points, complete, config)


def objects_of(annotation, shape, size):
    """Return the outlined objects of an annotation at the net's scale, int32 (h, w)."""
    objects = annotation.objects
    if isinstance(objects, tuple):
        return number_objects(objects, size, factor=np.divide(size, shape))
    if isinstance(objects, str | Path):
        objects = read_masks(objects, shape)
    same_shape("image", tuple(shape), "objects", np.shape(objects))
    return resize_labels(renumber(np.ma.filled(objects, 0))[0], size)


def points_of(annotation, shape, size):
    """Return the clicks of an annotation at the net's scale, float (N, 2)."""
    clicks = np.array([(p.row, p.col) for p in annotation.points], float).reshape(-1, 2)
    outside = (clicks < -0.5) | (clicks > np.array(shape) - 0.5)
    if outside.any():
        raise InputError("points-outside", f"points must be (row, col) within the image of {shape[0]} x {shape[1]} px",
                         got=clicks[outside.any(axis=1)][0].tolist(),
                         hint="check that points and image match")  # fmt: skip
    return np.clip((clicks + 0.5) * np.divide(size, shape) - 0.5, -0.5, np.array(size) - 0.51)


def _complete_regions(annotation, size, factor):
    """Return the masks of the regions in which all objects are annotated, list of bool (h, w)."""
    if annotation.complete_region is not None:
        return [fill((region,), size, factor=factor) for region in annotation.complete_region]
    return [] if isinstance(annotation.objects, tuple) else [np.ones(size, bool)]


def _outlined(annotation, regions, instances, points, factor):
    """Return where all objects are outlined: the complete regions without more clicks or boxes than outlines."""
    boxes = [(box.rings[0].mean(axis=0) + 0.5) * factor - 0.5 for box in annotation.boxes]
    others = np.reshape([*points, *boxes], (-1, 2)).clip(0, np.array(instances.shape) - 1)
    others = to_pixels(others, instances.shape)
    outlined = np.zeros(instances.shape, bool)
    for region in regions:
        numbers = len(np.unique(instances[region & (instances > 0)]))
        if numbers >= (int(region[tuple(others.T)].sum()) if len(others) else 0):
            outlined |= region
    return outlined


def centers(instances):
    """Return the centers of objects, float (N, 2).

    Examples
    --------
    >>> centers(np.array([[1, 1, 0, 2]])).tolist()
    [[0.0, 0.5], [0.0, 3.0]]
    """
    rows, cols = np.nonzero(instances)
    numbers = np.asarray(instances)[rows, cols]
    counts = np.bincount(numbers)[1:]
    sums = np.array([np.bincount(numbers, axis)[1:] for axis in (rows, cols)]).T  # (N, 2)
    return sums[counts > 0] / counts[counts > 0, None]
