"""Outlines of objects: exact, valid, and equal to the label image."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsn.objects.outlines import concatenate, from_shapely, trace_outlines

small = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))


def pixels_of(geometry, shape):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return shapely.contains_xy(geometry, cols + 0.5, rows + 0.5)


@given(small)
def test_outlines_are_valid_and_cover_exactly_the_pixels_of_their_object(instances):
    outlines = trace_outlines(instances)
    geometries = outlines.to_shapely()
    ids = np.unique(instances[instances > 0])
    assert shapely.is_valid(geometries).all()
    assert shapely.area(geometries).tolist() == outlines.areas().tolist()
    for geometry, number in zip(geometries, ids, strict=True):
        assert (pixels_of(geometry, instances.shape) == (instances == number)).all()
        assert geometry.area == (instances == number).sum()


@pytest.mark.parametrize(
    "rows",
    [
        ["11", "11"],
        ["111", "101", "111"],  # a hole
        ["1110", "1011", "1111"],  # a corner touch that closes a hole
        ["110", "101", "011"],  # touches at corners only
        ["11111", "10001", "10101", "10001", "11111"],  # an island in a hole
        ["1111111", "1000001", "1011101", "1010101", "1011101", "1000001", "1111111"],  # two rings
    ],
)
def test_difficult_shapes_are_valid_polygons(rows):
    instances = np.array([[int(pixel) for pixel in row] for row in rows])
    (geometry,) = trace_outlines(instances).to_shapely()
    assert geometry.is_valid
    assert (pixels_of(geometry, instances.shape) == (instances > 0)).all()


def test_a_band_does_not_change_an_outline(monkeypatch, rng):
    instances = np.kron(rng.integers(0, 3, (12, 9)), np.ones((3, 3), int))
    whole = trace_outlines(instances).to_shapely()
    monkeypatch.setattr("hsn.objects.outlines._ROWS", 5)
    assert shapely.equals(trace_outlines(instances).to_shapely(), whole).all()


def test_simplified_outlines_are_valid_and_near(rng):
    rows, cols = np.mgrid[:120, :120]
    instances = np.zeros((120, 120), int)
    for k, (row, col, radius) in enumerate(rng.uniform((20, 20, 6), (100, 100, 18), (9, 3)), 1):
        instances[np.hypot(rows - row, cols - col) < radius] = k
    exact = trace_outlines(instances)
    simple = exact.simplify(1.0)
    assert len(simple.points) < 0.6 * len(exact.points)
    geometries, originals = simple.to_shapely(), exact.to_shapely()
    assert shapely.is_valid(geometries).all()
    assert (shapely.hausdorff_distance(geometries, originals) <= 1.0 + 1e-9).all()


def test_outlines_survive_shapely_selection_and_concatenation():
    outlines = trace_outlines(np.array([[1, 1, 0, 2], [1, 1, 2, 0], [3, 3, 3, 0]]))
    again = from_shapely(outlines.to_shapely(multi=False))
    assert shapely.equals(again.to_shapely(), outlines.to_shapely()).all()
    reverse = outlines.take([2, 1, 0])
    joined = concatenate([reverse, outlines])
    assert joined.areas().tolist() == [3, 2, 4, 4, 2, 3]
    assert joined.boxes().tolist()[1] == [2, 0, 4, 2]


def test_an_empty_image_has_no_outlines():
    assert trace_outlines(np.zeros((3, 3), int)).object_count == 0


def test_well_known_binary_is_that_of_shapely(rng):
    import shapely

    outlines = trace_outlines(rng.choice([1, 1, 1, 2], (40, 50)))  # holes, several parts
    assert (np.diff(outlines.objects) > 1).any()
    assert (np.diff(outlines.polygons) > 1).any()
    for part in (outlines, outlines.take([1]), outlines.take([])):
        data, offsets = part.to_wkb()
        found = [data[start:end].tobytes() for start, end in itertools.pairwise(offsets)]
        assert found == shapely.to_wkb(part.to_shapely(multi=False), byte_order=1).tolist()
