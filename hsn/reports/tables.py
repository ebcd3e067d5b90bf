"""Write scores as CSV, with the file names of HistoSegNet's release."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import atomic_write, csv_text
from ..metrics.classes import ClassScores


def write_ablation(folder: str | PathLike, results: Mapping[str, Mapping[str, ClassScores]]) -> list[Path]:
    """Write the scores of each stage to `metric_results_<stage>.csv`.

    The first two columns of each set are those of the release: `<set>_fIoU` (inverse-log-frequency IoU) and
    `<set>_mIoU` (absent classes count as 0). The standard scores follow.

    Parameters
    ----------
    folder : path
    results : dict of str to dict of str to ClassScores
        Scores by stage ("GradCAM", "Adjust", "CRF") and set ("morph", "func", "glas").

    Returns
    -------
    list of Path
        The written files.

    Raises
    ------
    InputError
        "stage-name-invalid" if the name of a stage cannot be part of a file name.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.metrics.classes import class_scores
    >>> scores = class_scores([[5, 0], [0, 5]], ("Other", "G.O"))
    >>> [path.name for path in write_ablation(tempfile.mkdtemp(), {"CRF": {"glas": scores}})]
    ['metric_results_CRF.csv']
    """
    paths = []
    for stage, sets in results.items():
        if not stage.replace("-", "").replace("_", "").isalnum():
            raise InputError(
                "stage-name-invalid",
                "the name of a stage must consist of letters, digits, - and _",
                got=repr(stage),
                hint="rename the stage",
            )
        row = {}
        for name, scores in sets.items():
            row[f"{name}_fIoU"] = scores.inverse_log_frequency_iou
            row[f"{name}_mIoU"] = scores.mean_iou_absent_zero
            row[f"{name}_mIoU_of_present_classes"] = scores.mean_iou
            row[f"{name}_frequency_weighted_IoU"] = scores.frequency_weighted_iou
            row[f"{name}_pixel_accuracy"] = scores.pixel_accuracy
        paths.append(Path(folder) / f"metric_results_{stage}.csv")
        write_rows(paths[-1], [row])
    return paths


def write_classes(path: str | PathLike, scores: ClassScores) -> None:
    """Write the scores of each class, one row per class; `<set>_IoU_metric_results.csv` in the release.

    Parameters
    ----------
    path : path
    scores : ClassScores
        Undefined scores are left empty.
    """
    columns = ("pixels", "iou", "dice", "precision", "recall")
    write_rows(path, [
        {"class": name, **{column: getattr(scores, column)[k] for column in columns}}
        for k, name in enumerate(scores.names)
    ])  # fmt: skip


def write_rows(path: str | PathLike, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal columns as CSV with a header; NaN and None are empty cells.

    Parameters
    ----------
    path : path
    rows : list of dict
        One or more.

    Raises
    ------
    InputError
        "rows-columns-mismatch" without rows, or if the columns differ.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "t.csv"
    >>> write_rows(path, [{"class": "G.O", "iou": 0.25}, {"class": "T", "iou": float("nan")}])
    >>> path.read_text().split()
    ['class,iou', 'G.O,0.25', 'T,']
    """
    columns = list(rows[0]) if rows else []
    if not columns or any(list(row) != columns for row in rows):
        raise InputError(
            "rows-columns-mismatch",
            f"the rows of {path} must have equal columns, {columns or 'and one or more rows'}",
            got=[list(row) for row in rows][:2],
            hint="give every row the same keys",
        )
    with atomic_write(Path(path)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> Any:
    """Return the value of a cell; numbers keep full precision."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, str):
        return csv_text(value)
    return value.item() if isinstance(value, np.generic) else value


def text_table(heading: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """Return lines of text in columns.

    Examples
    --------
    >>> print(text_table(("class", "IoU"), [("G.O", "0.5")]))
    class  IoU
    G.O    0.5
    """
    cells = [tuple(map(str, row)) for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in padded)
