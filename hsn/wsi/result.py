"""The result of a run over a slide: arrays stay in the store and are read when they are needed."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..errors import InputError
from ..exports.source import ExportSource
from ..files import read_text
from ..images.slide import open_slide
from ..objects.table import ObjectTable, concatenate
from ..store.arrays import open_array
from ..store.folder import ARRAYS, DONE, RUN
from ..taxonomies import Taxonomy
from .export import source_of
from .plan import Job
from .tasks import EVIDENCE, LABELS, TISSUE, WRITE


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


def reopen_result(folder: str | Path, slide: str | Path, taxonomy: Taxonomy) -> SlideResult:
    """Return the result of an earlier run, for example to export it.

    Parameters
    ----------
    folder : path
        The run folder, ``OUT/NAME``.
    slide : path
        The slide; its size and scale are needed.
    taxonomy : Taxonomy

    Returns
    -------
    SlideResult

    Raises
    ------
    InputError
        "run-unfinished" if the folder does not hold a finished run, or an error of the slide.
    """
    folder = Path(folder)
    try:
        record = json.loads(read_text(folder / RUN))
        plan, summary = record["plan"], record["summary"]
        written = max((folder / DONE).glob(f"{WRITE}-*"), key=lambda path: path.stat().st_mtime)
        block_px, mpp = int(written.name.rsplit("-", 1)[1]), float(plan["slide"]["mpp"])
        model = plan["model"]["name"]
    except (InputError, ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            "run-unfinished",
            f"{folder} must hold a finished run over a slide",
            got=f"{type(error).__name__}: {error}",
            hint="segment the slide again; finished parts are kept",
        ) from None
    job = Job(open_slide(slide, mpp=mpp), model, str(folder), plan, block_px, uuid4().hex)
    return SlideResult(folder, summary, taxonomy, job)
