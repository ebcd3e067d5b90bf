"""Proposals: what the proposal net says of anchors becomes boxes that may hold an object."""

import numpy as np

from . import boxes as b
from .nms import nms

LIKELY = 0.5  # a proposal that is left out although it is more likely an object than not is worth a word


def propose(logits, deltas, anchors, shape, *, spread, candidates, overlap, limit):
    """Boxes that may hold an object, the likeliest first.

    Parameters
    ----------
    logits : float array, shape (A, 2)
        Background and object.
    deltas : float array, shape (A, 4)
    anchors : float array, shape (A, 4)
    shape : (int, int)
        Height and width of the image; boxes end there.
    spread : sequence of 4 float
        What deltas were divided by.
    candidates, limit : int
        How many anchors are looked at, and how many boxes are given, at most.
    overlap : float
        IoU above which the lower of two boxes goes.

    Returns
    -------
    boxes : float32 array, shape (n, 4)
    said : tuple of str
        Which limit left out boxes that are more likely objects than not.

    Examples
    --------
    >>> anchors = np.float32([[0, 0, 8, 8], [0, 1, 8, 9], [-4, 4, 4, 12]])
    >>> logits = np.float32([[0, 2], [0, 1], [0, 3]])
    >>> propose(logits, np.zeros((3, 4), np.float32), anchors, (16, 16), spread=(0.1, 0.1, 0.2, 0.2), candidates=9,
    ...         overlap=0.5, limit=9)[0].tolist()
    [[0.0, 4.0, 4.0, 12.0], [0.0, 0.0, 8.0, 8.0]]
    """
    lead = logits[:, 1] - logits[:, 0]  # the softmax rises with it
    best = np.argsort(-lead, kind="stable")
    said = _left_out("candidates", candidates, lead[best[candidates:]])
    best = best[:candidates]
    boxes = b.clip(b.decode(anchors[best], deltas[best], spread), shape)
    whole = b.areas(boxes) >= 1  # what lies outside is no proposal
    boxes, lead = boxes[whole], lead[best[whole]]
    kept = nms(boxes, lead, overlap=overlap, limit=limit + 1)  # one more tells whether any is left out
    said += _left_out("proposals", limit, lead[kept[limit:]])
    return boxes[kept[:limit]].astype(np.float32), said


def _left_out(name, limit, lead):
    likely = np.log(LIKELY / (1 - LIKELY))
    if not (lead > likely).any():
        return ()
    return (
        f"the limit of {limit} {name} left out boxes that are likely objects; raise `{name}` or use smaller tiles",
    )
