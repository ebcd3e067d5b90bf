"""Convert the outputs of the proposal net to proposals, boxes that may contain an object."""

import numpy as np

from . import boxes as b

# A dropped box causes a warning if its object probability is above 0.5 and no proposal covers the same object.
MIN_PROBABILITY = 0.5
SAME_OBJECT_IOU = 0.5  # IoU from which two boxes cover the same object
CHUNK = 1024  # boxes that are compared at once


def propose(logits, deltas, anchors, shape, *, spread, candidates, overlap, limit):
    """Return boxes that may contain an object, in the order of falling probability.

    Parameters
    ----------
    logits : float array, shape (A, 2)
        Background and object.
    deltas : float array, shape (A, 4)
    anchors : float array, shape (A, 4)
    shape : (int, int)
        Height and width of the image; boxes are clipped to it.
    spread : sequence of 4 float
        Standard deviations of the deltas.
    candidates, limit : int
        Largest numbers of anchors and of returned boxes.
    overlap : float
        IoU above which the box with the lower score is dropped.

    Returns
    -------
    boxes : float32 array, shape (n, 4)
    warnings : tuple of str
        A sentence for each limit that dropped a probable object without a proposal.

    Examples
    --------
    >>> anchors = np.float32([[0, 0, 8, 8], [0, 1, 8, 9], [-4, 4, 4, 12]])
    >>> logits = np.float32([[0, 2], [0, 1], [0, 3]])
    >>> propose(logits, np.zeros((3, 4), np.float32), anchors, (16, 16), spread=(0.1, 0.1, 0.2, 0.2), candidates=9,
    ...         overlap=0.5, limit=9)[0].tolist()
    [[0.0, 4.0, 4.0, 12.0], [0.0, 0.0, 8.0, 8.0]]
    """
    margin = logits[:, 1] - logits[:, 0]  # the softmax increases with it
    order = np.argsort(-margin, kind="stable")

    def boxes_of(chosen):
        return b.clip(b.decode_deltas(anchors[chosen], deltas[chosen], spread), shape)

    chosen = order[:candidates]
    boxes = boxes_of(chosen)
    inside = b.areas(boxes) >= 1
    boxes, chosen = boxes[inside], chosen[inside]
    kept = b.nms(boxes, margin[chosen], overlap=overlap, limit=limit)
    proposals = boxes[kept].astype(np.float32)
    min_margin = np.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY))
    rest = order[candidates:]
    warnings = _limit_warning("candidates", candidates, boxes_of(rest[margin[rest] > min_margin]), proposals)
    if len(kept) == limit:
        rest = boxes[kept[-1] + 1 :][margin[chosen][kept[-1] + 1 :] > min_margin]
        warnings += _limit_warning("proposals", limit, rest, proposals)
    return proposals, warnings


def _limit_warning(name, limit, boxes, proposals):
    """Return a warning if any of the dropped boxes covers an object without a proposal."""
    boxes = boxes[b.areas(boxes) >= 1]
    chunks = (boxes[start : start + CHUNK] for start in range(0, len(boxes), CHUNK))
    if all((b.iou(chunk, proposals) >= SAME_OBJECT_IOU).any(axis=1).all() for chunk in chunks):
        return ()
    return (
        f"the limit of {limit} {name} dropped boxes that probably contain objects; raise `{name}` or use smaller tiles",
    )
