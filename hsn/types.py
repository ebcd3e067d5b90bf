"""What crosses the arrows of the house: plain records of arrays."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .taxonomies import Taxonomy


class Targets(NamedTuple):
    """What to learn, and how surely it is known.

    Attributes
    ----------
    target : float32 array
        What to learn; its meaning is the supervision's.
    weight : float32 array, same leading shape
        0 where nothing is known, 1 where `target` is certain.
    """

    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Segmentation:
    """What a trained net says of one image.

    Attributes
    ----------
    labels : int32 (H, W)
        Class index into `taxonomy`.
    instances : int32 (H, W) or None
        0 background, 1..n objects without gaps; None where the model tells no objects apart.
    evidence : float32 (H, W, C) in [0, 1]
        What the net saw, per class of `taxonomy`.
    scores : float32 (C,) in [0, 1]
        How surely each class is somewhere in the image.
    taxonomy : Taxonomy
        Names and colours of the classes.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> Segmentation(np.array([[0, 1]]), None, np.eye(2)[None], np.ones(2), GLAS)
    Segmentation(1 x 2, Other, G.O)
    """

    labels: np.ndarray
    instances: np.ndarray | None
    evidence: np.ndarray
    scores: np.ndarray
    taxonomy: Taxonomy

    def __repr__(self) -> str:
        height, width = self.labels.shape
        present = [self.taxonomy.names[k] for k in np.unique(self.labels)]
        objects = "" if self.instances is None else f", {int(self.instances.max(initial=0))} instances"
        return f"Segmentation({height} x {width}, {', '.join(present)}{objects})"


@dataclass(frozen=True)
class History:
    """What happened while a net learned: one row of numbers an epoch.

    Attributes
    ----------
    epochs : tuple of dict
        Per epoch its number, learning rate, losses and validation scores.
    best : int or None
        Index into `epochs` of the one whose weights were kept.
    """

    epochs: tuple[dict, ...] = field(default_factory=tuple)
    best: int | None = None

    def column(self, name: str) -> list[Any]:
        """One measured number over all epochs, as a list; None where an epoch lacks it."""
        return [row.get(name) for row in self.epochs]
