"""Read and write tables of points: CSV or TSV with columns x, y and optionally the class.

Columns are found by their heading, in any order. Without a heading the first column is x and the second y. Coordinates
are in pixels; the center of the first pixel is (0, 0), in the columns of QuPath (0.5, 0.5). Micrometers are rejected,
because the file does not store the scale.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from ..errors import InputError
from ..files import csv_text, from_csv_text
from ..notes import note

_X = ("x", "col", "column", "x px", "x_px")
_Y = ("y", "row", "y px", "y_px")
_QUPATH_X, _QUPATH_Y = ("centroid x px",), ("centroid y px",)
_QUPATH_HALF_PX = 0.5
_LABEL = ("label", "class", "classification")
_AXIS = re.compile(r"axis-([0-9])$")  # napari: the last two axes are rows and columns
_CORNER = "vertex-index"  # napari: the rows are corners of shapes
_SHAPE, _COUNT = ("roi",), ("num points",)  # QuPath: kind of annotation, clicks of one row
_CLICKS = ("point", "points")
_MICROMETERS = ("µm", "μm", "um", "micron")
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|[+-]?(nan|inf|infinity)$", re.IGNORECASE
)
_MAX_SHOWN = 200  # characters of a cell in a message


class _Columns(NamedTuple):
    """Numbers of the columns of a table; None where a column is missing."""

    x: int
    y: int
    label: int | None = None
    shift: float = 0.0  # of the center of the first pixel
    slices: tuple[int, ...] = ()  # napari's axes before rows and columns
    shape: int | None = None
    clicks: int | None = None


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
        "table-malformed", "table-columns", "point-coordinates", "points-slices" for points on several slices, or
        "points-merged" if a row of QuPath stands for several points.

    Examples
    --------
    >>> parse("label,y,x\\nstroma,1,30\\n", "clicks.csv")
    ([(1.0, 30.0)], ['stroma'])
    >>> parse("30;1,5", "clicks.csv")
    ([(1.5, 30.0)], [None])
    """
    delimiter, text = _split_off_separator(text)
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
    decimal_comma = delimiter != ","
    found = _find_columns(rows[0][1], where, decimal_comma=decimal_comma)
    columns = found or _Columns(0, 1, 2)
    rows = _only_clicks(rows[1:] if found else rows, columns, where)
    points: list[tuple[float, float]] = []
    labels: list[str | None] = []
    for number, row in rows:
        x, y = (parse_number(_cell(row, k), decimal_comma=decimal_comma) for k in (columns.x, columns.y))
        if x is None or y is None:
            raise InputError(
                "point-coordinates",
                f"{where}, line {number}, must have numbers x and y",
                got=repr(delimiter.join(row)[:_MAX_SHOWN]),
                hint="correct or delete the line",
            )
        points.append((y - columns.shift, x - columns.shift))
        labels.append(from_csv_text(_cell(row, columns.label)) or None)
    return points, labels


def _split_off_separator(text: str) -> tuple[str, str]:
    """Return the separator of the cells, and the text without Excel's line `sep=;`."""
    first, _, rest = text.partition("\n")
    declared = first.strip(" \r").lower()
    if declared.startswith("sep=") and len(declared) == 5:
        return declared[4], rest
    # A semicolon takes precedence, because "1,5;2,5" has decimal commas; so does a tab.
    return next((mark for mark in ";\t" if mark in first), ","), text


def _cell(row: Sequence[str], column: int | None) -> str:
    return row[column] if column is not None and column < len(row) else ""


def _only_clicks(
    rows: list[tuple[int, list[str]]], columns: _Columns, where: Path | str
) -> list[tuple[int, list[str]]]:
    """Return the rows of a table that are clicks; raise if their coordinates are not those of one image."""
    slices = {tuple(_cell(row, k) for k in columns.slices) for _, row in rows}
    if len(slices) > 1:
        _fail(
            "points-slices",
            f"{where} must have the points of one slice",
            f"{len(slices)} slices",
            "export one slice, or one file per slice",
        )
    if columns.shape is None:
        return rows
    clicks = [(number, row) for number, row in rows if _cell(row, columns.shape).lower() in _CLICKS]
    for number, row in clicks:
        if (parse_number(_cell(row, columns.clicks)) or 1) > 1:
            _fail(
                "points-merged",
                f"{where}, line {number}, must be one point",
                f"the mean of {_cell(row, columns.clicks)} points",
                "export GeoJSON from QuPath",
            )
    if clicks and len(clicks) < len(rows):
        note("outlines beside clicks are annotated regions, not clicks", where, len(rows) - len(clicks))
    return clicks or rows


def _find_columns(heading: list[str], where: Path | str, *, decimal_comma: bool) -> _Columns | None:
    """Return the columns of x, y and the label; None if the first row is not a heading."""
    if len(heading) >= 2 and all(
        parse_number(cell, decimal_comma=decimal_comma) is not None for cell in heading[:2]
    ):
        return None
    names = [name.lower() for name in heading]
    label, shape, count = (_first_of(names, known) for known in (_LABEL, _SHAPE, _COUNT))
    axes = sorted((int(match[1]), k) for k, name in enumerate(names) if (match := _AXIS.match(name)))
    if len(axes) >= 2 and _CORNER not in names:
        *slices, y, x = (k for _, k in axes)
        return _Columns(x, y, label, 0.0, tuple(slices))
    for known_x, known_y, shift in ((_X, _Y, 0.0), (_QUPATH_X, _QUPATH_Y, _QUPATH_HALF_PX)):
        column_x, column_y = _first_of(names, known_x), _first_of(names, known_y)
        if column_x is not None and column_y is not None:
            return _Columns(column_x, column_y, label, shift, (), shape, count)
    metric = any(unit in name for name in names for unit in _MICROMETERS)
    _fail(
        "table-columns",
        f"{where} must have a heading with 'x,y' or 'row,col', or no heading",
        ", ".join(heading)[:_MAX_SHOWN],
        "export in pixels, or divide by the scale" if metric else "name the columns",
    )


def _first_of(names: list[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _fail(code: str, must: str, got: str, hint: str) -> NoReturn:
    raise InputError(code, must, got=got, hint=hint)


def parse_number(cell: str, *, decimal_comma: bool = False) -> float | None:
    """Return the number in a cell; None if it is not a number, as "1_0", which Python's `float` accepts.

    Examples
    --------
    >>> parse_number("1.5"), parse_number("1,5", decimal_comma=True), parse_number("1_0")
    (1.5, 1.5, None)
    """
    if decimal_comma and "." not in cell:
        cell = cell.replace(",", ".", 1)
    return float(cell) if _NUMBER.match(cell) else None


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
        table.writerow(
            (float(col), float(row), csv_text(label or "")) if labeled else (float(col), float(row))
        )
    return text.getvalue()
