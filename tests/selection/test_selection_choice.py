"""Choice: one patch per cluster, by the score, from arrays or files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection import choice
from hsn.selection.choice import best_patch, choose, most_common, score_terms


def made(rng, sizes=(30, 20, 10), d=6):
    """Features of patches of some kinds that lie far apart, their quarters, and the kinds."""
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    features = 50 * np.eye(len(sizes), d)[kinds] + rng.normal(size=(len(kinds), d))
    quarters = features[:, None] + rng.normal(size=(len(kinds), 4, d))
    return features.astype("f4"), quarters.astype("f4"), kinds


def test_one_patch_of_each_cluster_in_the_order_of_cluster_size(rng):
    features, quarters, kinds = made(rng)
    found = choose(features, quarters, 3, seed=5)
    assert kinds[found.patches].tolist() == [0, 1, 2]
    assert (found.labels == kinds).all()
    assert (choose(features, quarters, 3, seed=5).patches == found.patches).all()


def test_the_selected_patch_has_the_lowest_score_of_its_cluster(rng):
    features, quarters, kinds = made(rng)
    found = choose(features, quarters, 3, textures=1)
    for kind, patch in enumerate(found.patches):
        members = kinds == kind
        center, texture = features[members].mean(axis=0), quarters[members].mean(axis=(0, 1))
        scores = score_terms(features[members], quarters[members], center, texture).sum(axis=1)
        assert patch == np.flatnonzero(members)[scores.argmin()]
        np.testing.assert_allclose(found.terms[kind].sum(), scores.min(), rtol=1e-4)


def test_a_central_patch_is_not_selected_if_it_is_not_uniform():
    features = np.float32([[0.0], [-0.2], [0.2]])
    quarters = np.repeat(features[:, None], 4, axis=1)
    quarters[0] = [[-3], [3], [0], [0]]
    assert choose(features, quarters, 1, textures=1).patches[0] != 0


def test_standardized_features_have_equal_weight(rng):
    features, quarters, kinds = made(rng, d=3)
    noise = 1e4 * rng.normal(size=(len(kinds), 1))
    features = np.hstack([features, noise])
    quarters = np.concatenate([quarters, np.repeat(noise[:, None], 4, axis=1)], axis=2)
    assert (choose(features, quarters, 3, standardize=True).labels == kinds).all()
    assert not (choose(features, quarters, 3).labels == kinds).all()
    constant = np.hstack([features, np.ones((len(kinds), 1))])
    parts = np.concatenate([quarters, np.ones((len(kinds), 4, 1))], axis=2)
    assert (choose(constant, parts, 3, standardize=True).labels == kinds).all()


def test_memory_mapped_files_and_blocks_give_the_same_result(rng, tmp_path, monkeypatch):
    features, quarters, _ = made(rng)
    plain = choose(features, quarters, 3)
    np.save(tmp_path / "q.npy", quarters)
    monkeypatch.setattr(choice, "_ROWS", 7)
    filed = choose(features, np.load(tmp_path / "q.npy", mmap_mode="r"), 3)
    assert (filed.patches == plain.patches).all()
    np.testing.assert_allclose(filed.terms, plain.terms)


def test_invalid_arguments_raise_input_errors(rng, raises_code):
    features, quarters, _ = made(rng)
    with raises_code("too-few-patches"):
        choose(np.ones((4, 2)), np.ones((4, 4, 2)), 2)
    with raises_code("features-shape-mismatch"):
        choose(features, quarters[:, :3], 2)
    with raises_code("too-few-patches"):
        choose(features, quarters, 61)


def test_the_terms_equal_hand_computed_ones():
    features = [[1.0, 0.0], [0.0, 2.0]]
    quarters = [
        [[0, 0], [3, 4], [0, 0], [0, 0]],  # to the texture (0, 0): 5 / 4; largest distance: 5
        [[1, 0], [-1, 0], [0, 1], [0, -1]],  # 1; largest distance: 2
    ]
    found = score_terms(features, quarters, center=[0, 0], texture=[0, 0])
    np.testing.assert_allclose(found, [[1, 1.25, 5], [2, 1, 2]])


def test_every_pair_of_quarters_counts():
    for first in range(4):
        for second in range(first + 1, 4):
            quarters = np.zeros((1, 4, 1))
            quarters[0, first], quarters[0, second] = 3, -4
            assert score_terms([[0]], quarters, center=[0], texture=[0])[0, 2] == 7


@given(st.permutations(range(4)), st.integers(0, 1000))
def test_the_order_of_quarters_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    features, quarters = rng.normal(size=(3, 5)), rng.normal(size=(3, 4, 5))
    one = score_terms(features, quarters, center=np.ones(5), texture=np.zeros(5))
    two = score_terms(features, quarters[:, list(order)], center=np.ones(5), texture=np.zeros(5))
    np.testing.assert_allclose(one, two)


def test_the_first_wins_a_tie():
    assert most_common([3, 3, 0, 0, 1], 5) == 0
    assert best_patch([2.0, 1.0, 1.0], [[0] * 4] * 3, texture=0) == 1


@pytest.mark.parametrize("quarter", range(4))
def test_patches_without_a_quarter_of_the_texture_are_not_eligible(quarter):
    labels = np.zeros((3, 4), int)
    labels[2, quarter] = 1
    assert best_patch([1.0, 2.0, 3.0], labels, texture=1) == 2
