"""k-means: finds what is there, the same each time, and says when it cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection import clusters
from hsn.selection.clusters import kmeans


def heaps(rng, centres, members=40):
    return np.concatenate([c + rng.normal(size=(members, len(c))) for c in np.asarray(centres, float)])


def test_heaps_are_found(rng):
    centres = 20 * np.eye(5, 7)
    values = heaps(rng, centres)
    found = kmeans(values, 5, seed=3)
    assert all(len(set(found.labels[k : k + 40])) == 1 for k in range(0, 200, 40))
    assert len(set(found.labels)) == 5
    means = [values[found.labels == k].mean(axis=0) for k in range(5)]
    np.testing.assert_allclose(found.centres, means, rtol=1e-4, atol=1e-4)
    away = np.square(values - found.centres[found.labels]).sum()
    assert found.spread == pytest.approx(away, rel=1e-4)


def test_a_seed_repeats_and_more_starts_are_never_worse(rng):
    values = rng.normal(size=(300, 6))
    one, two = kmeans(values, 9, seed=1), kmeans(values, 9, seed=1)
    assert (one.labels == two.labels).all()
    few = kmeans(values, 9, seed=1, restarts=1)
    assert one.spread <= few.spread
    assert not (kmeans(values, 9, seed=2, restarts=1).centres == few.centres).all()


@given(st.integers(1, 5), st.lists(st.integers(0, 3), min_size=5, max_size=12))
def test_every_value_is_with_its_nearest_centre_and_clusters_are_empty_only_for_want_of_values(k, numbers):
    values = np.float32(numbers)[:, None]
    found = kmeans(values, k)
    away = abs(values - found.centres[:, 0])
    np.testing.assert_allclose(away[np.arange(len(values)), found.labels], away.min(axis=1))
    assert len(set(found.labels.tolist())) == min(k, len(set(numbers)))


def test_blocks_of_rows_change_nothing(rng, monkeypatch):
    values = heaps(rng, [[0, 0], [9, 0], [0, 9]])
    whole = kmeans(values, 3)
    monkeypatch.setattr(clusters, "_ROWS", 7)
    assert (kmeans(values, 3).labels == whole.labels).all()


def test_refusals():
    with pytest.raises(ValueError, match=r"not as many clusters; expected 1 to 2.*received 3; ask for fewer"):
        kmeans(np.eye(2), 3)
    with pytest.raises(ValueError, match=r"must be finite.*received 1 bad vectors"):
        kmeans([[0.0], [np.nan], [1.0]], 2)
