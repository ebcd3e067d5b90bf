"""k-means: separated clusters are found, results repeat, invalid input raises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection import clusters
from hsn.selection.clusters import kmeans


def blobs(rng, centers, members=40):
    return np.concatenate([c + rng.normal(size=(members, len(c))) for c in np.asarray(centers, float)])


def test_separated_clusters_are_found(rng):
    centers = 20 * np.eye(5, 7)
    values = blobs(rng, centers)
    found = kmeans(values, 5, seed=3)
    assert all(len(set(found.labels[k : k + 40])) == 1 for k in range(0, 200, 40))
    assert len(set(found.labels)) == 5
    means = [values[found.labels == k].mean(axis=0) for k in range(5)]
    np.testing.assert_allclose(found.centers, means, rtol=1e-4, atol=1e-4)
    distances = np.square(values - found.centers[found.labels]).sum()
    assert found.spread == pytest.approx(distances, rel=1e-4)


def test_a_seed_repeats_and_more_starts_do_not_increase_the_spread(rng):
    values = rng.normal(size=(300, 6))
    one, two = kmeans(values, 9, seed=1), kmeans(values, 9, seed=1)
    assert (one.labels == two.labels).all()
    few = kmeans(values, 9, seed=1, restarts=1)
    assert one.spread <= few.spread
    assert not (kmeans(values, 9, seed=2, restarts=1).centers == few.centers).all()


@given(st.integers(1, 5), st.lists(st.integers(0, 3), min_size=5, max_size=12))
def test_every_value_has_its_nearest_center_and_clusters_are_not_empty_needlessly(k, numbers):
    values = np.float32(numbers)[:, None]
    found = kmeans(values, k)
    distances = abs(values - found.centers[:, 0])
    np.testing.assert_allclose(distances[np.arange(len(values)), found.labels], distances.min(axis=1))
    assert len(set(found.labels.tolist())) == min(k, len(set(numbers)))


def test_blocks_of_rows_give_the_same_result(rng, monkeypatch):
    values = blobs(rng, [[0, 0], [9, 0], [0, 9]])
    whole = kmeans(values, 3)
    monkeypatch.setattr(clusters, "_ROWS", 7)
    assert (kmeans(values, 3).labels == whole.labels).all()


def test_invalid_arguments_raise_input_errors(raises_code):
    with raises_code("too-few-patches"):
        kmeans(np.eye(2), 3)
    with raises_code("features-not-finite"):
        kmeans([[0.0], [np.nan], [1.0]], 2)
