"""Targets of learning from points: clicks become two coarse labels, each known in part of the image.

After Qu et al. (IEEE TMI 2020). The Voronoi label has background on the borders between the cells of clicks. The
cluster label has nuclei where colors are like those around clicks. Both have errors (6.9 % and 9.5 % of the known
pixels of Kumar's images).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...annotations.cluster_labels import cluster_label
from ...annotations.points import as_points
from ...annotations.voronoi_labels import voronoi_label
from ...checks import as_image
from ...errors import InputError
from ...losses.objects import TERNARY, encode_targets
from ...types import Targets
from .config import PUBLISHED_RADIUS_UM

_LABELS_RADIUS_PX = PUBLISHED_RADIUS_UM / 0.25  # radius of a nucleus at which the lengths of the labels hold
LABELS = 2  # Voronoi and clusters


@dataclass(frozen=True, eq=False)
class PointAnnotation:
    """Clicks on an image, with the background and the coarse labels that the user has.

    Attributes
    ----------
    points : float array, shape (N, 2), or path
        Row and column in pixels of the image; of some nuclei, or of all.
    background : bool array, shape (H, W), path of a mask, or None
        Pixels that do not belong to a nucleus; used from the first round of detection on.
    labels : Targets, path of a label image, or None
        Coarse labels of `make_targets` at the net's scale, or their file; then none are computed.
    complete_regions : sequence of float arrays (n, 2)
        Polygons, row and column in pixels of the image, in which every nucleus is clicked: beside the clicks they are
        background, as `background` is.
    """

    points: np.ndarray | Path | str
    background: np.ndarray | Path | str | None = None
    labels: Targets | Path | str | None = None
    complete_regions: Sequence[np.ndarray] = ()


def make_targets(image, annotation, config):
    """Return the two coarse labels of an image, from clicks on all of its nuclei.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
        At the net's scale.
    annotation : float array, shape (N, 2)
        Row and column of each nucleus, in pixels of `image`.
    config : Config

    Returns
    -------
    Targets
        `target`, float32 (H, W, 2): 1 for a nucleus, in the Voronoi label and in the cluster label. `weight`, float32
        (H, W, 2): 1 where the label is known. Without a click nothing is known.

    Raises
    ------
    InputError
        "image-dtype" or "points-outside".

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> target, weight = make_targets(np.zeros((30, 50, 3), np.uint8), [[15, 10], [15, 40]], preset("qu2020"))
    >>> target[15, [10, 25], 0].tolist(), weight[15, [25, 17], 0].tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    shape = as_image(image).shape[:2]
    points = as_points(annotation, shape)
    if not len(points):
        return Targets(*np.zeros((2, *shape, LABELS), np.float32))
    scale = config.radius_px / _LABELS_RADIUS_PX
    voronoi = voronoi_label(points, shape, scale=scale)
    cluster = cluster_label(image, points, seed=config.train.seed, scale=scale)
    return Targets(*(np.stack(both, axis=2) for both in zip(voronoi, cluster, strict=True)))


def encode(labels):
    """Encode both labels in one number, uint8 (H, W): 3 v + c, with 0 unknown, 1 background, 2 nucleus.

    Raises
    ------
    InputError
        "labels-shape".

    Examples
    --------
    >>> encode(Targets(np.array([[[1, 0]]]), np.array([[[1, 0]]]))).tolist()
    [[6]]
    """
    target, weight = labels
    if np.shape(target) != np.shape(weight) or np.ndim(target) != 3 or np.shape(target)[2] != LABELS:
        raise InputError(
            "labels-shape",
            "coarse labels must be a target and a weight of shape (height, width, 2)",
            got=f"{np.shape(target)} and {np.shape(weight)}",
            hint="make them with hsn.points.make_targets",
        )
    codes = np.where(np.asarray(weight) > 0, 1 + (np.asarray(target) > 0.5), 0)  # (H, W, 2)
    return (3 * codes[..., 0] + codes[..., 1]).astype(np.uint8)


def decode(codes):
    """Return the labels of a code image of `encode`.

    Examples
    --------
    >>> target, weight = decode(np.array([[6, 1]]))
    >>> target.tolist(), weight.tolist()
    ([[[1.0, 0.0], [0.0, 0.0]]], [[[1.0, 0.0], [0.0, 1.0]]])
    """
    both = np.stack(np.divmod(codes, 3), axis=-1)  # (H, W, 2)
    return Targets((both == 2).astype(np.float32), (both > 0).astype(np.float32))


def encode_objects(instances, config):
    """Return the target of the last stage, float32 (H, W, 4): background, inside, contour, number of the inside.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> encode_objects(np.array([[0, 0, 3, 3, 3, 3]]), preset("cpu"))[0, :, :3].argmax(axis=1).tolist()
    [0, 2, 2, 2, 1, 1]
    """
    targets = config.targets
    return encode_targets(instances, len(TERNARY), shrink_px=targets.shrink_px, contour_px=targets.contour_px)
