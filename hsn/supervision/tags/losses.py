"""Losses of learning from tags: binary cross-entropies, of scores or of the shares of the classes in a patch."""

import numpy as np
from keras import ops

from ...losses.cross_entropy import binary_cross_entropy, weighted_mean


def make_loss(config):
    """Return the binary cross-entropy over the classes with a known tag.

    Parameters
    ----------
    config : Config
        With `shares`, the tag of a class is compared with ``sigmoid(slope * (share - min_share))``, where `share` is
        the mean probability of the class in the patch or cell. Without, the prediction is a score of each class.

    Returns
    -------
    callable
        ``(target, prediction, weight, image) -> scalar``, on the backend's tensors. `target` and `weight` are (N, C) or
        (N, R, S, C) for a grid of cells; `prediction` has the same shape, or with `shares` (N, H, W, C).

    Examples
    --------
    >>> from hsn.supervision.tags.config import preset
    >>> round(float(make_loss(preset("cam"))([[1.0, 0.0]], [[0.5, 0.9]], [[1.0, 0.0]], None)), 4)
    0.6931
    >>> maps = np.full((1, 2, 2, 2), [0.25, 0.75], np.float32)
    >>> round(float(make_loss(preset("cpu"))([[1.0, 0.0]], maps, [[1.0, 0.0]], None)), 4)
    0.6931
    """

    def loss(target, prediction, weight, image):
        if config.shares is not None:
            grid = ops.shape(ops.convert_to_tensor(target))[1:-1]
            prediction = mean_in_cells(prediction, grid, config.shares.cell)
        return compare(target, prediction, weight, config)

    return loss


def compare(target, scores, weight, config):
    """Return the binary cross-entropy of tags, given the scores of a classifier or the shares of a segmentation net.

    Parameters
    ----------
    target, scores, weight : tensors, shape (..., C)
    config : Config
    """
    if config.shares is None:
        return binary_cross_entropy(target, scores, weight)
    logits = config.shares.slope * (scores - config.shares.min_share)
    return weighted_mean(ops.softplus(logits) - ops.cast(target, "float32") * logits, weight)


def mean_in_cells(maps, grid, cell):
    """Return the mean of maps in each cell of a grid.

    Parameters
    ----------
    maps : tensor, shape (N, H, W, C)
    grid : () or (int, int)
        Rows and columns of the grid; () is the whole patch.
    cell : float
        Side of a cell as a share of the side of the patch.

    Returns
    -------
    tensor, shape (N, *grid, C)

    Examples
    --------
    >>> maps = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
    >>> np.ravel(mean_in_cells(maps, (), 1.0)).tolist(), np.ravel(mean_in_cells(maps, (1, 2), 0.5)).tolist()
    ([3.5], [0.5, 2.5])
    """
    if not grid:
        return ops.mean(maps, axis=(1, 2))
    rows, columns = (
        _cell_weights(side, count, cell) for side, count in zip(maps.shape[1:3], grid, strict=True)
    )
    return ops.einsum("rh,nhsc->nrsc", rows, ops.einsum("sw,nhwc->nhsc", columns, maps))


def _cell_weights(side, count, cell):
    """Return the weights (count, side) of the pixels of one axis in evenly spaced cells; borders may cut a pixel."""
    first = np.linspace(0, side * (1 - cell), count)[:, None] if count > 1 else np.zeros((1, 1))
    pixel = np.arange(side)
    covered = np.minimum(pixel + 1, first + side * cell) - np.maximum(pixel, first)
    return (np.clip(covered, 0, 1) / (side * cell)).astype(np.float32)
