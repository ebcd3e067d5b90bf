"""Targets: which anchors and regions are objects, how their boxes must change, and their masks.

What is not said of an anchor or a region has weight 0; so has what would be background where nothing is known.
"""

import numpy as np

from . import boxes as b

DOUBTFUL = 0.5  # share of a box that lies where nothing is known, from which it is no background


def anchor_targets(anchors, truth, numbers, rng, *, unknown=None):
    """What the proposal net should say of anchors.

    An anchor whose best IoU with an object is below `rpn_negative` is background; one of `rpn_positive` or more is an
    object, and so are the best ones of each object. Of these `rpn_drawn` are drawn, at most half of them objects. An
    anchor is to move to the object that it overlaps most.

    Parameters
    ----------
    anchors : float array, shape (A, 4)
    truth : float array, shape (n, 4)
        Boxes of the objects; n may be 0.
    numbers : Numbers
    rng : numpy.random.Generator
    unknown : bool array, shape (H, W), optional
        Where there may be objects that are not told.

    Returns
    -------
    dict of float32 arrays
        ``objects`` (A,) 0 or 1; ``known`` (A,) 0 or 1; ``deltas`` (A, 4), of use where an anchor is an object.

    Examples
    --------
    >>> from .presets import PAPER
    >>> anchors = np.float32([[0, 0, 8, 8], [0, 2, 8, 10], [0, 5, 8, 13], [20, 20, 28, 28]])
    >>> made = anchor_targets(anchors, np.float32([[0, 0, 8, 8]]), PAPER, np.random.default_rng(0))
    >>> made["objects"].tolist(), made["known"].tolist()
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
        objects |= ((table == top) & (top > 0)).any(axis=1)  # an object that no anchor meets has none
        positive = np.flatnonzero(objects)
        deltas[positive] = b.encode(anchors[positive], truth[owner[positive]], numbers.spread)
    negative &= ~objects & ~_doubtful(anchors, unknown)
    drawn = _draw(rng, objects, numbers.rpn_drawn // 2)
    known = drawn | _draw(rng, negative, numbers.rpn_drawn - drawn.sum())
    return {"objects": objects.astype(np.float32), "known": known.astype(np.float32), "deltas": deltas}


def _doubtful(boxes, unknown):
    """Which boxes lie where nothing is known, bool (n,)."""
    return np.zeros(len(boxes), bool) if unknown is None else b.shares(unknown, boxes) >= DOUBTFUL


def _draw(rng, among, count):
    """At most `count` of those that are marked, as marks."""
    drawn = np.zeros_like(among)
    ids = np.flatnonzero(among)
    drawn[rng.choice(ids, min(count, len(ids)), replace=False)] = True
    return drawn


def roi_targets(proposals, instances, numbers, rng, *, unknown=None):
    """Draw regions for the heads to learn from, and what they should say of them.

    A region with an IoU of `roi_positive` or more with an object is that object. At most the share `roi_share` of
    `rois` is drawn from these, and of the others as many as keep that share; where no region is positive, all are
    background, so that an image without objects teaches too. Objects are of class 1.

    Parameters
    ----------
    proposals : float array, shape (m, 4)
    instances : int32 array, shape (H, W)
        0 background, 1..n.
    numbers : Numbers
    rng : numpy.random.Generator
    unknown : bool array, shape (H, W), optional
        Where there may be objects that are not told.

    Returns
    -------
    regions : float32 (rois, 4)
        In pixels, the positive ones first; zeros where there were no more.
    targets : dict of arrays
        ``classes`` int32 (rois,); ``known`` float32 (rois,), 0 where there is no region; ``deltas`` float32
        (rois, 4); ``masks`` float32 (positive_rois, 28, 28), 0 or 1, of the first regions.

    Examples
    --------
    >>> from .presets import PAPER
    >>> instances = np.zeros((64, 64), np.int32)
    >>> instances[8:16, 8:16] = 1
    >>> proposals = np.float32([[8, 8, 16, 16]] + [[30, k, 38, k + 8] for k in range(9)])
    >>> regions, made = roi_targets(proposals, instances, PAPER, np.random.default_rng(0))
    >>> made["classes"][:4].tolist(), made["known"][:4].tolist(), made["masks"][0].mean().item()
    ([1, 0, 0, 0], [1.0, 1.0, 1.0, 0.0], 1.0)
    """
    truth = b.around(instances)
    table = b.iou(proposals, truth) if len(truth) else np.zeros((len(proposals), 1), np.float32)
    positive = _some(rng, table.max(axis=1) >= numbers.roi_positive, numbers.positive_rois)
    owner = table[positive].argmax(axis=1)
    # "As many as keep the share" is 2.03 negatives to a positive at a share of 0.33.
    others = int(len(positive) / numbers.roi_share) - len(positive) if len(positive) else numbers.rois
    background = (table.max(axis=1) < numbers.roi_positive) & ~_doubtful(proposals, unknown)
    negative = _some(rng, background, min(others, numbers.rois - len(positive)))
    count, total = len(positive), len(positive) + len(negative)
    regions = np.zeros((numbers.rois, 4), np.float32)
    regions[:total] = proposals[np.concatenate([positive, negative])]
    deltas = np.zeros((numbers.rois, 4), np.float32)
    masks = np.zeros((numbers.positive_rois, 2 * numbers.mask_px, 2 * numbers.mask_px), np.float32)
    if count:
        deltas[:count] = b.encode(regions[:count], truth[owner], numbers.spread)
        masks[:count] = masks_in(instances, owner + 1, regions[:count], masks.shape[1])
    rows = np.arange(numbers.rois)
    return regions, {"classes": (rows < count).astype(np.int32), "known": (rows < total).astype(np.float32),
                     "deltas": deltas, "masks": masks}  # fmt: skip


def _some(rng, among, count):
    ids = np.flatnonzero(among)
    return rng.choice(ids, min(count, len(ids)), replace=False)


def masks_in(instances, numbers, boxes, size):
    """Each object's mask as seen in its box: bilinear samples as of `align.crop_and_resize`, rounded.

    Parameters
    ----------
    instances : int array, shape (H, W)
    numbers : int array, shape (n,)
        Whose mask each box wants.
    boxes : float array, shape (n, 4)
        In pixels, inside the image.
    size : int
        Samples along each side.

    Returns
    -------
    float32 array, shape (n, size, size)
        0 or 1.

    Examples
    --------
    >>> masks_in(np.array([[5, 5, 0, 5]]), np.array([5]), np.array([[0, 0, 1, 4]]), 4)[0, 0].tolist()
    [1.0, 1.0, 0.0, 1.0]
    """
    steps = np.linspace(0, 1, size)
    ends = boxes - np.array([0, 0, 1, 1])
    taps = []
    for axis, length in enumerate(instances.shape):
        place = ends[:, axis, None] + (ends[:, axis + 2] - ends[:, axis])[:, None] * steps  # (n, size)
        place = np.clip(place, 0, length - 1)
        low = np.floor(place).astype(int)
        taps.append((low, np.minimum(low + 1, length - 1), place - low))
    (top, bottom, above), (left, right, before) = taps

    def at(row, column):
        return instances[row[:, :, None], column[:, None, :]] == numbers[:, None, None]  # (n, size, size)

    above, before = above[:, :, None], before[:, None, :]
    upper = at(top, left) * (1 - before) + at(top, right) * before
    lower = at(bottom, left) * (1 - before) + at(bottom, right) * before
    return np.rint(upper * (1 - above) + lower * above).astype(np.float32)
