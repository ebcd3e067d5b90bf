"""Write results in the formats of other programs, straight from memory or later from a folder of results."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import collect_failures
from ..exports.formats import check_formats, write_export
from ..exports.source import ExportSource, source_of
from ..exports.stored import list_results, read_about, read_result
from ..files import check_writable
from ..notes import collect_notes
from ..progress import Progress, track
from ..reports.html import write_page
from ..reports.results import REPORT, page_of, write_summary_page
from ..store.folder import RUN
from ..types import Segmentation


def export(
    results: Segmentation | ExportSource | str | os.PathLike,
    formats: str | Sequence[str],
    out: str | os.PathLike,
    *,
    name: str | None = None,
    simplify_px: float = 0.0,
    dicom_source: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write results in the formats of other programs.

    Parameters
    ----------
    results : Segmentation, or path
        A result, or the folder that `hsn segment` wrote.
    formats : str or sequence of str
        "geojson", "geojson.gz" (QuPath), "csv", "parquet", "geoparquet", ...; `hsn export --help` lists all.
    out : path
        Folder for the files, ``out/FORMAT/NAME.suffix``.
    name : str, optional
        Name of the files of one result. Default: that of its image.
    simplify_px : float
        Largest deviation of simplified outlines in pixels. Default: 0, the exact borders of the pixels.
    dicom_source : path, optional
        DICOM series of the slide, required for "dicom".
    progress : callable, optional
        Receives progress events and can cancel; see `hsn.progress`.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    InputError
        "formats-unknown", "<package>-missing", "results-missing", or the code of the first result that cannot be
        exported.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hsn.taxonomies import NUCLEI
    >>> labels = np.array([[0, 1, 1, 0]])
    >>> result = Segmentation(labels, labels, np.ones((1, 4, 2)), np.ones(2), NUCLEI)
    >>> [path.name for path in export(result, ["geojson", "csv"], tempfile.mkdtemp())]
    ['image.geojson', 'image.csv']
    """
    kinds = check_formats([formats] if isinstance(formats, str) else formats, others=[REPORT])
    options: dict[str, Any] = {"simplify_px": simplify_px, "dicom_source": dicom_source}
    if isinstance(results, str | os.PathLike):
        batch = export_all(results, kinds, out, progress=progress, **options)
        for sentence in batch.notes:
            warnings.warn(sentence, stacklevel=2)
        if batch.errors:
            raise batch.errors[0]
        return batch.files
    source = source_of(results) if isinstance(results, Segmentation) else results
    source = source if name is None else replace(source, name=name)
    return [_write(source, Path(out), kind, {}, options)[0] for kind in kinds]


def _write(
    source: ExportSource, out: Path, kind: str, about: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Write one format; return its path and, for a report, the numbers of its image."""
    if kind != REPORT:
        return write_export(source, out, kind, **options), {}
    path = page_of(out, source.name)
    return path, write_page(path, source, about)


def _read(areas: Path) -> tuple[ExportSource, Callable[[], ExportSource]]:
    """Return the stored result of an image, or of a slide, whose run folder is beside; and that for its report."""
    folder = areas.parent.parent / areas.stem
    if not (folder / RUN).is_file():
        source = read_result(areas)
        return source, lambda: source
    from ..wsi.result import open_result  # it loads Keras, which images do not need
    from .slide_report import report_source

    result, about = open_result(folder), read_about(areas)
    named = partial(replace, name=areas.stem, about=about)
    return named(result.source), lambda: named(report_source(result, about))


@dataclass(frozen=True)
class Exported:
    """Result of the export of several results.

    Attributes
    ----------
    files : list of pathlib.Path
    failures : list of (str, str)
        Results that could not be exported, and the reasons.
    notes : list of str
        What was assumed.
    errors : list of Exception
        The errors of `failures`.
    """

    files: list[Path]
    failures: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


def export_all(
    results: str | os.PathLike,
    formats: Sequence[str],
    out: str | os.PathLike,
    *,
    simplify_px: float = 0.0,
    dicom_source: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write all results of a folder; a result that cannot be exported does not stop the batch.

    The parameters are described in `export`.

    Returns
    -------
    Exported
    """
    kinds, areas = check_formats(formats, others=[REPORT]), list_results(results)
    options: dict[str, Any] = {"simplify_px": simplify_px, "dicom_source": dicom_source}
    numbers: dict[str, dict[str, Any]] = {}
    out = check_writable(out)
    exported = Exported([], [])
    with collect_notes() as notes:
        for path in track(areas, progress, "exporting"):
            with collect_failures(exported.failures, path.stem):
                try:
                    source, for_report = _read(path)
                    for kind in kinds:
                        shown = for_report() if kind == REPORT else source
                        file, row = _write(shown, out, kind, source.about, options)
                        exported.files.append(file)
                        if kind == REPORT:
                            numbers[source.name] = row
                except Exception as error:
                    exported.errors.append(error)
                    raise
    if numbers:
        exported.files.append(write_summary_page(out, list(numbers.values()), list(numbers)))
    return replace(exported, notes=notes.sentences())
