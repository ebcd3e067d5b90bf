"""The result of a run over a slide: arrays stay in the store and are read when they are needed."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..errors import InputError
from ..exports.source import ExportSource
from ..files import read_text
from ..objects.table import ObjectTable, concatenate
from ..store.arrays import open_array
from ..store.folder import ARRAYS, RUN
from ..taxonomies import Taxonomy, TissueClass
from .export import source_of
from .plan import OBJECTS, Job, StoredSlide
from .tasks import EVIDENCE, OBJECT_IDS, TISSUE


def open_result(folder: str | PathLike) -> "SlideResult":
    """Open the finished result of a slide.

    Parameters
    ----------
    folder : path
        The run folder, ``OUT/NAME``.

    Returns
    -------
    SlideResult

    Raises
    ------
    InputError
        "result-damaged" if the folder does not hold a finished run.
    """
    folder = Path(folder)
    record: dict[str, Any] = {}
    try:
        record = json.loads(read_text(folder / RUN))
        about, plan = record["slide"], record["plan"]
        slide = StoredSlide(Path(about["path"]), (about["width"], about["height"]), plan["slide"]["mpp"])
        classes = tuple(TissueClass(row["name"], tuple(row["color"])) for row in record["classes"])
        job = Job(slide, plan["model"]["name"], str(folder), plan, record["block_px"], uuid4().hex)
        return SlideResult(folder, record["summary"], Taxonomy(plan["taxonomy"], classes), job)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "result-damaged", f"{folder} must hold a finished run over a slide", got=record.get("state", "other files"),
            hint="run `hsn segment` again; it continues",
        ) from None  # fmt: skip


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
        """Label image of the objects at the net's scale: zarr.Array, uint32 (H, W); index it to read a part.

        None if the net labels classes.
        """
        return open_array(self.folder / ARRAYS, OBJECT_IDS) if self.job.kind == OBJECTS else None

    @property
    def labels(self) -> Any:
        """Class of each pixel at the net's scale, (H, W); index it to read a part. The first class off the tissue."""
        return self.source.labels

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
        """Table of all objects, or parts of classes, with outlines, in memory; `source.tables()` gives it in parts."""
        return concatenate(list(self.source.tables()))

    @property
    def source(self) -> ExportSource:
        """The result as the source of `hsn.export`."""
        return source_of(self.job, self.taxonomy)

    @property
    def counts(self) -> dict[str, int] | None:
        """Number of objects per class; None if the net labels classes."""
        if self.job.kind != OBJECTS:
            return None
        background, *others = self.taxonomy.names
        return {background: 0, others[0]: int(self.summary["objects"])}
