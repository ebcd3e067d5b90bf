"""Records shared by all packages: targets, segmentations, training histories."""

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from .strips import count_labels, strips
from .taxonomies import Taxonomy


class Targets(NamedTuple):
    """Training target of one image, and its weight.

    Attributes
    ----------
    target : float32 array
        The values to learn; each method defines their meaning.
    weight : float32 array, same leading shape
        0 where the target is unknown, 1 where it is certain.
    """

    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Segmentation:
    """Result of a trained net for one image.

    Attributes
    ----------
    labels : int32 (H, W)
        Class index into `taxonomy`.
    instances : int32 (H, W) or None
        0 background, 1..n objects without gaps; None if the model does not separate objects.
    probabilities : float32 (H, W, C) in [0, 1]
        Per class of `taxonomy`. None in results that were read from files.
    scores : float32 (C,) in [0, 1]
        Per class, the probability that it is present in the image.
    taxonomy : Taxonomy
        Names and colors of the classes.
    image : uint8 (H, W, 3) or None
        The segmented image, for overlays.
    mpp : float or None
        Micrometers per pixel; None if unknown or only assumed.
    name : str
        Name of the image. Default: "image".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> Segmentation(np.array([[0, 1]]), None, np.eye(2)[None], np.ones(2), GLAS)
    Segmentation(1 x 2, Other, G.O)
    """

    labels: np.ndarray
    instances: np.ndarray | None
    probabilities: Any
    scores: np.ndarray
    taxonomy: Taxonomy
    image: np.ndarray | None = field(default=None, repr=False)
    mpp: float | None = None
    name: str = "image"

    def __repr__(self) -> str:
        height, width = self.labels.shape
        present = [name for name, pixels in self.areas_px.items() if pixels]
        objects = "" if self.instances is None else f", {int(self.instances.max(initial=0))} instances"
        return f"Segmentation({height} x {width}, {', '.join(present)}{objects})"

    @property
    def evidence(self) -> np.ndarray:
        """Return `probabilities`. Deprecated name."""
        warnings.warn("`evidence` is now `probabilities`", DeprecationWarning, stacklevel=2)
        return self.probabilities

    @property
    def counts(self) -> dict[str, int] | None:
        """Number of objects per class, dict of str to int; None if the model does not separate objects.

        Examples
        --------
        >>> from hsn.taxonomies import NUCLEI
        >>> Segmentation(np.array([[0, 1]]), np.array([[0, 1]]), np.eye(2)[None], np.ones(2), NUCLEI).counts
        {'Other': 0, 'Nucleus': 1}
        """
        if self.instances is None:
            return None
        classes = np.zeros(int(self.instances.max(initial=0)) + 1, np.int64)
        for rows in strips(self.labels.shape):
            classes[self.instances[rows]] = self.labels[rows]
        numbers = np.bincount(classes[1:], minlength=len(self.taxonomy)).tolist()
        return dict(zip(self.taxonomy.names, numbers, strict=True))

    @cached_property
    def objects(self) -> Any:
        """Table of the objects, `hsn.objects.table.ObjectTable`; measured at the first use.

        If the model does not separate objects, the connected parts of each class are the objects.

        Examples
        --------
        >>> from hsn.taxonomies import NUCLEI
        >>> result = Segmentation(np.array([[0, 1]]), np.array([[0, 1]]), np.eye(2)[None], np.ones(2), NUCLEI)
        >>> result.objects["class"].tolist(), result.objects["area_px2"].tolist()
        (['Nucleus'], [1.0])
        """
        return importlib.import_module("hsn.exports.measure").objects_of(self)

    @property
    def areas_px(self) -> dict[str, int]:
        """Number of pixels per class, dict of str to int.

        Examples
        --------
        >>> from hsn.taxonomies import GLAS
        >>> Segmentation(np.array([[0, 1, 1]]), None, np.ones((1, 3, 2)), np.ones(2), GLAS).areas_px
        {'Other': 1, 'G.O': 2}
        """
        numbers = count_labels(self.labels, minlength=len(self.taxonomy)).tolist()
        return dict(zip(self.taxonomy.names, numbers, strict=True))

    def save(
        self,
        folder: str | PathLike,
        *,
        name: str | None = None,
        formats: Sequence[str] | None = None,
        mpp: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Write the result as files; parameters as for `hsn.reports.results.save_segmentation`.

        Parameters
        ----------
        folder : path
        name : str
            Name of the files without suffix. Default: `self.name`.
        formats : sequence of str, optional
            Some of "labels", "instances", "overlay", "areas" and the formats of `hsn.export`: "geojson", "csv", ...
            Default: the first four, as far as they are available.
        mpp : float, optional
            Micrometers per pixel. Default: `self.mpp`.
        **options
            Options of `hsn.export`: `simplify_px`, `dicom_source`.

        Returns
        -------
        dict
            Content of `areas/NAME.json`: areas and scores of the classes, number of objects, paths of the files.

        Examples
        --------
        >>> import tempfile
        >>> from hsn.taxonomies import GLAS
        >>> result = Segmentation(np.array([[0, 1, 1]]), None, np.ones((1, 3, 2)), np.ones(2), GLAS)
        >>> sorted(result.save(tempfile.mkdtemp(), name="a")["files"])
        ['areas', 'labels']
        """
        # A lazy import, because reports are on a higher floor.
        results = importlib.import_module("hsn.reports.results")
        saved: dict[str, Any] = results.save_segmentation(
            self, folder, name=name or self.name, formats=formats, mpp=mpp or self.mpp, **options
        )
        return saved


@dataclass(frozen=True)
class History:
    """Numbers of a training run, one row per epoch.

    Attributes
    ----------
    epochs : tuple of dict
        Number, learning rate, losses and validation scores of each epoch.
    best : int or None
        Index of the best epoch in `epochs`; the trained net has its weights.
    """

    epochs: tuple[dict, ...] = field(default_factory=tuple)
    best: int | None = None

    def column(self, name: str) -> list[Any]:
        """Return one value of every epoch as a list; None for epochs without it."""
        return [row.get(name) for row in self.epochs]
