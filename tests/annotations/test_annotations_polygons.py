import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations.polygons import Outline, fill_outlines
from hsn.notes import collect_notes

# Quarters off the whole numbers, so that no pixel centre lies on a line.
corner = st.tuples(st.integers(-3, 9), st.integers(-3, 9)).map(lambda p: (p[0] + 0.25, p[1] + 0.37))


def inside(point, corners):
    """Even-odd rule, edge by edge."""
    odd = False
    for (r1, c1), (r2, c2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (r1 > point[0]) != (r2 > point[0]) and point[1] < c1 + (point[0] - r1) * (c2 - c1) / (r2 - r1):
            odd = not odd
    return odd


@given(st.lists(corner, min_size=3, max_size=7))
def test_a_pixel_belongs_to_the_outline_around_its_centre(corners):
    filled = fill_outlines([Outline(np.array(corners))], (6, 7))
    expected = [[int(inside((r, c), corners)) for c in range(7)] for r in range(6)]
    assert filled.tolist() == expected
    assert filled.dtype == np.int32


def box(top, left, bottom, right, *, hole=False, layer=0):
    return Outline(np.array([[top, left], [top, right], [bottom, right], [bottom, left]]) - 0.5, hole, layer)


def noted(outlines, shape=(12, 12)):
    """The instances, and the numbers in the notes."""
    with collect_notes() as notes:
        found = fill_outlines(outlines, shape, where="a.xml")
    return found, [int(line.split()[0]) for line in notes.sentences()]


@given(st.permutations([box(1, 1, 9, 9), box(3, 3, 5, 5, hole=True), box(6, 6, 8, 8, hole=True)]))
def test_a_hole_may_stand_anywhere_in_its_layer(outlines):
    found, counts = noted(outlines)
    assert (found.max(), (found > 0).sum(), counts) == (1, 64 - 8, [])


def test_a_hole_belongs_to_its_layer_or_to_all_if_it_is_alone_in_it():
    ring = [box(1, 1, 9, 9, layer=1), box(3, 3, 5, 5, hole=True, layer=2)]
    assert (noted(ring)[0] > 0).sum() == 60
    assert (noted([*ring, box(10, 10, 11, 11, layer=2)])[0] > 0).sum() == 65


def test_hidden_and_outside_outlines_are_counted():
    found, counts = noted([box(1, 1, 3, 3), box(0, 0, 5, 5), box(20, 20, 30, 30), box(7, 7, 9, 9)])
    assert (found.max(), counts) == (2, [1, 1])


@pytest.mark.parametrize("first", [True, False])
def test_rectangles_around_all_outlines_of_other_layers_are_regions(first):
    nuclei = [box(1, 1, 3, 3, layer=1), box(7, 7, 9, 9, layer=1)]
    regions = [box(0, 0, 5, 5, layer=2), box(6, 6, 11, 11, layer=2)]
    found, counts = noted(regions + nuclei if first else nuclei + regions)
    assert (found.max(), (found > 0).sum(), counts) == (2, 8, [2])


def test_a_rectangle_around_one_of_several_outlines_is_an_object():
    found, counts = noted([box(0, 0, 5, 5), box(1, 1, 3, 3), box(7, 7, 9, 9)])
    assert (found.max(), counts) == (3, [])


def test_the_later_outline_has_the_pixels_and_ids_have_no_gaps():
    hidden, wide, late, outside = box(0, 0, 1, 1), box(0, 0, 2, 4), box(1, 2, 3, 4), box(9, 9, 11, 11)
    assert fill_outlines([hidden, wide, outside, late], (3, 4)).tolist() == [
        [1] * 4,
        [1, 1, 2, 2],
        [0, 0, 2, 2],
    ]


def test_a_hole_takes_away_what_lies_beneath_but_not_what_comes_later():
    assert fill_outlines([box(0, 0, 1, 4), box(0, 1, 1, 3, hole=True), box(0, 2, 1, 3)], (1, 4)).tolist() == [
        [1, 0, 2, 1]
    ]


@pytest.mark.parametrize("points", [[], [[1, 1]], [[0, 0], [3, 3]]])
def test_outlines_without_area_give_no_object(points):
    assert not fill_outlines([Outline(np.array(points, float))], (4, 4)).any()


def test_more_outlines_than_16_bits_hold():
    outlines = (box(r, c, r + 1, c + 1) for r in range(257) for c in range(257))
    assert (
        fill_outlines(outlines, (257, 257)).tolist() == np.arange(1, 257 * 257 + 1).reshape(257, 257).tolist()
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -2e7])
def test_a_place_beyond_every_slide_is_refused(bad, raises_code):
    with raises_code("outline-coordinates"):
        fill_outlines([box(0, 0, 1, 1), Outline(np.array([[0, 0], [bad, 0], [1, 1]], float))], (3, 3))
