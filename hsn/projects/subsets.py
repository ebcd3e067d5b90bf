"""Nested parts of an annotation: what a study would hold if its annotator had stopped earlier."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..annotations.annotation import Annotation, kinds_of, without

_FIELDS = {
    "scribbles": "scribbles",
    "points": "points",
    "boxes": "boxes",
}  # kinds that are counted one by one


def part_of(annotations: Sequence[Annotation], kind: str, share: float, *, seed: int) -> list[Annotation]:
    """Return annotations with a part of one kind; the other kinds stay, and a smaller part lies in a larger one.

    Clicks, scribbles and boxes: a share of those of each image, at least one. Outlines and tags: those of a share of
    the images, at least of one, because a part of the outlines of a complete region would make background of the rest.

    Parameters
    ----------
    annotations : sequence of Annotation
    kind : {"masks", "scribbles", "points", "boxes", "tags"}
    share : float
        0..1.
    seed : int

    Returns
    -------
    list of Annotation

    Examples
    --------
    >>> from hsn.annotations.annotation import Point
    >>> clicks = Annotation(points=tuple(Point(k, k) for k in range(8)))
    >>> [len(part_of([clicks], "points", share, seed=0)[0].points) for share in (0.01, 0.25, 1)]
    [1, 2, 8]
    """
    rng = np.random.default_rng(seed)
    if kind in _FIELDS:
        return [_part(annotation, _FIELDS[kind], share, rng) for annotation in annotations]
    having = rng.permutation([k for k, annotation in enumerate(annotations) if kind in kinds_of(annotation)])
    kept = set(having[: max(1, round(share * len(having)))].tolist())
    return [
        annotation if k in kept else without(annotation, (kind,)) for k, annotation in enumerate(annotations)
    ]


def _part(annotation: Annotation, field: str, share: float, rng: np.random.Generator) -> Annotation:
    items = getattr(annotation, field)
    order = rng.permutation(len(items))  # drawn for every share, so that parts are nested
    kept = sorted(order[: max(1, round(share * len(items)))].tolist()) if len(items) else []
    changes: dict[str, Any] = {field: tuple(items[k] for k in kept)}
    part = replace(annotation, **changes)
    # Complete regions are no longer complete.
    return replace(part, complete_region=()) if len(kept) < len(items) and field == "points" else part
