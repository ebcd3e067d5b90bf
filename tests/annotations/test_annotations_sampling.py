"""Sampling: points lie where they should in objects, and a share of them is that share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations import mask_files
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import multiorgan


def bent():
    """A ring that is open on its right, and a block, with a gap in their ids."""
    instances = np.zeros((20, 30), int)
    instances[2:13, 2:13], instances[5:10, 5:13] = 9, 0
    instances[14:18, 20:27] = 4
    return instances


def test_places_in_an_object(raises_code):
    instances = bent()
    assert points_from_instances(instances).tolist() == [
        [15, 23],
        [7, 7],
    ]  # by rising id; the second misses its object
    assert points_from_instances(instances, place="centroid")[0].tolist() == [15.5, 23]
    inside = points_from_instances(instances, place="inside").astype(int)
    assert instances[tuple(inside.T)].tolist() == [4, 9]
    assert points_from_instances(np.zeros((3, 3), int)).shape == (0, 2)
    with raises_code("place-unknown"):
        points_from_instances(instances, place="middle")


@given(st.integers(0, 2**31))
def test_a_point_inside_is_inside(seed):
    instances = np.random.default_rng(seed).integers(0, 6, (9, 8))
    for place in ("inside", "box", "centroid"):
        assert len(points_from_instances(instances, place=place)) == len(np.unique(instances[instances > 0]))
    at = points_from_instances(instances, place="inside").astype(int)
    assert instances[tuple(at.T)].tolist() == np.unique(instances[instances > 0]).tolist()


ALL = np.indices((100, 100)).reshape(2, -1).T  # 10,000 points


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.05, 4.7, 5.0), (0.1, 9.3, 9.7), (0.25, 21.7, 22.5),
                                                    (0.5, 38.9, 39.8), (1, 62.5, 63.9)])  # fmt: skip
def test_drawing_as_the_paper_keeps_fewer_than_it_says(ratio, low, high):
    kept = len(sample_points(ALL, ratio, rng_or_seed=0, replace=True)) / 100
    assert low <= kept <= high  # published: 4.7-4.9, 9.4-9.5, 22.1, 39.4, 63 %
    assert len(sample_points(ALL, ratio, rng_or_seed=0)) == 10_000 * ratio


@given(st.integers(0, 30), st.floats(0.01, 1), st.integers(0, 99), st.booleans())
def test_a_sample_is_some_of_the_points_in_their_order(count, ratio, seed, replace):
    points = ALL[: 7 * count : 7]
    kept = sample_points(points, ratio, rng_or_seed=seed, replace=replace).astype(int)
    places = [points.tolist().index(point) for point in kept.tolist()]
    assert places == sorted(set(places))
    assert (
        kept == sample_points(points, ratio, rng_or_seed=np.random.default_rng(seed), replace=replace)
    ).all()
    if not replace:
        assert len(kept) >= min(count, 1)


def test_of_few_points_the_paper_keeps_none():
    assert len(sample_points(ALL[:9], 0.1, rng_or_seed=0, replace=True)) == 0
    assert len(sample_points(ALL[:9], 0.01, rng_or_seed=0)) == 1


@pytest.mark.parametrize("ratio", [0, -0.1, 1.1, float("nan"), 10])
def test_a_ratio_is_a_share(ratio, raises_code):
    with raises_code("ratio-range"):
        sample_points(ALL, ratio, rng_or_seed=0)


@pytest.mark.slow
def test_every_nucleus_of_kumar_has_a_pixel_of_its_own(data):
    count = 0
    for one in multiorgan.list_samples(data / "multiorgan", "train"):
        points = points_from_instances(mask_files.read(one.instances_path, None))
        assert len(np.unique(points, axis=0)) == len(points)
        count += len(points)
    assert count == pytest.approx(6842, abs=2)  # one label file of the 12 has another source
