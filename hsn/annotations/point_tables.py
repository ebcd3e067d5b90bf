"""Tables of points: CSV and TSV with a column for x, one for y and perhaps one for the class.

Columns are found by their heading, in any order; without a heading the first is x and the second y. Coordinates
count pixels: the middle of the first pixel is (0, 0). Micrometres are refused, because the scale is not in the file.
"""

import csv
import io

from ..errors import refuse

_X = ("x", "col", "column", "x px", "x_px", "centroid x px", "axis-1")
_Y = ("y", "row", "y px", "y_px", "centroid y px", "axis-0")
_LABEL = ("label", "class", "classification")
_MICROMETRES = ("µm", "μm", "um", "micron")
_MOST_CELL = 200  # characters of a number or a class name


def parse(text, where):
    """Read the points of a table.

    Parameters
    ----------
    text : str
    where : path or str
        Its name, for messages.

    Returns
    -------
    points : list of (float, float)
        Row and column.
    labels : list of (str or None)

    Raises
    ------
    InputError
        If columns are missing, in micrometres, or a row holds no two numbers; the message names the line.

    Examples
    --------
    >>> parse("label,y,x\\nstroma,1,30\\n", "clicks.csv")
    ([(1.0, 30.0)], ['stroma'])
    >>> parse("30;1,5", "clicks.csv")
    ([(1.5, 30.0)], [None])
    """
    first = text.split("\n", 1)[0]
    delimiter = max(";\t,", key=first.count)  # a semicolon before a comma: "1,5;2,5" has decimal commas
    if ";" in first:
        delimiter = ";"
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        refuse(f"{where} cannot be read as a table", expected="a CSV or TSV file", received=error,
               remedy="export it again")  # fmt: skip
    rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(lines, 1)]
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        return [], []
    x, y, label = _columns(rows[0][1], where, decimal_comma=delimiter == ";")
    if x is None:
        x, y = 0, 1
    else:
        rows = rows[1:]
    points, labels = [], []
    for number, row in rows:
        place = [_number(row[k], delimiter == ";") if k < len(row) else None for k in (y, x)]
        if None in place:
            refuse(f"{where}, line {number}, holds no point", expected="numbers x and y",
                   received=repr(delimiter.join(row)[:_MOST_CELL]), remedy="mend or delete the line")  # fmt: skip
        points.append(tuple(place))
        labels.append((row[label] or None) if label is not None and label < len(row) else None)
    return points, labels


def _columns(heading, where, *, decimal_comma):
    """Positions of x, y and the label in a heading; None, None and the third column where there is no heading."""
    if len(heading) >= 2 and all(_number(cell, decimal_comma) is not None for cell in heading[:2]):
        return None, None, 2
    names = [name.lower() for name in heading]
    x, y, label = (
        next((names.index(name) for name in known if name in names), None) for known in (_X, _Y, _LABEL)
    )
    if x is None or y is None:
        metric = any(unit in name for name in names for unit in _MICROMETRES)
        refuse(f"{where} needs a column for x and one for y", expected="a heading 'x,y', 'row,col', or no heading",
               received=", ".join(heading)[:_MOST_CELL],
               remedy="export in pixels, or divide by the scale" if metric else "name the columns")  # fmt: skip
    return x, y, label


def _number(cell, decimal_comma):
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None


def compose(points, labels):
    """Write points as the text of a table `x,y`, or `x,y,label` if any has a class.

    Parameters
    ----------
    points : iterable of (float, float)
        Row and column.
    labels : iterable of (str or None)

    Returns
    -------
    str

    Examples
    --------
    >>> compose([(1.0, 30.5)], [None])
    'x,y\\n30.5,1.0\\n'
    """
    labels = list(labels)
    named = any(labels)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("x", "y", "label") if named else ("x", "y"))
    for (row, col), label in zip(points, labels, strict=True):
        table.writerow((float(col), float(row), label or "") if named else (float(col), float(row)))
    return text.getvalue()
