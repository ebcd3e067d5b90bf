"""Write results in the formats of other programs, straight from memory or later from a folder of results."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import collect_failures
from ..exports.formats import check_formats, write_export
from ..exports.source import ExportSource, source_of
from ..exports.stored import list_results, read_result
from ..files import check_writable
from ..notes import collect_notes
from ..progress import Progress, track
from ..types import Segmentation


def export(
    results: Segmentation | ExportSource | str | os.PathLike,
    formats: str | Sequence[str],
    out: str | os.PathLike,
    *,
    name: str | None = None,
    simplify_px: float = 0.0,
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
    kinds = check_formats([formats] if isinstance(formats, str) else formats)
    if isinstance(results, str | os.PathLike):
        batch = export_all(results, kinds, out, simplify_px=simplify_px, progress=progress)
        for sentence in batch.notes:
            warnings.warn(sentence, stacklevel=2)
        if batch.errors:
            raise batch.errors[0]
        return batch.files
    source = source_of(results) if isinstance(results, Segmentation) else results
    source = source if name is None else replace(source, name=name)
    return [write_export(source, Path(out), kind, simplify_px=simplify_px) for kind in kinds]


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
    progress: Progress | None = None,
) -> Exported:
    """Write all results of a folder; a result that cannot be exported does not stop the batch.

    The parameters are described in `export`.

    Returns
    -------
    Exported
    """
    kinds, areas = check_formats(formats), list_results(results)
    out = check_writable(out)
    exported = Exported([], [])
    with collect_notes() as notes:
        for path in track(areas, progress, "exporting"):
            with collect_failures(exported.failures, path.stem):
                try:
                    source = read_result(path)
                    exported.files.extend(
                        write_export(source, out, kind, simplify_px=simplify_px) for kind in kinds
                    )
                except Exception as error:
                    exported.errors.append(error)
                    raise
    return replace(exported, notes=notes.sentences())
