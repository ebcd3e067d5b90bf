"""Splits: every image is on exactly one side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.training.splits import train_val_split


@given(st.integers(2, 50), st.floats(0.01, 0.9), st.integers(0, 99))
def test_each_image_is_on_one_side(count, share, seed):
    if round(share * count) == count:
        return
    learned, held_out = train_val_split(count, share, seed=seed)
    assert sorted([*learned, *held_out]) == list(range(count))
    assert len(held_out) == max(1, round(share * count))
    np.testing.assert_array_equal(held_out, train_val_split(count, share, seed=seed)[1])


@pytest.mark.parametrize(("count", "validation"), [(1, 0.5), (3, (0, 1, 2)), (3, (3,)), (3, (-1,)), (3, ())])
def test_an_empty_side_is_an_error(count, validation, raises_code):
    with raises_code("split-empty"):
        train_val_split(count, validation, seed=0)
