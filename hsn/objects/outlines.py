"""Trace the outlines of objects as polygons.

The outline of an object runs along the edges of its pixels: its corners are whole numbers, its area is the number of
pixels. Coordinates are (x, y) of pixel corners, because GeoJSON, WKB and DICOM use them: the first pixel covers 0 to 1
on both axes.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..instances import renumber

_HEAD = 9  # bytes before the parts of a geometry in well-known binary
_ROWS = 2048  # rows whose corners are found at once


class Outlines(NamedTuple):
    """Polygons of objects: one multipolygon per object, stored as flat arrays.

    Attributes
    ----------
    points : int32 or float64 array (P, 2)
        Corners (x, y) of all rings. The last corner of a ring is not repeated.
    rings : int64 array (R + 1,)
        Ring r has the corners ``points[rings[r] : rings[r + 1]]``.
    polygons : int64 array (Q + 1,)
        Polygon q has the rings ``polygons[q]`` to ``polygons[q + 1]``: its outer ring, then its holes.
    objects : int64 array (n + 1,)
        Object k has the polygons ``objects[k]`` to ``objects[k + 1]``.
    """

    points: np.ndarray
    rings: np.ndarray
    polygons: np.ndarray
    objects: np.ndarray

    @property
    def object_count(self) -> int:
        """Number of objects."""
        return len(self.objects) - 1

    def take(self, chosen: npt.ArrayLike) -> "Outlines":
        """Return the outlines of some objects, by their indices.

        Examples
        --------
        >>> outlines = trace_outlines(np.array([[1, 0, 2]]))
        >>> outlines.take([1]).points.tolist()
        [[2, 0], [3, 0], [3, 1], [2, 1]]
        """
        polygon_ids, objects = _select(self.objects, np.asarray(chosen, np.int64))
        ring_ids, polygons = _select(self.polygons, polygon_ids)
        point_ids, rings = _select(self.rings, ring_ids)
        return Outlines(self.points[point_ids], rings, polygons, objects)

    def moved(self, x: float, y: float) -> "Outlines":
        """Return the outlines after a shift by (x, y) pixels."""
        return self._replace(points=self.points + np.array([x, y], self.points.dtype))

    def areas(self) -> np.ndarray:
        """Return the area of each object in square pixels, float64 (n,): outer rings minus holes.

        Examples
        --------
        >>> trace_outlines(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])).areas().tolist()
        [8.0]
        """
        inner = np.add.reduceat(np.append(signed_areas(self.points, self.rings), 0), self.polygons[:-1])
        return np.add.reduceat(np.append(inner, 0), self.objects[:-1])

    def boxes(self) -> np.ndarray:
        """Return the bounding boxes (xmin, ymin, xmax, ymax), float64 (n, 4)."""
        starts = self.rings[self.polygons[self.objects[:-1]]]
        low, high = (operation.reduceat(self.points, starts) for operation in (np.minimum, np.maximum))
        return np.hstack([low, high]).astype(np.float64)

    def to_shapely(self, *, multi: bool = True) -> np.ndarray:
        """Return shapely geometries, object array (n,): multipolygons, or polygons where one is enough.

        Parameters
        ----------
        multi : bool
            Whether objects of one polygon are multipolygons, too. Default: True.

        Examples
        --------
        >>> trace_outlines(np.array([[1, 1]])).to_shapely(multi=False)[0].wkt
        'POLYGON ((0 0, 2 0, 2 1, 0 1, 0 0))'
        """
        import shapely

        geometries = np.empty(self.object_count, object)
        single = np.zeros(self.object_count, bool) if multi else np.diff(self.objects) == 1
        points, rings = self._closed()
        if single.all():
            return shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (rings, self.polygons))
        whole = shapely.from_ragged_array(
            shapely.GeometryType.MULTIPOLYGON, points, (rings, self.polygons, self.objects)
        )
        if single.any():
            whole[single] = shapely.get_geometry(whole[single], 0)
        geometries[:] = whole
        return geometries

    def to_wkb(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the outlines as well-known binary: bytes, uint8 (b,), and the start of each object, int64 (n + 1,).

        It equals `shapely.to_wkb(outlines.to_shapely(multi=False))`, and takes less time.

        Examples
        --------
        >>> import shapely
        >>> data, offsets = trace_outlines(np.array([[1, 1]])).to_wkb()
        >>> shapely.from_wkb(data.tobytes()).wkt, offsets.tolist()
        ('POLYGON ((0 0, 2 0, 2 1, 0 1, 0 0))', [0, 93])
        """
        points, rings = self._closed()
        is_multi = np.diff(self.objects) != 1
        first_of_polygon = np.zeros(len(rings) - 1, bool)
        first_of_polygon[self.polygons[:-1]] = True
        first_of_multi = np.zeros(len(rings) - 1, bool)
        first_of_multi[self.polygons[self.objects[:-1][is_multi]]] = True
        # Headers: order, type and count of a multipolygon, the same of a polygon, and the number of corners of a ring.
        corner_bytes = 16 * np.diff(rings)
        head_bytes = 4 + _HEAD * first_of_polygon + _HEAD * first_of_multi
        ends = np.cumsum(head_bytes + corner_bytes)
        starts = ends - corner_bytes
        lengths = np.column_stack([head_bytes, corner_bytes]).reshape(-1)
        is_corner = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        data = np.empty(len(is_corner), np.uint8)
        data[is_corner] = points.astype("<f8", copy=False).reshape(-1).view(np.uint8)
        _put(data, starts - 4, np.diff(rings))
        for heads, kind, counts in (
            (starts[first_of_polygon] - 4 - _HEAD, 3, np.diff(self.polygons)),
            (starts[first_of_multi] - 4 - 2 * _HEAD, 6, np.diff(self.objects)[is_multi]),
        ):
            data[heads] = 1  # little-endian
            _put(data, heads + 1, np.full(len(heads), kind))
            _put(data, heads + 5, counts)
        return data, np.append(0, ends)[self.polygons[self.objects]]

    def _closed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return corners with the first of each ring repeated at its end, float64, and the new offsets."""
        counts = np.diff(self.rings)
        rings = self.rings + np.arange(len(self.rings))
        index = np.arange(rings[-1]) - np.repeat(np.arange(len(counts)), counts + 1)
        index[rings[1:] - 1] = self.rings[:-1]
        return self.points[index].astype(np.float64), rings

    def simplify(self, tolerance_px: float) -> "Outlines":
        """Return outlines with fewer corners.

        Parameters
        ----------
        tolerance_px : float
            Largest distance of the new outline from the old one, in pixels. 0 changes nothing.

        Returns
        -------
        Outlines
            Valid polygons. An object whose simplified outline would be empty or invalid keeps its outline.

        Examples
        --------
        >>> stairs = trace_outlines(np.tri(6, dtype=int))
        >>> len(stairs.points), len(stairs.simplify(1).points)
        (14, 3)
        """
        import shapely

        if tolerance_px <= 0 or not self.object_count:
            return self
        exact = self.to_shapely()
        simple = shapely.simplify(exact, tolerance_px, preserve_topology=True)
        kept = shapely.is_valid(simple) & ~shapely.is_empty(simple)
        return from_shapely(np.where(kept, simple, exact))


def _put(data: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
    """Write 4-byte numbers at byte positions."""
    data[at[:, None] + np.arange(4)] = values.astype("<u4").view(np.uint8).reshape(-1, 4)


def from_shapely(geometries: npt.ArrayLike) -> Outlines:
    """Return the outlines of shapely polygons and multipolygons.

    Examples
    --------
    >>> import shapely
    >>> from_shapely([shapely.box(0, 0, 2, 1)]).areas().tolist()
    [2.0]
    """
    import shapely

    oriented = shapely.orient_polygons(np.asarray(geometries, object))
    parts, owners = shapely.get_parts(oriented, return_index=True)
    objects = np.append(0, np.cumsum(np.bincount(owners, minlength=len(oriented))))
    _, closed, (rings, polygons) = shapely.to_ragged_array(parts)
    index = np.ones(len(closed), bool)
    index[rings[1:] - 1] = False
    return Outlines(closed[index, :2], rings - np.arange(len(rings)), np.asarray(polygons, np.int64), objects)


def concatenate(outlines: list[Outlines]) -> Outlines:
    """Join the outlines of several tables.

    Examples
    --------
    >>> one = trace_outlines(np.array([[1, 1]]))
    >>> concatenate([one, one]).object_count
    2
    """
    return Outlines(
        np.concatenate([part.points for part in outlines]),
        *(
            np.append(0, np.cumsum(np.concatenate([np.diff(part[level]) for part in outlines])))
            for level in (1, 2, 3)
        ),
    )


def signed_areas(points: np.ndarray, rings: np.ndarray) -> np.ndarray:
    """Return the area of each ring, float64 (R,): positive for outer rings of `trace_outlines`, negative for holes."""
    if len(rings) == 1:
        return np.zeros(0)
    following = np.arange(1, len(points) + 1)
    following[rings[1:] - 1] = rings[:-1]
    start = points[np.repeat(rings[:-1], np.diff(rings))].astype(
        np.float64
    )  # large coordinates lose no digits
    here = points - start
    there = here[following]
    return np.add.reduceat(here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1], rings[:-1]) / 2


def _select(offsets: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the members of the chosen groups, and the offsets of the chosen groups."""
    counts = (offsets[1:] - offsets[:-1])[chosen]
    starts = np.append(0, np.cumsum(counts))
    return np.repeat(offsets[:-1][chosen] - starts[:-1], counts) + np.arange(starts[-1]), starts


# --- Trace ---------------------------------------------------------------------------------------------------------


def trace_outlines(instances: npt.ArrayLike) -> Outlines:
    """Trace the outlines of the objects of a label image.

    Parameters
    ----------
    instances : int array (H, W)
        0 background; any positive ids.

    Returns
    -------
    Outlines
        In the order of the ids. Rings are valid: closed, without a corner that occurs twice. Parts of an object that
        touch only at corners are polygons of their own. Outer rings run clockwise on the screen, holes the other way.

    Raises
    ------
    InputError
        "label-image-invalid".

    Examples
    --------
    >>> outlines = trace_outlines(np.array([[1, 0], [0, 1]]))
    >>> outlines.points.tolist()
    [[0, 0], [1, 0], [1, 1], [0, 1], [1, 1], [2, 1], [2, 2], [1, 2]]
    >>> outlines.objects.tolist()
    [0, 2]
    """
    numbers, ids = renumber(instances)
    if not len(ids):
        empty = np.zeros(1, np.int64)
        return Outlines(np.zeros((0, 2), np.int32), empty, empty, empty)
    corners = _corners(numbers)
    order, rings = _walk(_successors(corners))
    points = corners["point"][order]
    owners = corners["label"][order[rings[:-1]]] - 1
    points, rings, owners = _split_touching(points, rings, owners)
    return _assemble(points, rings, owners, len(ids))


def _corners(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Find the corners of all outlines.

    A lattice corner is a corner of an object's outline if the object has one or three of its four pixels, or two that
    touch diagonally: then it is a corner twice, once for each pixel.

    Returns
    -------
    dict
        Sorted by label, then by row and column: "label" int32, "point" int32 (x, y), "out" and "into" int8: the
        direction in which the outline leaves and reaches the corner, 0 right, 1 down, 2 left, 3 up.
    """
    found = []
    for top in range(0, numbers.shape[0] + 1, _ROWS):
        window = np.zeros((min(_ROWS, numbers.shape[0] + 1 - top) + 1, numbers.shape[1] + 2), np.int32)
        inner = numbers[max(0, top - 1) : top + len(window) - 1]
        first = 1 if top == 0 else 0
        window[first : first + len(inner), 1:-1] = inner
        found.append(_corners_of_rows(window, top))
    label, y, x, out, into = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((x, y, label))
    return {
        "label": label[order],
        "point": np.column_stack([x[order], y[order]]).astype(np.int32),
        "out": out[order],
        "into": into[order],
    }


def _corners_of_rows(window: np.ndarray, top: int) -> list[np.ndarray]:
    """Find the corners in a band of rows; `window` starts one row above the first corner."""
    pixels = [
        window[:-1, :-1],
        window[:-1, 1:],
        window[1:, 1:],
        window[1:, :-1],
    ]  # clockwise from the top left
    y, x = np.nonzero((pixels[0] != pixels[1]) | (pixels[1] != pixels[2]) | (pixels[2] != pixels[3]))
    around = [pixel[y, x] for pixel in pixels]
    rows = []
    for k in range(4):
        here, after, beyond, before = (around[(k + step) % 4] for step in range(4))
        # The object runs clockwise around its own pixel, and counter-clockwise around the pixel that it lacks.
        convex = (here > 0) & (here != after) & (here != before)
        concave = (after > 0) & (after == beyond) & (after == before) & (after != here)
        for chosen, label, out, into in (
            (convex, here, (2, 3, 0, 1)[k], (1, 2, 3, 0)[k]),
            (concave, after, (3, 0, 1, 2)[k], (0, 1, 2, 3)[k]),
        ):
            at = np.flatnonzero(chosen)
            directions = [np.full(len(at), direction, np.int8) for direction in (out, into)]
            rows.append([label[at], (y[at] + top).astype(np.int32), x[at].astype(np.int32), *directions])
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def _successors(corners: dict[str, np.ndarray]) -> np.ndarray:
    """Return the index of the next corner of each corner's outline.

    The edges of one object in one direction on one lattice line do not overlap. Starts and ends therefore alternate,
    and the k-th start belongs to the k-th end.
    """
    label, (x, y) = corners["label"], corners["point"].T
    following = np.empty(len(label), np.int64)
    for direction in range(4):
        starts, ends = (np.flatnonzero(corners[key] == direction) for key in ("out", "into"))
        if direction % 2:  # along columns
            starts, ends = (part[np.lexsort((y[part], x[part], label[part]))] for part in (starts, ends))
        following[starts] = ends
    return following


def _walk(following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners ring by ring, and the offsets of the rings."""
    following_list = following.tolist()
    order, starts = [], [0]
    for first in range(len(following_list)):
        corner = first
        while following_list[corner] >= 0:
            order.append(corner)
            following_list[corner], corner = -1, following_list[corner]
        if len(order) > starts[-1]:
            starts.append(len(order))
    return np.array(order, np.int64), np.array(starts, np.int64)


def _split_touching(
    points: np.ndarray, rings: np.ndarray, owners: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split rings that touch themselves at a corner into rings that do not."""
    ring_of = np.repeat(np.arange(len(owners)), np.diff(rings))
    order = np.lexsort((points[:, 0], points[:, 1], ring_of))
    same = (np.diff(ring_of[order]) == 0) & (np.diff(points[order], axis=0) == 0).all(axis=1)
    touching = np.unique(ring_of[order[1:][same]])
    if not len(touching):
        return points, rings, owners
    pieces: list[np.ndarray] = []
    sizes: list[list[int]] = [[size] for size in np.diff(rings).tolist()]
    last = 0
    for ring in touching.tolist():
        pieces.append(points[last : rings[ring]])
        parts = _simple_rings(points[rings[ring] : rings[ring + 1]].tolist())
        pieces += [np.array(part, points.dtype) for part in parts]
        sizes[ring] = [len(part) for part in parts]
        last = rings[ring + 1]
    pieces.append(points[last:])
    return (
        np.concatenate(pieces),
        np.append(0, np.cumsum([size for parts in sizes for size in parts])),
        np.repeat(owners, [len(parts) for parts in sizes]),
    )


def _simple_rings(ring: list[list[int]]) -> list[list[list[int]]]:
    """Cut a ring at each corner that it visits twice."""
    rings: list[list[list[int]]] = []
    path: list[list[int]] = []
    places: dict[tuple[int, int], int] = {}
    for x, y in ring:
        if (x, y) in places:
            start = places[x, y]
            rings.append(path[start:])
            for col, row in path[start + 1 :]:
                del places[col, row]
            del path[start + 1 :]
            continue
        places[x, y] = len(path)
        path.append([x, y])
    return [*rings, path]


def _assemble(points: np.ndarray, rings: np.ndarray, owners: np.ndarray, count: int) -> Outlines:
    """Group rings to polygons: each outer ring with its holes."""
    hole = signed_areas(points, rings) < 0
    outer_count = np.bincount(owners[~hole], minlength=count)
    firsts = np.append(0, np.cumsum(outer_count))
    polygon = np.empty(len(owners), np.int64)
    polygon[~hole] = np.arange(firsts[-1])  # rings are in the order of their objects
    polygon[hole] = firsts[owners[hole]]
    for ring in np.flatnonzero(hole & (outer_count[owners] > 1)):
        polygon[ring] = _enclosing(
            points, rings, ring, np.flatnonzero(~hole & (owners == owners[ring])), polygon
        )
    order = np.lexsort((hole, polygon))
    point_ids, new_rings = _select(rings, order)
    polygons = np.append(0, np.cumsum(np.bincount(polygon, minlength=firsts[-1])))
    return Outlines(points[point_ids], new_rings, polygons, firsts)


def _enclosing(
    points: np.ndarray, rings: np.ndarray, hole: Any, outers: np.ndarray, polygon: np.ndarray
) -> Any:
    """Return the polygon that contains a hole."""
    import shapely

    inner = shapely.Polygon(points[rings[hole] : rings[hole + 1]])
    candidates = [shapely.Polygon(points[rings[ring] : rings[ring + 1]]) for ring in outers]
    inside = np.flatnonzero(shapely.covers(candidates, inner))
    areas = np.array([candidates[k].area for k in inside])
    return polygon[outers[inside[areas.argmin()]]]
