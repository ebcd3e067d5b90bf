"""Targets of learning from points: clicks become two coarse labels, each known in part of the image.

After Qu et al. (IEEE TMI 2020): where the cells of two clicks meet there is no nucleus; and colours that lie around
clicks are those of nuclei. Neither is right everywhere (6.9 % and 9.5 % of what they say is wrong on Kumar's images);
the net learns what they agree on.
"""

from dataclasses import dataclass

import numpy as np

from ...annotations.cluster_labels import cluster_label
from ...annotations.points import as_points
from ...annotations.voronoi_labels import voronoi_label
from ...checks import as_image
from ...errors import refuse
from ...types import Targets
from .config import PUBLISHED_RADIUS_UM

_LABELS_RADIUS_PX = PUBLISHED_RADIUS_UM / 0.25  # the nuclei for which lengths of the labels are given
LABELS = 2  # Voronoi and clusters


@dataclass(frozen=True, eq=False)
class Given:
    """Clicks on an image, and what a user already has of what is made from them.

    Attributes
    ----------
    points : float array, shape (N, 2), or path
        Row and column in pixels of the image; of some nuclei, or of all.
    background : bool array, shape (H, W), or None
        Where there is surely no nucleus; it teaches detection from its first round on.
    labels : Targets or None
        Coarse labels as `make_targets` gives them, at the net's scale; then none are made.
    """

    points: np.ndarray
    background: np.ndarray | None = None
    labels: Targets | None = None


def make_targets(image, annotation, config):
    """Turn clicks on all nuclei of an image into the two coarse labels.

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
        `target`, float32 (H, W, 2): nucleus or not, by the Voronoi label and by the cluster label. `weight`, float32
        (H, W, 2): 1 where that label says so, 0 where it says nothing. Without a click nothing is known.

    Raises
    ------
    InputError
        If the image is none, or a click lies outside of it.

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
    """Both labels in one number a pixel, uint8 (H, W): 3 v + c, with 0 unknown, 1 background, 2 nucleus.

    Examples
    --------
    >>> encode(Targets(np.array([[[1, 0]]]), np.array([[[1, 0]]]))).tolist()
    [[6]]
    """
    target, weight = labels
    if np.shape(target) != np.shape(weight) or np.ndim(target) != 3 or np.shape(target)[2] != LABELS:
        refuse("these are no coarse labels", expected="target and weight of shape (height, width, 2)",
               received=f"{np.shape(target)} and {np.shape(weight)}",
               remedy="make them with hsn.points.make_targets")  # fmt: skip
    codes = np.where(np.asarray(weight) > 0, 1 + (np.asarray(target) > 0.5), 0)  # (H, W, 2)
    return (3 * codes[..., 0] + codes[..., 1]).astype(np.uint8)


def decode(codes):
    """The labels that `encode` put together.

    Examples
    --------
    >>> target, weight = decode(np.array([[6, 1]]))
    >>> target.tolist(), weight.tolist()
    ([[[1.0, 0.0], [0.0, 0.0]]], [[[1.0, 0.0], [0.0, 1.0]]])
    """
    both = np.stack(np.divmod(codes, 3), axis=-1)  # (H, W, 2)
    return Targets((both == 2).astype(np.float32), (both > 0).astype(np.float32))
