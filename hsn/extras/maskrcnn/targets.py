"""Targets of anchors and regions: class, box deltas and masks.

Anchors and regions that were not sampled have weight 0. Negative ones in areas without annotation also have weight 0.
"""

import numpy as np

from . import boxes as b

MAX_UNKNOWN = 0.5  # fraction of a box without annotation, from which it cannot be negative


def anchor_targets(anchors, truth, numbers, rng, *, unknown=None):
    """Sample anchors and return the targets of the proposal net.

    An anchor is negative if its best IoU with an object is below `rpn_negative`. It is positive if the IoU is
    `rpn_positive` or more, or if it is the best anchor of an object. `rpn_drawn` anchors are sampled; at most half are
    positive. The target box of an anchor is the object with the highest IoU.

    Parameters
    ----------
    anchors : float array, shape (A, 4)
    truth : float array, shape (n, 4)
        Boxes of the objects; n may be 0.
    numbers : MaskRCNNConfig
    rng : numpy.random.Generator
    unknown : bool array, shape (H, W), optional
        True where objects may lack annotation.

    Returns
    -------
    dict of float32 arrays
        ``objects`` (A,) 0 or 1; ``known`` (A,) 0 or 1; ``deltas`` (A, 4), valid for positive anchors.

    Examples
    --------
    >>> from .presets import PAPER
    >>> anchors = np.float32([[0, 0, 8, 8], [0, 2, 8, 10], [0, 5, 8, 13], [20, 20, 28, 28]])
    >>> targets = anchor_targets(anchors, np.float32([[0, 0, 8, 8]]), PAPER, np.random.default_rng(0))
    >>> targets["objects"].tolist(), targets["known"].tolist()
    ([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0])
    """
    objects = np.zeros(len(anchors), bool)
    negative = np.ones(len(anchors), bool)
    deltas = np.zeros((len(anchors), 4), np.float32)
    if len(truth):
        table = b.iou(anchors, truth)  # (A, n)
        best = table.max(axis=1)
        negative = best < numbers.rpn_negative
        objects = best >= numbers.rpn_positive
        owner = table.argmax(axis=1)
        top = table.max(axis=0)
        objects |= ((table == top) & (top > 0)).any(axis=1)  # objects without an overlapping anchor have none
        positive = np.flatnonzero(objects)
        deltas[positive] = b.encode_deltas(anchors[positive], truth[owner[positive]], numbers.spread)
    negative &= ~objects & ~_unknown_mask(anchors, unknown)
    drawn = _sample_mask(rng, objects, numbers.rpn_drawn // 2)
    known = drawn | _sample_mask(rng, negative, numbers.rpn_drawn - drawn.sum())
    return {"objects": objects.astype(np.float32), "known": known.astype(np.float32), "deltas": deltas}


def _unknown_mask(boxes, unknown):
    """Return a mask of the boxes in areas without annotation, bool (n,)."""
    return (
        np.zeros(len(boxes), bool) if unknown is None else b.covered_fractions(unknown, boxes) >= MAX_UNKNOWN
    )


def _sample_mask(rng, mask, count):
    """Return a mask of at most `count` random entries of a mask."""
    drawn = np.zeros_like(mask)
    ids = np.flatnonzero(mask)
    drawn[rng.choice(ids, min(count, len(ids)), replace=False)] = True
    return drawn


def roi_targets(proposals, instances, numbers, rng, *, unknown=None):
    """Sample regions and return the targets of the heads.

    A region is positive if its IoU with an object is `roi_positive` or more. At most the fraction `roi_share` of `rois`
    is positive; negative regions are sampled to match it. Without positive regions, all are negative. Objects have
    class 1.

    Parameters
    ----------
    proposals : float array, shape (m, 4)
    instances : int32 array, shape (H, W)
        0 background, 1..n.
    numbers : MaskRCNNConfig
    rng : numpy.random.Generator
    unknown : bool array, shape (H, W), optional
        True where objects may lack annotation.

    Returns
    -------
    regions : float32 (rois, 4)
        In pixels, positive regions first; padded with zeros.
    targets : dict of arrays
        ``classes`` int32 (rois,); ``known`` float32 (rois,), 0 for padding; ``deltas`` float32
        (rois, 4); ``masks`` float32 (positive_rois, 28, 28), 0 or 1, of the first regions.

    Examples
    --------
    >>> from .presets import PAPER
    >>> instances = np.zeros((64, 64), np.int32)
    >>> instances[8:16, 8:16] = 1
    >>> proposals = np.float32([[8, 8, 16, 16]] + [[30, k, 38, k + 8] for k in range(9)])
    >>> regions, targets = roi_targets(proposals, instances, PAPER, np.random.default_rng(0))
    >>> targets["classes"][:4].tolist(), targets["known"][:4].tolist(), targets["masks"][0].mean().item()
    ([1, 0, 0, 0], [1.0, 1.0, 1.0, 0.0], 1.0)
    """
    truth = b.bounding_boxes(instances)
    table = b.iou(proposals, truth) if len(truth) else np.zeros((len(proposals), 1), np.float32)
    positive = _sample_indices(rng, table.max(axis=1) >= numbers.roi_positive, numbers.positive_rois)
    owner = table[positive].argmax(axis=1)
    # A fraction of 0.33 means 2.03 negative regions for each positive one.
    max_negative = int(len(positive) / numbers.roi_share) - len(positive) if len(positive) else numbers.rois
    background = (table.max(axis=1) < numbers.roi_positive) & ~_unknown_mask(proposals, unknown)
    negative = _sample_indices(rng, background, min(max_negative, numbers.rois - len(positive)))
    count, total = len(positive), len(positive) + len(negative)
    regions = np.zeros((numbers.rois, 4), np.float32)
    regions[:total] = proposals[np.concatenate([positive, negative])]
    deltas = np.zeros((numbers.rois, 4), np.float32)
    masks = np.zeros((numbers.positive_rois, 2 * numbers.mask_px, 2 * numbers.mask_px), np.float32)
    if count:
        deltas[:count] = b.encode_deltas(regions[:count], truth[owner], numbers.spread)
        masks[:count] = crop_masks(instances, owner + 1, regions[:count], masks.shape[1])
    rows = np.arange(numbers.rois)
    return regions, {"classes": (rows < count).astype(np.int32), "known": (rows < total).astype(np.float32),
                     "deltas": deltas, "masks": masks}  # fmt: skip


def _sample_indices(rng, mask, count):
    ids = np.flatnonzero(mask)
    return rng.choice(ids, min(count, len(ids)), replace=False)


def crop_masks(instances, numbers, boxes, size):
    """Return the mask of each object in its box: rounded bilinear samples as in `align.crop_and_resize`.

    Parameters
    ----------
    instances : int array, shape (H, W)
    numbers : int array, shape (n,)
        Object of each box.
    boxes : float array, shape (n, 4)
        In pixels, inside of the image.
    size : int
        Samples along each side.

    Returns
    -------
    float32 array, shape (n, size, size)
        0 or 1.

    Examples
    --------
    >>> crop_masks(np.array([[5, 5, 0, 5]]), np.array([5]), np.array([[0, 0, 1, 4]]), 4)[0, 0].tolist()
    [1.0, 1.0, 0.0, 1.0]
    """
    steps = np.linspace(0, 1, size)
    ends = boxes - np.array([0, 0, 1, 1])
    taps = []
    for axis, length in enumerate(instances.shape):
        position = ends[:, axis, None] + (ends[:, axis + 2] - ends[:, axis])[:, None] * steps  # (n, size)
        position = np.clip(position, 0, length - 1)
        low = np.floor(position).astype(int)
        taps.append((low, np.minimum(low + 1, length - 1), position - low))
    (top, bottom, above), (left, right, before) = taps

    def at(row, column):
        return instances[row[:, :, None], column[:, None, :]] == numbers[:, None, None]  # (n, size, size)

    above, before = above[:, :, None], before[:, None, :]
    upper = at(top, left) * (1 - before) + at(top, right) * before
    lower = at(bottom, left) * (1 - before) + at(bottom, right) * before
    return np.rint(upper * (1 - above) + lower * above).astype(np.float32)
