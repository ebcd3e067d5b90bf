"""Read and write tables of points: CSV or TSV with columns x, y and optionally the class.

Columns are found by their heading, in any order. Without a heading the first column is x and the second y. Coordinates
are in pixels; the center of the first pixel is (0, 0). Micrometers are rejected, because the file does not store the
scale.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError

_X = ("x", "col", "column", "x px", "x_px", "centroid x px", "axis-1")
_Y = ("y", "row", "y px", "y_px", "centroid y px", "axis-0")
_LABEL = ("label", "class", "classification")
_MICROMETERS = ("µm", "μm", "um", "micron")
_MAX_SHOWN = 200  # characters of a cell in a message


def parse(text: str, where: Path | str) -> tuple[list[tuple[float, float]], list[str | None]]:
    """Parse the points of a table.

    Parameters
    ----------
    text : str
    where : path or str
        Name of the file, for messages.

    Returns
    -------
    points : list of (float, float)
        Row and column.
    labels : list of (str or None)
        Class names.

    Raises
    ------
    InputError
        "table-malformed", "table-columns" or "point-coordinates".

    Examples
    --------
    >>> parse("label,y,x\\nstroma,1,30\\n", "clicks.csv")
    ([(1.0, 30.0)], ['stroma'])
    >>> parse("30;1,5", "clicks.csv")
    ([(1.5, 30.0)], [None])
    """
    first = text.split("\n", 1)[0]
    # A semicolon takes precedence, because "1,5;2,5" has decimal commas.
    delimiter = ";" if ";" in first else max(";\t,", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(
            "table-malformed", f"{where} must be a CSV or TSV table", got=error, hint="export it again"
        ) from None
    rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(lines, 1)]
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        return [], []
    decimal_comma = delimiter == ";"
    columns = _find_columns(rows[0][1], where, decimal_comma=decimal_comma)
    x, y, label = columns or (0, 1, 2)
    points: list[tuple[float, float]] = []
    labels: list[str | None] = []
    for number, row in rows[1:] if columns else rows:
        place = [_parse_number(row[k], decimal_comma) if k < len(row) else None for k in (y, x)]
        if place[0] is None or place[1] is None:
            raise InputError(
                "point-coordinates",
                f"{where}, line {number}, must have numbers x and y",
                got=repr(delimiter.join(row)[:_MAX_SHOWN]),
                hint="correct or delete the line",
            )
        points.append((place[0], place[1]))
        labels.append((row[label] or None) if label is not None and label < len(row) else None)
    return points, labels


def _find_columns(
    heading: list[str], where: Path | str, *, decimal_comma: bool
) -> tuple[int, int, int | None] | None:
    """Return the columns of x, y and the label; None if the first row is not a heading."""
    if len(heading) >= 2 and all(_parse_number(cell, decimal_comma) is not None for cell in heading[:2]):
        return None
    names = [name.lower() for name in heading]
    x, y, label = (
        next((names.index(name) for name in known if name in names), None) for known in (_X, _Y, _LABEL)
    )
    if x is None or y is None:
        metric = any(unit in name for name in names for unit in _MICROMETERS)
        raise InputError(
            "table-columns",
            f"{where} must have a heading with 'x,y' or 'row,col', or no heading",
            got=", ".join(heading)[:_MAX_SHOWN],
            hint="export in pixels, or divide by the scale" if metric else "name the columns",
        )
    return x, y, label


def _parse_number(cell: str, decimal_comma: bool) -> float | None:
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None


def compose(points: Iterable[tuple[float, float]], labels: Iterable[str | None]) -> str:
    """Return the text of a table with columns `x,y`, and `label` if any point has a class.

    Parameters
    ----------
    points : iterable of (float, float)
        Row and column.
    labels : iterable of (str or None)
        Class names.

    Returns
    -------
    str

    Examples
    --------
    >>> compose([(1.0, 30.5)], [None])
    'x,y\\n30.5,1.0\\n'
    """
    labels = list(labels)
    labeled = any(labels)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("x", "y", "label") if labeled else ("x", "y"))
    for (row, col), label in zip(points, labels, strict=True):
        table.writerow((float(col), float(row), label or "") if labeled else (float(col), float(row)))
    return text.getvalue()
