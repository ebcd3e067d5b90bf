"""Proposals: what the proposal net says of anchors becomes boxes that may hold an object."""

import numpy as np

from . import boxes as b
from .nms import nms

# A box that is left out is worth a word if it is more likely an object than not, and no proposal shows the same object.
LIKELY = 0.5
SAME = 0.5  # IoU from which two boxes show one object: heads learn to move one to the other
CHUNK = 1024  # boxes compared at once


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
        Which limit left out boxes that are more likely objects than not, and that no proposal stands for.

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

    def shown(chosen):
        return b.clip(b.decode(anchors[chosen], deltas[chosen], spread), shape)

    looked = best[:candidates]
    boxes = shown(looked)
    whole = b.areas(boxes) >= 1  # what lies outside is no proposal
    boxes, looked = boxes[whole], looked[whole]
    kept = nms(boxes, lead[looked], overlap=overlap, limit=limit)
    proposals = boxes[kept].astype(np.float32)
    likely = np.log(LIKELY / (1 - LIKELY))
    rest = best[candidates:]
    said = _left_out("candidates", candidates, shown(rest[lead[rest] > likely]), proposals)
    if len(kept) == limit:
        rest = boxes[kept[-1] + 1 :][lead[looked][kept[-1] + 1 :] > likely]
        said += _left_out("proposals", limit, rest, proposals)
    return proposals, said


def _left_out(name, limit, boxes, proposals):
    """A sentence if any of these boxes shows an object that no proposal shows."""
    boxes = boxes[b.areas(boxes) >= 1]
    chunks = (boxes[start : start + CHUNK] for start in range(0, len(boxes), CHUNK))
    if all((b.iou(chunk, proposals) >= SAME).any(axis=1).all() for chunk in chunks):
        return ()
    return (
        f"the limit of {limit} {name} left out boxes that are likely objects; raise `{name}` or use smaller tiles",
    )
