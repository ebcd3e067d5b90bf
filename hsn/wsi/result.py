"""The result of a run over a slide: arrays stay in the store and are read when they are needed."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..exports.source import ExportSource
from ..objects.table import ObjectTable, concatenate
from ..store.arrays import open_array
from ..store.folder import ARRAYS
from ..taxonomies import Taxonomy
from .export import source_of
from .plan import Job
from .tasks import EVIDENCE, LABELS, TISSUE


@dataclass(frozen=True)
class SlideResult:
    """Result of a net for one slide.

    Attributes
    ----------
    folder : pathlib.Path
        The run folder.
    summary : dict
        Scale, classes with areas, number of objects, files, seconds.
    taxonomy : Taxonomy
    job : Job
        The run.
    """

    folder: Path
    summary: dict[str, Any]
    taxonomy: Taxonomy = field(repr=False)
    job: Job = field(repr=False)

    @property
    def instances(self) -> Any:
        """Label image of the objects at the net's scale: zarr.Array, uint32 (H, W); index it to read a part."""
        return open_array(self.folder / ARRAYS, LABELS)

    @property
    def probabilities(self) -> Any:
        """Output of the net times 255: zarr.Array, uint8 (C, H, W), at the net's scale."""
        return open_array(self.folder / ARRAYS, EVIDENCE)

    @property
    def tissue(self) -> np.ndarray:
        """Mask of the tissue, bool (H, W)."""
        return np.asarray(open_array(self.folder / ARRAYS, TISSUE)[:]) > 0

    @cached_property
    def objects(self) -> ObjectTable:
        """Table of all objects with outlines, in memory; `source.tables()` gives it in parts."""
        return concatenate(list(self.source.tables()))

    @property
    def source(self) -> ExportSource:
        """The result as the source of `hsn.export`."""
        return source_of(self.job, self.taxonomy)

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects per class."""
        background, *others = self.taxonomy.names
        return {background: 0, others[0]: int(self.summary["objects"])}
