"""The choice: one patch per kind of tissue, by the score, out of arrays or files."""

import numpy as np
import pytest

from hsn.selection import choice
from hsn.selection.choice import choose
from hsn.selection.score import terms


def made(rng, sizes=(30, 20, 10), d=6):
    """Features of patches of some kinds that lie far apart, their quarters, and the kinds."""
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    features = 50 * np.eye(len(sizes), d)[kinds] + rng.normal(size=(len(kinds), d))
    quarters = features[:, None] + rng.normal(size=(len(kinds), 4, d))
    return features.astype("f4"), quarters.astype("f4"), kinds


def test_one_patch_of_each_kind_the_largest_first(rng):
    features, quarters, kinds = made(rng)
    found = choose(features, quarters, 3, seed=5)
    assert kinds[found.patches].tolist() == [0, 1, 2]
    assert (found.labels == kinds).all()
    assert (choose(features, quarters, 3, seed=5).patches == found.patches).all()


def test_the_chosen_one_has_the_least_score_of_its_cluster(rng):
    features, quarters, kinds = made(rng)
    found = choose(features, quarters, 3, textures=1)
    for kind, patch in enumerate(found.patches):
        members = kinds == kind
        centre, texture = features[members].mean(axis=0), quarters[members].mean(axis=(0, 1))
        scores = terms(features[members], quarters[members], centre, texture).sum(axis=1)
        assert patch == np.flatnonzero(members)[scores.argmin()]
        np.testing.assert_allclose(found.terms[kind].sum(), scores.min(), rtol=1e-4)


def test_an_uneven_patch_is_not_chosen_though_it_lies_in_the_middle():
    features = np.float32([[0.0], [-0.2], [0.2]])
    quarters = np.repeat(features[:, None], 4, axis=1)
    quarters[0] = [[-3], [3], [0], [0]]
    assert choose(features, quarters, 1, textures=1).patches[0] != 0


def test_features_of_different_units_count_alike_when_standardised(rng):
    features, quarters, kinds = made(rng, d=3)
    noise = 1e4 * rng.normal(size=(len(kinds), 1))
    features = np.hstack([features, noise])
    quarters = np.concatenate([quarters, np.repeat(noise[:, None], 4, axis=1)], axis=2)
    assert (choose(features, quarters, 3, standardize=True).labels == kinds).all()
    assert not (choose(features, quarters, 3).labels == kinds).all()
    constant = np.hstack([features, np.ones((len(kinds), 1))])
    parts = np.concatenate([quarters, np.ones((len(kinds), 4, 1))], axis=2)
    assert (choose(constant, parts, 3, standardize=True).labels == kinds).all()


def test_files_and_blocks_change_nothing(rng, tmp_path, monkeypatch):
    features, quarters, _ = made(rng)
    plain = choose(features, quarters, 3)
    np.save(tmp_path / "q.npy", quarters)
    monkeypatch.setattr(choice, "_ROWS", 7)
    filed = choose(features, np.load(tmp_path / "q.npy", mmap_mode="r"), 3)
    assert (filed.patches == plain.patches).all()
    np.testing.assert_allclose(filed.terms, plain.terms)


def test_refusals(rng):
    features, quarters, _ = made(rng)
    with pytest.raises(ValueError, match=r"fewer different patches.*expected 2 that differ, received 1"):
        choose(np.ones((4, 2)), np.ones((4, 4, 2)), 2)
    with pytest.raises(ValueError, match=r"same features; expected \(N, d\) and \(N, 4, d\).*one encoder"):
        choose(features, quarters[:, :3], 2)
    with pytest.raises(ValueError, match="not as many clusters"):
        choose(features, quarters, 61)
