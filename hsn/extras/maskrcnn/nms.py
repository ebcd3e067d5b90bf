"""Non-maximum suppression: of boxes that show the same object, the one of the highest score stays."""

import numpy as np

from .boxes import iou

BLOCK = 256  # boxes compared at once: the tables stay in the cache


def nms(boxes, scores, *, overlap, limit):
    """Choose boxes greedily by score; one that overlaps a chosen one goes.

    Blocks of falling score are taken one after the other. Within a block the greedy choice is the fixed point of
    "stay, unless one before you stays and overlaps you": after k rounds the first k boxes are decided, and overlaps
    chain so little that some three rounds settle all. A box is compared only with those that stayed before it and
    with its block.

    Parameters
    ----------
    boxes : float array, shape (n, 4)
    scores : float array, shape (n,)
    overlap : float
        IoU above which the lower box goes.
    limit : int
        How many are chosen, at most.

    Returns
    -------
    int array, shape (m,)
        Indices of the chosen boxes, by falling score; at equal scores the first comes first.

    Examples
    --------
    >>> boxes = np.float32([[0, 0, 4, 4], [0, 1, 4, 5], [9, 9, 12, 12]])
    >>> nms(boxes, np.array([0.5, 0.9, 0.7]), overlap=0.5, limit=9).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    chosen = np.zeros(0, order.dtype)
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        block = block[~(iou(boxes[block], boxes[chosen]) > overlap).any(axis=1)]
        chosen = np.concatenate([chosen, block[_settled(boxes[block], overlap)]])
        if len(chosen) >= limit:
            break
    return chosen[:limit]


def _settled(boxes, overlap):
    """Which boxes of a block stay, bool (k,); those before go first."""
    above = np.triu(
        iou(boxes, boxes) > overlap, k=1
    )  # (k, k): the first of the pair stands before the second
    stay = np.ones(len(boxes), bool)
    while True:
        again = ~(above & stay[:, None]).any(axis=0)
        if (again == stay).all():
            return stay
        stay = again
