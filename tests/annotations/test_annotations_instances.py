"""Objects of a mask: numbered without gaps, never saturated; the release's rule beside the exact one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn.annotations.instances import label_components

masks = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


@given(masks, st.sampled_from(["exact", "release"]))
def test_numbers_have_no_gaps_and_touching_pixels_share_one(mask, rule):
    objects = label_components(mask, rule=rule)
    assert objects.dtype == np.int32
    assert np.unique(objects[objects > 0]).tolist() == list(range(1, objects.max(initial=0) + 1))
    for one, other in ((objects[1:], objects[:-1]), (objects[:, 1:], objects[:, :-1])):
        both = (one > 0) & (other > 0)
        assert (one[both] == other[both]).all()


def test_more_than_255_objects_keep_their_numbers():
    mask = np.zeros((80, 80), bool)
    mask[2::4, 2::4] = mask[3::4, 2::4] = mask[2::4, 3::4] = mask[3::4, 3::4] = True
    assert label_components(mask).max() == 400


def test_objects_that_touch_by_a_corner_are_two():
    mask = np.zeros((12, 12), bool)
    mask[:6, :6] = mask[6:, 6:] = True
    assert label_components(mask).max() == 2


@pytest.mark.parametrize("rule", ["exact", "release"])
def test_an_empty_and_a_full_mask(rule):
    assert label_components(np.zeros((5, 5), bool), rule=rule).max() == 0
    assert (label_components(np.ones((5, 5), bool), rule=rule) == 1).all()


def test_the_release_cuts_at_the_mean_of_the_smoothed_mask():
    """One square in much empty space: the mean is low, so the release's object grows by its rim."""
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    assert ((label_components(mask) > 0) == mask).all()
    assert (label_components(mask, rule="release") > 0).sum() == 12 * 12 - 4


@given(masks)
def test_the_exact_rule_changes_no_pixel(mask):
    np.testing.assert_array_equal(label_components(mask) > 0, mask)


@pytest.mark.parametrize("mask", [np.zeros((4, 4), int), np.zeros(4, bool)])
def test_only_a_mask_has_objects(mask, raises_code):
    with raises_code("mask-dtype"):
        label_components(mask)


def test_another_rule_is_refused(raises_code):
    with raises_code("rule-unknown"):
        label_components(np.zeros((4, 4), bool), rule="otsu")
