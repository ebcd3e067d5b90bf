"""Adjustment: vectors of the release, and properties of order-free subtraction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hsn.images.read import read
from hsn.supervision.tags.adjust import adjust, compute_glass, infer, subtract
from hsn.taxonomies import ADP_FUNC, ADP_MORPH, GLAS

RELEASE = [
    ([0.1, 0.6, 0.5, 0], [], [0, 0.1, 0.4, 0]),
    ([0.1, 0.5, 0.6, 0], [], [0, 0, 0.6, 0]),
    ([0.1, 0.6, 0.3, 0], [], [0, 0.3, 0, 0]),
    ([0.02, 0.03, 0.6, 0.5, 0.55], [1], [0, 0.03, 0.05, 0, 0.5]),
]


@pytest.mark.parametrize(("values", "keep", "expected"), RELEASE)
def test_sequential_subtraction_equals_the_release(values, keep, expected):
    result = subtract(np.array(values), how="sequential", keep=keep).clip(0, 1)
    np.testing.assert_allclose(result, expected, atol=1e-12)


maps = npst.arrays(np.float64, (3, 4), elements=st.floats(0, 1, width=16))


@given(maps)
def test_order_free_subtraction_keeps_the_lead_of_the_winner(values):
    result = subtract(values).clip(0, 1)
    first, second = np.sort(values, axis=1)[:, :-3:-1].T
    np.testing.assert_allclose(result.max(axis=1), first - second, atol=1e-12)
    assert ((result > 0).sum(axis=1) <= 1).all()


@given(maps, st.permutations(range(4)))
def test_order_free_subtraction_does_not_depend_on_the_order_of_classes(values, order):
    np.testing.assert_array_equal(subtract(values)[:, order], subtract(values[:, order]))


def test_a_single_class_has_no_competitor():
    assert subtract(np.array([[0.3]])).tolist() == [[0.3]]


def test_an_unknown_subtraction_is_an_error(raises_code):
    with raises_code("how-unknown"):
        subtract(np.zeros(2), how="both")


@pytest.mark.parametrize("g", [0, 0.05, 1 / 11 - 0.001, 1 / 11 + 0.001, 0.5, 1])
def test_gland_wins_where_its_map_exceeds_one_eleventh(g):
    image = np.full((2, 2, 3), 100, np.uint8)
    heatmaps = np.zeros((2, 2, 2))
    heatmaps[..., 1] = g
    values = adjust(heatmaps, image, GLAS, subtraction="sequential")
    assert values[0, 0, 1] == pytest.approx(1.05 * g - 0.05, abs=1e-6)
    assert (values.clip(0, 1).argmax(axis=2) == (g > 1 / 11)).all()


def test_the_background_of_the_tuning_images_has_its_published_mean(data):
    found = {
        p.name: compute_glass(read(p), ADP_MORPH.background)
        for p in (data / "adp_tuning/images_224").glob("*.png")
    }
    assert len(found) == 50
    everything = np.stack(list(found.values()))
    assert everything.mean() == pytest.approx(0.09326, abs=5e-6)
    assert everything.max() == pytest.approx(0.75, abs=1e-6)
    assert (everything > 0.375).mean() == pytest.approx(0.10915, abs=5e-6)
    assert found["008.png_crop_3788.png"].mean() == pytest.approx(0.064217, abs=5e-7)


def half_white():
    image = np.full((32, 32, 3), 120, np.uint8)
    image[:, 16:] = 255
    return image


def test_fat_is_bright_but_not_glass():
    heatmaps = np.zeros((32, 32, len(ADP_MORPH)))
    heatmaps[..., ADP_MORPH.index("A.W")] = 0.6
    values = infer(heatmaps, half_white(), ADP_MORPH)
    assert values[5, 30, 0] == pytest.approx(0.15, abs=1e-5)  # 0.75 - 0.6
    assert values[5, 2, 0] == 0


def test_other_is_high_where_all_classes_are_low_and_where_outside_classes_are_high():
    heatmaps = np.zeros((32, 32, len(ADP_FUNC)))
    heatmaps[:8, :8, ADP_FUNC.index("G.O")] = 0.8
    also = np.full((32, 32), -0.4)
    also[24:, :8] = 0.7
    values = infer(heatmaps, half_white(), ADP_FUNC, also=also)
    other = values[..., ADP_FUNC.index("Other")]
    assert other[2, 2] == pytest.approx(0.05 * 0.2, abs=1e-6)
    assert other[15, 2] == pytest.approx(0.05, abs=1e-6)
    assert other[28, 2] == pytest.approx(0.7, abs=1e-6)
    assert other[15, 31] == pytest.approx(0.05 * 0.25, abs=1e-6)


def test_heatmaps_of_another_size_are_an_error(raises_code):
    with raises_code("heatmaps-shape"):
        infer(np.zeros((4, 5, 2)), np.zeros((4, 4, 3), np.uint8), GLAS)
