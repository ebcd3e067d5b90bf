"""Voronoi labels: the published score on real nuclei; nearest points by brute force; any number of points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations import mask_files
from hsn.annotations.sampling import points_from_instances
from hsn.annotations.voronoi_labels import nearest_points, voronoi_cells, voronoi_edges, voronoi_label
from hsn.data import multiorgan

SHAPE = (13, 17)
clicks = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 16)), min_size=1, max_size=7, unique=True)


def squared(points, shape=SHAPE):
    """Squared distance of each pixel to each point, from all differences: (N, H, W)."""
    r, c = np.indices(shape)
    return np.stack([(r - p) ** 2 + (c - q) ** 2 for p, q in points])


@given(clicks)
def test_every_pixel_belongs_to_a_nearest_point(points):
    away = squared(points)
    owner = voronoi_cells(points, SHAPE)
    assert (np.take_along_axis(away, owner[None] - 1, 0)[0] == away.min(axis=0)).all()
    assert nearest_points(points, SHAPE)[0] == pytest.approx(np.sqrt(away.min(axis=0)))


@given(clicks, st.randoms())
def test_the_order_of_clicks_changes_only_numbers(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = [points[k] for k in order]
    numbers, others = voronoi_cells(points, SHAPE), voronoi_cells(shuffled, SHAPE)
    assert (np.array(order)[others - 1] == numbers - 1).all()
    assert all(
        (a == b).all()
        for a, b in zip(voronoi_label(points, SHAPE), voronoi_label(shuffled, SHAPE), strict=True)
    )


@given(clicks)
def test_a_pixel_of_which_a_neighbour_lies_outside_its_cell_is_an_edge(points):
    away = squared(points)
    of = away == away.min(axis=0)  # (N, H, W): a pixel in the middle between two belongs to both
    lines = np.zeros(SHAPE, bool)
    for r, c in np.ndindex(*SHAPE):
        around = [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        around = [(p, q) for p, q in around if 0 <= p < SHAPE[0] and 0 <= q < SHAPE[1]]
        own = [k for k in range(len(points)) if of[k, r, c]]
        lines[r, c] = all(any(not of[k, p, q] for p, q in around) for k in own)
    found = voronoi_edges(*nearest_points(points, SHAPE)[1])
    assert found[lines].all()  # closing adds, and takes nothing away
    if len(points) == 1:
        assert not found.any()


@given(clicks)
def test_disks_are_nuclei_and_only_lines_are_background(points):
    target, weight = voronoi_label(points, SHAPE)
    marked = squared(points).min(axis=0) <= 4
    assert (target == marked).all()
    assert (weight[marked] == 1).all()
    assert target.dtype == weight.dtype == np.float32
    assert ((weight > 0) == (marked | voronoi_edges(*nearest_points(points, SHAPE)[1]))).all()


def test_a_single_click_marks_thirteen_pixels_and_leaves_the_background_unknown():
    target, weight = voronoi_label([(6, 8)], SHAPE)
    assert target.sum() == weight.sum() == 13


def test_points_in_a_row_are_enough():
    target, weight = voronoi_label([(6, 2), (6, 8), (6, 14)], SHAPE)
    assert (target == 0)[weight > 0].sum() == 2 * SHAPE[0]  # two lines, a pixel wide, in the middle


def test_lines_are_two_pixels_wide_where_the_middle_is_between_pixels():
    weight = voronoi_label([(6, 2), (6, 13)], SHAPE).weight
    assert weight[0].astype(int).tolist() == [0] * 7 + [1, 1] + [0] * 8


def test_marks_shrink_with_the_scale():
    assert voronoi_label([(6, 8)], SHAPE, scale=0.5).target.sum() == 5


def test_a_second_click_in_a_pixel_owns_nothing():
    assert set(np.unique(voronoi_cells([(1, 1), (1.2, 0.9), (5, 5)], SHAPE))) == {1, 3}


def test_refusals(raises_code):
    with raises_code("points-empty"):
        voronoi_cells([], SHAPE)
    with raises_code("points-outside"):
        voronoi_cells([(13, 2)], SHAPE)
    with raises_code("scale-positive"):
        voronoi_label([(1, 1)], SHAPE, scale=-1)


@pytest.mark.slow
def test_the_published_share_of_lines_on_real_nuclei(data):
    on_nuclei = lines = 0
    for one in multiorgan.list_samples(data / "multiorgan", "train"):
        truth = mask_files.read(one.instances_path, None)
        points = points_from_instances(truth)
        found = voronoi_edges(*nearest_points(points, truth.shape)[1])
        on_nuclei, lines = on_nuclei + (truth > 0)[found].sum(), lines + found.sum()
    assert on_nuclei / lines == pytest.approx(0.0690, abs=0.0005)
