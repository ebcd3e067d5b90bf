"""Write the report of a slide: its pixels and its tables come from files, not from memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..exports.read import read_objects
from ..exports.source import ExportSource
from ..files import plain
from ..images.slide import Slide, open_slide
from ..notes import note
from ..reports.html import write_page
from ..reports.results import REPORT, page_of
from ..wsi.result import SlideResult


def write_report(result: SlideResult, about: Mapping[str, Any], out: Path, name: str) -> dict[str, Any]:
    """Write ``out/report/NAME.html``; return what it adds to the file of areas: `numbers` and `files`.

    Parameters
    ----------
    result : SlideResult
    about : dict
        Content of the file of areas.
    out : path
    name : str
    """
    path = page_of(out, name)
    numbers = write_page(path, replace(report_source(result, about), name=name), about)
    return {"numbers": plain(numbers), "files": {**about["files"], REPORT: str(path)}}


def report_source(result: SlideResult, about: Mapping[str, Any]) -> ExportSource:
    """Return a slide as the source of its report: with its pixels, if the file is still there, and the stored table."""
    slide: Any = result.job.slide
    if not isinstance(slide, Slide):
        try:
            slide = open_slide(slide.path, mpp=slide.mpp)
        except InputError:
            note("slides are gone, so reports have no pictures", slide.path)
            slide = None
    table = Path(about["files"]["csv"])
    source = replace(result.source, image=None if slide is None else SlideImage(slide), tissue=result.tissue)
    if not table.is_file():
        return source
    # Positions are of level 0, and so is the scale of the pictures.
    return replace(source, tables=lambda: [read_objects(table, mpp=result.job.slide.mpp)])


class SlideImage:
    """A slide that is sliced like an image of level 0, ``image[top:bottom, left:right]``."""

    def __init__(self, slide: Slide) -> None:
        self._slide, self.shape = slide, (*slide.dimensions[::-1], 3)

    def __getitem__(self, box: tuple[slice, slice]) -> np.ndarray:
        (top, bottom, _), (left, right, _) = (
            part.indices(side) for part, side in zip(box, self.shape, strict=False)
        )
        return self._slide.read_level(top, left, bottom - top, right - left)

    def resized(self, height: int, width: int) -> np.ndarray:
        """Return the whole slide at a size, uint8 (height, width, 3)."""
        mpp = max(self._slide.mpp, self._slide.mpp * self.shape[0] / height)
        return cv2.resize(self._slide.thumbnail(mpp), (width, height), interpolation=cv2.INTER_AREA)
