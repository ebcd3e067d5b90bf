"""Tags from labels: a class is present from a stated share of what is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn import InputError
from hsn.annotations.tags import tags_from_labels

labels = arrays.arrays(np.int32, (4, 5), elements=st.integers(0, 3))
known = arrays.arrays(bool, (4, 5))


@given(labels, known, st.floats(0, 1))
def test_a_class_is_present_from_its_share_on(labels, known, least):
    tags = tags_from_labels(labels, 4, least_fraction=least, known=known)
    for k in range(4):
        pixels = ((labels == k) & known).sum()
        assert tags[k] == (pixels > 0 and pixels >= least * known.sum())


@given(labels)
def test_with_no_share_asked_a_single_pixel_is_enough(labels):
    assert (
        np.flatnonzero(tags_from_labels(labels, 4, least_fraction=0)).tolist() == np.unique(labels).tolist()
    )


def test_each_class_may_have_its_own_share():
    tags = tags_from_labels(np.array([[0, 0, 0, 1]]), 2, least_fraction=[0.8, 0.2])
    assert tags.tolist() == [False, True]


def test_exactly_the_share_is_enough():
    assert tags_from_labels(np.array([[0, 0, 0, 1]]), 2, least_fraction=0.25).tolist() == [True, True]


def test_nothing_known_nothing_tagged():
    tags = tags_from_labels(np.zeros((2, 2), int), 2, least_fraction=0, known=np.zeros((2, 2), bool))
    assert not tags.any()


@pytest.mark.parametrize("share", [-0.1, 1.1, 5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(InputError, match=r"share of the area; expected 0 to 1.*5 % as 0.05"):
        tags_from_labels(np.zeros((2, 2), int), 2, least_fraction=share)


def test_a_foreign_label_is_refused():
    with pytest.raises(InputError, match="class that the taxonomy lacks"):
        tags_from_labels(np.array([[2]]), 2, least_fraction=0)
