"""Points: clicks on nuclei, read from whatever a lab has.

A point is (row, col) in pixels, and the middle of the first pixel is (0, 0). It may lie anywhere on the image, half a
pixel beyond the outermost middles included.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import center_of_mass, generate_binary_structure
from scipy.ndimage import label as components

from ..errors import refuse
from ..files import atomic_write
from . import geojson, point_tables
from .label_files import RASTERS, read_labels

TEXTS = {
    ".csv": point_tables,
    ".tsv": point_tables,
    ".txt": point_tables,
    ".geojson": geojson,
    ".json": geojson,
}
_EIGHT = generate_binary_structure(2, 2)
# A million clicks are some 30 MB; this is far beyond any clicking by hand.
_MOST_BYTES = 2**28


def read(path, shape=None, *, label=None):
    """Read points from a table, from QuPath's GeoJSON, or from an image with a mark on each nucleus.

    Parameters
    ----------
    path : path
        `.csv`, `.tsv` or `.txt` with columns `x,y` or `row,col` and perhaps `label`; `.geojson` or `.json`; or an
        image that is 0 but for one 8-connected mark per nucleus, whose centroid is the point.
    shape : (int, int), optional
        Height and width of the image; then points outside of it, and two in one pixel, are refused.
    label : str, optional
        Keep only points of this class; by default all.

    Returns
    -------
    float32 array, shape (N, 2)
        Row and column in pixels, in the order of the file (marks row by row).

    Raises
    ------
    InputError
        If the file cannot be read, has another size than the image, names no such class, holds points outside of
        the image (exchanged x and y are told apart where the numbers allow it) or the same twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = path.write_text("x,y\\n5,1\\n")
    >>> read(path, (4, 8)).tolist()
    [[1.0, 5.0]]
    """
    path = Path(path)
    if path.suffix.lower() in TEXTS:
        places, labels = TEXTS[path.suffix.lower()].parse(_text(path), path)
    elif path.suffix.lower() in RASTERS:
        places = _marks(path, shape)
        labels = [None] * len(places)
    else:
        refuse(f"{path} is no file of points that can be read", expected=", ".join((*TEXTS, *RASTERS)),
               received=repr(path.suffix), remedy="save points as CSV with the columns x and y")  # fmt: skip
    if label is not None:
        if label not in labels:
            told = ", ".join(sorted({repr(name) for name in labels if name})) or "no classes"
            refuse(f"{path} holds no point of that class", expected=f"one of {told}", received=repr(label),
                   remedy="mend the name")  # fmt: skip
        places = [place for place, name in zip(places, labels, strict=True) if name == label]
    points = as_points(places, shape, name=str(path))
    if shape is not None:
        _refuse_twice(points, shape, path)
    return points


def write(path, points, *, labels=None):
    """Write points as a table (`.csv`) or as GeoJSON that QuPath opens (`.geojson`).

    Parameters
    ----------
    path : path
    points : float array, shape (N, 2)
    labels : sequence of str, optional
        Class of each point.

    Raises
    ------
    InputError
        If the ending is another, or there is not one label a point.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clicks.geojson"
    >>> write(path, [[1, 5]], labels=["tumour"])
    >>> read(path, label="tumour").tolist()
    [[1.0, 5.0]]
    """
    path, points = Path(path), as_points(points)
    labels = [None] * len(points) if labels is None else list(labels)
    if path.suffix.lower() not in (".csv", ".geojson"):
        refuse(f"{path} names no format for points", expected=".csv or .geojson", received=repr(path.suffix),
               remedy="write a .csv")  # fmt: skip
    if len(labels) != len(points):
        refuse("each point needs its label", expected=f"{len(points)} labels", received=len(labels),
               remedy="leave `labels` out, or give one a point")  # fmt: skip
    with atomic_write(path) as temporary:
        text = TEXTS[path.suffix.lower()].compose(points.astype(float).tolist(), labels)
        temporary.write_text(text, encoding="utf-8")


def as_points(points, shape=None, *, name="points"):
    """Return `points` as float32 (N, 2) if they are points, on the image if its `shape` is given; refuse otherwise.

    Examples
    --------
    >>> as_points([], (4, 8)).shape
    (0, 2)
    >>> as_points([[5, 1], [7, 3]], (4, 8))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: points lie outside of the image; expected (row, col) within 4 x 8 pixels, received \
(5, 1) and 1 more; x and y are exchanged, so turn the columns round.
    """
    points = np.asarray(points)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2:
        refuse(f"{name} must be pairs of numbers", expected="(N, 2), row and column",
               received=f"{points.dtype} {points.shape}", remedy="give one (row, col) a point")  # fmt: skip
    points = points.astype(np.float32)
    if not np.isfinite(points).all():
        refuse(f"{name} must be numbers", expected="finite rows and columns",
               received=points[~np.isfinite(points).all(axis=1)][0].tolist(),
               remedy="take that point out")  # fmt: skip
    if shape is not None:
        outside = ~_inside(points, shape)
        if outside.any():
            row, col = points[outside][0].tolist()
            more = f" and {outside.sum() - 1} more" if outside.sum() > 1 else ""
            turned = _inside(points[:, ::-1], shape).all()
            refuse(f"{name} lie outside of the image", expected=f"(row, col) within {shape[0]} x {shape[1]} pixels",
                   received=f"({row:g}, {col:g}){more}",
                   remedy="x and y are exchanged, so turn the columns round" if turned
                   else "check that points and image belong together and are of one scale")  # fmt: skip
    return points


def pixels(points, shape):
    """The pixel that each point lies in.

    Parameters
    ----------
    points : float array, shape (N, 2)
    shape : (int, int)

    Returns
    -------
    int64 array, shape (N, 2)
        A point between two pixels belongs to the later one, at the end of the image to the last.

    Raises
    ------
    InputError
        If a point lies outside of the image.

    Examples
    --------
    >>> pixels([[0.4, 0.5], [3.5, -0.5]], (4, 8)).tolist()
    [[0, 1], [3, 0]]
    """
    nearest = np.floor(as_points(points, shape) + np.float32(0.5)).astype(np.int64)
    return np.clip(nearest, 0, np.array(shape[:2]) - 1)


def _text(path):
    try:
        if path.stat().st_size > _MOST_BYTES:
            refuse(f"{path} is too large for points", expected=f"at most {_MOST_BYTES} bytes",
                   received=path.stat().st_size, remedy="split it by image")  # fmt: skip
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"{path} cannot be read", expected="a text file in UTF-8",
               received=getattr(error, "strerror", None) or error,
               remedy="check its name, or export it again")  # fmt: skip


def _marks(path, shape):
    """Centroids of the marks in a point image, row by row."""
    stored = read_labels(path)
    if shape is not None and stored.shape != tuple(shape[:2]):
        refuse(f"{path} is not of the size of its image", expected=tuple(shape[:2]), received=stored.shape,
               remedy="export it again at full size")  # fmt: skip
    marked = stored > 0
    if 2 * marked.sum() > marked.size:
        refuse(f"{path} is no image of points", expected="black with a mark on each nucleus",
               received=f"{marked.mean():.0%} of it marked",
               remedy="exchange black and white, or read it as a mask")  # fmt: skip
    parts, count = components(marked, _EIGHT)
    return center_of_mass(marked, parts, np.arange(1, count + 1))


def _inside(points, shape):
    """Whether each point lies on the image, the outer halves of its outermost pixels included."""
    return ((points >= -0.5) & (points <= np.array(shape[:2]) - 0.5)).all(axis=1)


def _refuse_twice(points, shape, path):
    places = pixels(points, shape)
    _, first, count = np.unique(places, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        row, col = places[first[count > 1].min()].tolist()
        refuse(f"{path} has two points in one pixel", expected="one click a nucleus",
               received=f"row {row}, column {col} {count.max()} times at most, {(count > 1).sum()} such pixels in all",
               remedy="delete the copies")  # fmt: skip
