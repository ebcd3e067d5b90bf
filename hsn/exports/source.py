"""Describe a result to export: arrays of one image, or a store of a slide."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from ..instances import renumber
from ..limits import SEGMENT_PIXELS
from ..objects.table import ObjectTable
from ..taxonomies import Taxonomy
from ..types import Segmentation
from .measure import class_parts


@dataclass(frozen=True)
class ExportSource:
    """Result of one image or slide, for the writers of files.

    Rasters are NumPy arrays or anything that is sliced like one (`zarr.Array`); writers load them in blocks.

    Attributes
    ----------
    name : str
        Name of the image; the UUIDs of the objects depend on it.
    taxonomy : Taxonomy
    tables : callable
        ``() -> iterable of ObjectTable``: the objects with outlines, in parts.
    labels : integer array (H, W)
        Class indices.
    instances : integer array (H, W) or None
        0 background, 1..n objects.
    probabilities : array (H, W, C) or None
        float in [0, 1], or uint8 where 255 is 1.
    image : uint8 array (H, W, 3) or None
        For reports of slides: anything that is sliced like one, at level 0, with a method ``resized(height, width)``.
    mpp : float or None
        Micrometers per pixel; None if unknown.
    tissue : bool array (h, w) or None
        Mask of the pixels that were segmented, at any scale. None: all.
    about : dict
        Settings and origin of the result, for its report. Default: empty.
    """

    name: str
    taxonomy: Taxonomy
    tables: Callable[[], Iterable[ObjectTable]]
    labels: Any
    instances: Any = None
    probabilities: Any = None
    image: Any = None
    mpp: float | None = None
    tissue: np.ndarray | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return tuple(self.labels.shape[:2])


def source_of(result: Segmentation) -> ExportSource:
    """Return the source of a segmentation in memory.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.taxonomies import NUCLEI
    >>> labels = np.array([[0, 1]])
    >>> source_of(Segmentation(labels, labels, np.eye(2)[None], np.ones(2), NUCLEI)).shape
    (1, 2)
    """
    return ExportSource(
        name=result.name,
        taxonomy=result.taxonomy,
        tables=lambda: [result.objects],
        labels=result.labels,
        instances=result.instances,
        probabilities=result.probabilities,
        image=result.image,
        mpp=result.mpp,
    )


def whole_raster(raster: Any, kind: str) -> np.ndarray:
    """Return a raster as one array, for formats that hold whole images.

    Raises
    ------
    InputError
        "raster-too-large".
    """
    pixels = raster.shape[0] * raster.shape[1]
    if pixels > SEGMENT_PIXELS:
        raise InputError(
            "raster-too-large",
            f"an image for the format {kind!r} must have at most {SEGMENT_PIXELS:,} pixels",
            got=f"{pixels:,}",
            hint="use geojson, geoparquet, ome-tiff or ome-zarr for slides",
        )
    return np.asarray(raster[:])


def whole_objects(source: ExportSource, kind: str) -> np.ndarray:
    """Return the numbered objects of an image, int32 (H, W): 1..n; without instances, the parts of the classes.

    Raises
    ------
    InputError
        "raster-too-large".
    """
    labels = whole_raster(source.labels, kind)
    parts = class_parts(labels, source.taxonomy) if source.instances is None else source.instances
    return renumber(whole_raster(parts, kind))[0]
