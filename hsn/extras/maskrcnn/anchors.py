"""Anchors: reference boxes of the proposal net, in every cell of the pyramid."""

import numpy as np


def make_anchors(shape, *, levels, sides_px, ratios):
    """Return the anchors of an image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, in pixels.
    levels : sequence of int
        Levels of the pyramid; a cell of level k is 2^k px wide.
    sides_px : sequence of sequence of float
        Sides of the square anchors on each level.
    ratios : sequence of float
        Ratios of width to height, at constant area.

    Returns
    -------
    float32 array, shape (A, 4)
        Boxes (top, left, bottom, right) in pixels, ends excluded. They can extend beyond the image. The order is level,
        row, column, side, ratio. Centers are multiples of the cell width, without an offset of half a pixel.

    References
    ----------
    .. [1] Matterport's Mask R-CNN, with the same order and positions.

    Examples
    --------
    >>> sides_px = [[8], [16], [32], [64], [128]]
    >>> make_anchors((256, 256), levels=(2, 3, 4, 5, 6), sides_px=sides_px, ratios=(0.5, 1, 2)).shape
    (16368, 4)
    >>> make_anchors((4, 8), levels=(2,), sides_px=[[8]], ratios=(1,)).tolist()
    [[-4.0, -4.0, 4.0, 4.0], [-4.0, 0.0, 4.0, 8.0]]
    """
    return np.concatenate([_level(shape, 2**k, s, ratios) for k, s in zip(levels, sides_px, strict=True)])


def _level(shape, stride_px, sides_px, ratios):
    side, ratio = (x.ravel() for x in np.meshgrid(sides_px, ratios, indexing="ij"))  # (K,), K shapes per cell
    half = np.stack([side / np.sqrt(ratio), side * np.sqrt(ratio)], axis=1) / 2  # (K, 2)
    cells = [np.arange(-(-length // stride_px)) * stride_px for length in shape]
    centers = np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1)[:, :, None]  # (h, w, 1, 2)
    boxes = np.concatenate([centers - half, centers + half], axis=-1)  # (h, w, K, 4)
    return boxes.reshape(-1, 4).astype(np.float32)
