import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsn.objects.distances import distance_map

maps = arrays(np.int32, (8, 9), elements=st.sampled_from([0, 3, 3, 3, 9, 90_000]))


def naive(instances):
    deep = np.zeros(instances.shape)
    for pixel in np.argwhere(instances > 0):
        outside = np.argwhere(instances != instances[tuple(pixel)])
        deep[tuple(pixel)] = np.hypot(*(outside - pixel).T).min()
    return deep


@given(maps)
def test_distances_are_those_to_all_pixels_outside(instances):
    instances[0, 0] = 0
    expected = naive(instances)
    np.testing.assert_allclose(distance_map(instances, relative_to=None), expected, rtol=1e-6)
    np.testing.assert_allclose(distance_map(instances), expected / max(expected.max(), 1), rtol=1e-6)
    relative = distance_map(instances, relative_to="object")
    for k in np.unique(instances[instances > 0]):
        own = instances == k
        np.testing.assert_allclose(relative[own], expected[own] / expected[own].max(), rtol=1e-6)


@pytest.mark.parametrize("turns", range(4))
def test_a_block_beside_another_is_as_deep_on_every_side(turns):
    blocks = np.zeros((7, 9), int)
    blocks[1:6, 1:4], blocks[1:6, 4:8] = 5, 2
    expected = np.rot90(naive(blocks), turns)
    np.testing.assert_allclose(distance_map(np.rot90(blocks, turns), relative_to=None), expected)


def test_empty_and_full_images_are_defined():
    assert not distance_map(np.zeros((3, 4), int)).any()
    full = distance_map(np.ones((3, 4), int), relative_to=None)
    assert full.tolist() == [[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    assert full.dtype == np.float32


def test_refusals():
    with pytest.raises(ValueError, match="received 'pixel'; leave it out"):
        distance_map(np.zeros((3, 4), int), relative_to="pixel")
    with pytest.raises(ValueError, match="label image"):
        distance_map(np.zeros((3, 4)))
