"""The score: its formula by hand, ties, and who is eligible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.selection.score import best, commonest, terms


def test_the_formula_by_hand():
    features = [[1.0, 0.0], [0.0, 2.0]]
    quarters = [
        [[0, 0], [3, 4], [0, 0], [0, 0]],  # to the texture (0, 0): 5 / 4; apart: 5
        [[1, 0], [-1, 0], [0, 1], [0, -1]],  # 1; apart: 2
    ]
    found = terms(features, quarters, centre=[0, 0], texture=[0, 0])
    np.testing.assert_allclose(found, [[1, 1.25, 5], [2, 1, 2]])


def test_every_pair_of_quarters_counts():
    for first in range(4):
        for second in range(first + 1, 4):
            quarters = np.zeros((1, 4, 1))
            quarters[0, first], quarters[0, second] = 3, -4
            assert terms([[0]], quarters, centre=[0], texture=[0])[0, 2] == 7


@given(st.permutations(range(4)), st.integers(0, 1000))
def test_the_order_of_quarters_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    features, quarters = rng.normal(size=(3, 5)), rng.normal(size=(3, 4, 5))
    one = terms(features, quarters, centre=np.ones(5), texture=np.zeros(5))
    two = terms(features, quarters[:, list(order)], centre=np.ones(5), texture=np.zeros(5))
    np.testing.assert_allclose(one, two)


def test_ties_go_to_the_first():
    assert commonest([3, 3, 0, 0, 1], 5) == 0
    assert best([2.0, 1.0, 1.0], [[0] * 4] * 3, texture=0) == 1


@pytest.mark.parametrize("quarter", range(4))
def test_one_quarter_of_the_texture_makes_eligible_and_none_does_not(quarter):
    labels = np.zeros((3, 4), int)
    labels[2, quarter] = 1
    assert best([1.0, 2.0, 3.0], labels, texture=1) == 2
