"""Tables: scores as CSV, under the file names that users of HistoSegNet's release know."""

import csv
from pathlib import Path

import numpy as np

from ..errors import refuse
from ..files import atomic_write


def write_ablation(folder, results):
    """Write how each stage scored: one `metric_results_<stage>.csv` a stage.

    The first two columns of each set are the release's: `<set>_fIoU` (inverse-log-frequency IoU) and `<set>_mIoU`
    (absent classes count 0). The usual scores follow under names that say what they are.

    Parameters
    ----------
    folder : path
    results : dict of str to dict of str to ClassScores
        By stage ("GradCAM", "Adjust", "CRF"), then by set ("morph", "func", "glas").

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If a stage's name cannot be part of a file name.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.metrics.classes import class_scores
    >>> right = class_scores([[5, 0], [0, 5]], ("Other", "G.O"))
    >>> [path.name for path in write_ablation(tempfile.mkdtemp(), {"CRF": {"glas": right}})]
    ['metric_results_CRF.csv']
    """
    paths = []
    for stage, sets in results.items():
        if not stage.replace("-", "").replace("_", "").isalnum():
            refuse("a stage names a file", expected="letters, digits, - and _", received=repr(stage),
                   remedy="rename the stage")  # fmt: skip
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


def write_classes(path, scores):
    """Write the scores of each class, one row a class; the release calls such a file `<set>_IoU_metric_results.csv`.

    Parameters
    ----------
    path : path
    scores : ClassScores
        A score that does not exist is left empty.
    """
    columns = ("pixels", "iou", "dice", "precision", "recall")
    write_rows(path, [
        {"class": name, **{column: getattr(scores, column)[k] for column in columns}}
        for k, name in enumerate(scores.names)
    ])  # fmt: skip


def write_rows(path, rows):
    """Write rows of equal columns as CSV with a heading; numbers in full, NaN and None as empty cells.

    Parameters
    ----------
    path : path
    rows : list of dict
        At least one.

    Raises
    ------
    InputError
        If there is no row, or rows differ in their columns.

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
        refuse(f"{path} needs rows of equal columns", expected=columns or "at least one row",
               received=[list(row) for row in rows][:2], remedy="give every row the same keys")  # fmt: skip
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value):
    """A value as it is written: Python's shortest exact form for numbers."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    return value.item() if isinstance(value, np.generic) else value
