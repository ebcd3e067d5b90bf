"""Points on nuclei: read them from tables, GeoJSON or point images, validate and write them.

A point is (row, col) in pixels; the center of the first pixel is (0, 0). A point may be anywhere on the image, up to
half a pixel outside of the outermost pixel centers.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import center_of_mass, generate_binary_structure
from scipy.ndimage import label as components
from scipy.spatial import KDTree

from ..checks import same_length
from ..errors import InputError
from ..files import atomic_write, check_file
from ..limits import POINTS_BYTES
from . import geojson, point_tables
from .label_files import RASTERS, check_size, read_labels

TEXTS = {
    ".csv": point_tables,
    ".tsv": point_tables,
    ".txt": point_tables,
    ".geojson": geojson,
    ".json": geojson,
}
_EIGHT_CONNECTED = generate_binary_structure(2, 2)


def read(path: Path | str, shape: tuple[int, int] | None = None, *, label: str | None = None) -> np.ndarray:
    """Read points from a table, QuPath GeoJSON, or an image with one mark per nucleus.

    Parameters
    ----------
    path : path
        `.csv`, `.tsv` or `.txt` with columns `x,y` or `row,col`, and optionally `label`; `.geojson` or `.json`; or an
        image with 0 as background and one 8-connected mark per nucleus, whose centroid is the point.
    shape : (int, int), optional
        Height and width of the image. If given, points outside and duplicates in one pixel raise an error.
    label : str, optional
        Class to read. Default: all.

    Returns
    -------
    float32 array, shape (N, 2)
        Row and column in pixels, in file order (marks row by row).

    Raises
    ------
    InputError
        "file-suffix", "file-unreadable", "file-too-large", "class-unknown", "shape-mismatch", "points-not-marks",
        "points-outside", "points-duplicate", or an error of the file's parser.

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
        points, labels = TEXTS[path.suffix.lower()].parse(_read_text(path), path)
    elif path.suffix.lower() in RASTERS:
        points = _read_marks(path, shape)
        labels = [None] * len(points)
    else:
        raise InputError(
            "file-suffix",
            f"{path} must end in {', '.join((*TEXTS, *RASTERS))}",
            got=repr(path.suffix),
            hint="save points as CSV with the columns x and y",
        )
    if label is not None:
        if label not in labels:
            names = ", ".join(sorted({repr(name) for name in labels if name})) or "no classes"
            raise InputError(
                "class-unknown",
                f"`label` must be a class of {path}: {names}",
                got=repr(label),
                hint="correct the name",
            )
        points = [point for point, name in zip(points, labels, strict=True) if name == label]
    array = as_points(points, shape, name=str(path))
    if shape is not None:
        _check_distinct(array, shape, path)
    return array


def read_regions(path: Path | str) -> list[np.ndarray]:
    """Read the regions in which every object has a point; only GeoJSON has them.

    Result and errors are those of `hsn.annotations.geojson.parse_regions`.

    Examples
    --------
    >>> read_regions("clicks.csv")
    []
    """
    path = Path(path)
    if TEXTS.get(path.suffix.lower()) is not geojson:
        return []
    return geojson.parse_regions(_read_text(path), path)


def write(path: Path | str, points: npt.ArrayLike, *, labels: Iterable[str | None] | None = None) -> None:
    """Write points as a table (`.csv`) or as QuPath GeoJSON (`.geojson`).

    Parameters
    ----------
    path : path
    points : float array, shape (N, 2)
        Row and column in pixels.
    labels : sequence of str, optional
        Class of each point. Default: none.

    Raises
    ------
    InputError
        "file-suffix" or "length-mismatch".

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clicks.geojson"
    >>> write(path, [[1, 5]], labels=["tumor"])
    >>> read(path, label="tumor").tolist()
    [[1.0, 5.0]]
    """
    path, points = Path(path), as_points(points)
    labels = [None] * len(points) if labels is None else list(labels)
    if path.suffix.lower() not in (".csv", ".geojson"):
        raise InputError(
            "file-suffix",
            f"{path} must end in .csv or .geojson",
            got=repr(path.suffix),
            hint="write a .csv file",
        )
    same_length("points", points, "labels", labels)
    with atomic_write(path) as temporary:
        text = TEXTS[path.suffix.lower()].compose(points.astype(float).tolist(), labels)
        temporary.write_text(text, encoding="utf-8")


def as_points(
    points: npt.ArrayLike, shape: tuple[int, int] | None = None, *, name: str = "points"
) -> np.ndarray:
    """Return `points` as float32 (N, 2); raise if they are invalid, or outside of an image of size `shape`.

    Raises
    ------
    InputError
        "points-shape", "points-finite" or "points-outside".

    Examples
    --------
    >>> as_points([], (4, 8)).shape
    (0, 2)
    >>> as_points([[5, 1], [7, 3]], (4, 8))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: points must be (row, col) within the image of 4 x 8 pixels; got (5, 1) and 1 more; \
x and y are exchanged, so swap the columns.
    """
    points = np.asarray(points)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2:
        raise InputError(
            "points-shape",
            f"{name} must be numbers (N, 2), row and column",
            got=f"{points.dtype} {points.shape}",
            hint="give one (row, col) per point",
        )
    with np.errstate(over="ignore"):  # infinite values are found below
        points = points.astype(np.float32)
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise InputError(
            "points-finite",
            f"{name} must be finite rows and columns",
            got=points[~finite][0].tolist(),
            hint="remove this point",
        )
    if shape is not None:
        outside = ~_is_inside(points, shape)
        if outside.any():
            row, col = points[outside][0].tolist()
            more = f" and {outside.sum() - 1} more" if outside.sum() > 1 else ""
            swapped = _is_inside(points[:, ::-1], shape).all()
            raise InputError(
                "points-outside",
                f"{name} must be (row, col) within the image of {shape[0]} x {shape[1]} pixels",
                got=f"({row:g}, {col:g}){more}",
                hint="x and y are exchanged, so swap the columns"
                if swapped
                else "check that points and image match and have the same scale",
            )
    return points


def to_pixels(points: npt.ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixel of each point.

    Parameters
    ----------
    points : float array, shape (N, 2)
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    int64 array, shape (N, 2)
        A point between two pixels belongs to the later one; at the end of the image, to the last.

    Raises
    ------
    InputError
        "points-outside".

    Examples
    --------
    >>> to_pixels([[0.4, 0.5], [3.5, -0.5]], (4, 8)).tolist()
    [[0, 1], [3, 0]]
    """
    nearest = np.floor(as_points(points, shape) + np.float32(0.5)).astype(np.int64)
    return np.clip(nearest, 0, np.array(shape[:2]) - 1)


def merge_points(clicks: npt.ArrayLike, found: npt.ArrayLike, *, radius_px: float) -> np.ndarray:
    """Return the clicks, and the found points that are more than the radius of an object away from each of them.

    Parameters
    ----------
    clicks, found : float arrays, shapes (N, 2) and (M, 2)
        Row and column.
    radius_px : float

    Returns
    -------
    float32 array, shape (K, 2)
        The clicks first; found points as whole pixels.

    Examples
    --------
    >>> merge_points([[5, 5]], [[9, 9], [5.5, 40.8]], radius_px=11).tolist()
    [[5.0, 5.0], [5.0, 40.0]]
    """
    kept, others = as_points(clicks), np.floor(as_points(found))
    if len(kept) and len(others):
        others = others[KDTree(np.floor(kept + 0.5)).query(others)[0] > radius_px]
    return np.concatenate([kept, others]).astype(np.float32)


def _read_text(path: Path) -> str:
    check_file(path, max_bytes=POINTS_BYTES)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "file-unreadable",
            f"{path} must be a text file in UTF-8",
            got=getattr(error, "strerror", None) or error,
            hint="check the path, or export it again",
        ) from None


def _read_marks(path: Path, shape: tuple[int, int] | None) -> np.ndarray:
    """Return the centroids of the marks in a point image, row by row."""
    stored = read_labels(path)
    check_size(path, stored.shape, shape)
    marked = stored > 0
    if 2 * marked.sum() > marked.size:
        raise InputError(
            "points-not-marks",
            f"{path} must be black with a small mark on each nucleus",
            got=f"{marked.mean():.0%} of it marked",
            hint="exchange black and white, or read it as a mask",
        )
    parts, count = components(marked, _EIGHT_CONNECTED)
    return center_of_mass(marked, parts, np.arange(1, count + 1))


def _is_inside(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return whether each point is on the image, including the outer halves of its outermost pixels."""
    return np.all((points >= -0.5) & (points <= np.array(shape[:2]) - 0.5), axis=1)


def _check_distinct(points: np.ndarray, shape: tuple[int, int], path: Path) -> None:
    pixels = to_pixels(points, shape)
    _, first, count = np.unique(pixels, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        row, col = pixels[first[count > 1].min()].tolist()
        raise InputError(
            "points-duplicate",
            f"{path} must have at most one point per pixel",
            got=f"row {row}, column {col} {count.max()} times at most, {(count > 1).sum()} such pixels in total",
            hint="delete the copies",
        )
