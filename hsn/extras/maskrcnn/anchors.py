"""Anchors: the boxes that the proposal net starts from, a few shapes in every cell of the pyramid."""

import numpy as np


def anchors(shape, *, levels, sides_px, ratios):
    """Lay anchors over an image.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, in pixels.
    levels : sequence of int
        Levels of the pyramid; cells of level k are 2^k px wide.
    sides_px : sequence of sequence of float
        Per level the sides of its square anchors.
    ratios : sequence of float
        Width over height; the area is that of the square.

    Returns
    -------
    float32 array, shape (A, 4)
        Boxes (top, left, bottom, right) in pixels, ends excluded; they may reach beyond the image. In the order of
        levels, rows, columns, sides, ratios. Centres lie on multiples of the cell's width, without half a pixel.

    References
    ----------
    .. [1] Matterport's Mask R-CNN, whose order and places these are.

    Examples
    --------
    >>> anchors((256, 256), levels=(2, 3, 4, 5, 6), sides_px=[[8], [16], [32], [64], [128]], ratios=(0.5, 1, 2)).shape
    (16368, 4)
    >>> anchors((4, 8), levels=(2,), sides_px=[[8]], ratios=(1,)).tolist()
    [[-4.0, -4.0, 4.0, 4.0], [-4.0, 0.0, 4.0, 8.0]]
    """
    return np.concatenate([_level(shape, 2**k, s, ratios) for k, s in zip(levels, sides_px, strict=True)])


def _level(shape, stride_px, sides_px, ratios):
    side, ratio = (x.ravel() for x in np.meshgrid(sides_px, ratios, indexing="ij"))  # (K,), K shapes a cell
    half = np.stack([side / np.sqrt(ratio), side * np.sqrt(ratio)], axis=1) / 2  # (K, 2)
    cells = [np.arange(-(-length // stride_px)) * stride_px for length in shape]
    centres = np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1)[:, :, None]  # (h, w, 1, 2)
    boxes = np.concatenate([centres - half, centres + half], axis=-1)  # (h, w, K, 4)
    return boxes.reshape(-1, 4).astype(np.float32)
