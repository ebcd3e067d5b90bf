"""The result of a run over a slide: arrays stay in the store and are read when they are needed."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..store.arrays import open_array
from ..store.folder import ARRAYS
from ..taxonomies import Taxonomy
from .export import read_table
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
    """

    folder: Path
    summary: dict[str, Any]
    taxonomy: Taxonomy = field(repr=False)

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
    def objects(self) -> dict[str, np.ndarray]:
        """Table of the objects: columns of `objects.csv` by name."""
        return read_table(self.folder)

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects per class."""
        background, *others = self.taxonomy.names
        return {background: 0, others[0]: int(self.summary["objects"])}
