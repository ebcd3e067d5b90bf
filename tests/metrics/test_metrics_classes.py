"""Scores of labels against brute force, the release's weights, and the rules that hold for any counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn.metrics import classes as m

label_images = arrays.arrays(np.int32, (5, 6), elements=st.integers(0, 3))
tables = arrays.arrays(np.int64, (4, 4), elements=st.integers(0, 50))

# Pixels of each class in the tuning set's truth at full size, and the weights that the release makes of them.
FUNC_PIXELS = [6527971, 37771290, 9137722, 2863848, 2886369]
FUNC_WEIGHTS = [0.200454, 0.180285, 0.196248, 0.211562, 0.211451]
GLAS_PIXELS = [8599022, 8846758]
GLAS_WEIGHTS = [0.500444, 0.499556]
MORPH_PIXELS = [
    10571471, 221528, 3911039, 2267804, 1483935, 2701324, 600147, 696509, 10077671, 948032, 6911920, 1345640,
    193229, 785059, 1157817, 374547, 84452, 712405, 963751, 1585584, 184297, 121577, 2832316, 401940, 6067317,
    1023749, 778465, 28045, 6601,
]  # fmt: skip
MORPH_WEIGHTS = [
    0.028387, 0.037301, 0.030246, 0.031373, 0.032309, 0.031002, 0.034507, 0.034125, 0.028471,
    0.033361, 0.029153, 0.032533, 0.037720, 0.033824, 0.032883, 0.035775, 0.040472, 0.034068,
    0.033321, 0.032159, 0.037867, 0.039213, 0.030903, 0.035579, 0.029396, 0.033176, 0.033845,
    0.044829, 0.052202,
]  # fmt: skip


@pytest.mark.parametrize(
    ("pixels", "weights"),
    [(FUNC_PIXELS, FUNC_WEIGHTS), (GLAS_PIXELS, GLAS_WEIGHTS), (MORPH_PIXELS, MORPH_WEIGHTS)],
    ids=["func", "glas", "morph"],
)
def test_the_weights_equal_the_release_to_six_decimals(pixels, weights):
    np.testing.assert_allclose(m.inverse_log_frequency_weights(pixels), weights, atol=5.1e-7)


def test_an_absent_class_has_weight_0():
    weights = m.inverse_log_frequency_weights([100, 0, 100])
    np.testing.assert_allclose(weights, [0.5, 0, 0.5])


@pytest.mark.parametrize("pixels", [[0, 0], [5, 1]])
def test_counts_without_a_logarithm_are_errors(pixels, raises_code):
    with raises_code("pixels-too-few"):
        m.inverse_log_frequency_weights(pixels)


@given(label_images, label_images, arrays.arrays(bool, (5, 6)), st.sampled_from(["ignore", "false_alarms"]))
def test_counts_and_scores_against_sets_of_pixels(truth, prediction, known, unlisted):
    counts = m.confusion_matrix(truth, prediction, 4, valid_mask=known, unlisted=unlisted)
    assert counts.shape == ((4, 4) if unlisted == "ignore" else (5, 4))
    scores = m.class_scores(counts, "abcd")
    places = [p for p in np.ndindex(truth.shape) if known[p] or unlisted == "false_alarms"]
    for k in range(4):
        true = {p for p in places if known[p] and truth[p] == k}
        said = {p for p in places if prediction[p] == k}
        for found, part, whole in (
            (scores.iou, len(true & said), len(true | said)),
            (scores.dice, 2 * len(true & said), len(true) + len(said)),
            (scores.recall, len(true & said), len(true)),
            (scores.precision, len(true & said), len(said)),
        ):
            assert math.isnan(found[k]) if not whole else found[k] == pytest.approx(part / whole)
        assert scores.pixels[k] == len(true)
    right = sum(known[p] and truth[p] == prediction[p] for p in places)
    np.testing.assert_allclose(scores.pixel_accuracy, right / len(places) if places else np.nan)


@given(st.lists(st.tuples(label_images, label_images), min_size=1, max_size=4))
def test_counts_add_up_over_images(pairs):
    apart = sum(m.confusion_matrix(truth, prediction, 4) for truth, prediction in pairs)
    together = m.confusion_matrix(
        np.concatenate([truth for truth, _ in pairs]), np.concatenate([said for _, said in pairs]), 4
    )
    np.testing.assert_array_equal(apart, together)


@given(tables)
def test_scores_lie_between_0_and_1_and_dice_follows_from_iou(counts):
    scores = m.class_scores(counts, "abcd")
    np.testing.assert_allclose(scores.dice, 2 * scores.iou / (1 + scores.iou))
    for score in (scores.iou, scores.dice, scores.precision, scores.recall):
        given = score[~np.isnan(score)]
        assert ((given >= 0) & (given <= 1)).all()
    assert not scores.mean_iou < scores.mean_iou_absent_zero - 1e-12


@given(tables, st.permutations(range(4)))
def test_the_order_of_the_classes_changes_no_mean(counts, order):
    shuffled = counts[np.ix_(order, order)]
    for score in (m.mean_iou, m.pixel_accuracy, m.frequency_weighted_iou):
        np.testing.assert_allclose(score(shuffled), score(counts))


@given(tables)
def test_frequency_weighted_iou_is_the_mean_over_true_pixels(counts):
    each = [m.iou(counts)[row] for row in range(4) for _ in range(counts[row].sum())]
    np.testing.assert_allclose(m.frequency_weighted_iou(counts), np.mean(each) if each else np.nan)


@given(label_images)
def test_a_correct_prediction_scores_1(truth):
    counts = m.confusion_matrix(truth, truth, 4)
    assert m.mean_iou(counts) == m.frequency_weighted_iou(counts) == m.pixel_accuracy(counts) == 1


def test_a_class_that_is_only_predicted_counts_as_0_either_way():
    counts = m.confusion_matrix(np.array([0, 0]), np.array([0, 1]), 3)
    np.testing.assert_allclose(m.iou(counts), [0.5, 0, np.nan])
    assert m.mean_iou(counts) == 0.25
    assert m.mean_iou(counts, absent="zero") == pytest.approx(0.5 / 3)


def test_unlisted_pixels_are_false_alarms_only_on_request():
    truth, prediction, known = np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([True, False, True])
    assert m.iou(m.confusion_matrix(truth, prediction, 2, valid_mask=known)).tolist() == [1, 1]
    counts = m.confusion_matrix(truth, prediction, 2, valid_mask=known, unlisted="false_alarms")
    assert counts.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert m.iou(counts).tolist() == [1, 0.5]
    assert m.truth_pixels(counts).tolist() == [1, 1]


def test_the_release_weighs_by_counts_of_its_own():
    counts = [[50, 50], [0, 100]]
    weights = m.inverse_log_frequency_weights([10, 1000])
    expected = weights @ np.array([0.5, 2 / 3])
    assert m.inverse_log_frequency_iou(counts, [10, 1000]) == pytest.approx(expected)
    assert m.class_scores(counts, "ab", pixels=[10, 1000]).inverse_log_frequency_iou == pytest.approx(
        expected
    )


def test_a_record_of_nothing_and_of_one_pixel_still_prints():
    assert "nan" in str(m.class_scores(np.zeros((2, 2), int), ("Other", "G.O")))
    one = m.class_scores([[1, 0], [0, 5]], ("Other", "G.O"))
    assert math.isnan(one.inverse_log_frequency_iou)
    assert "1.0000" in str(one)


def test_the_labels_outside_the_known_part_may_be_anything():
    counts = m.confusion_matrix(np.array([0, 99]), np.array([0, 0]), 2, valid_mask=np.array([True, False]))
    assert counts.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("truth", "prediction", "code"),
    [
        ([0, 1], [0], "shape-mismatch"),
        ([0, 2], [0, 1], "labels-range"),
        ([0, -1], [0, 1], "labels-range"),
        ([0, 1], [0, 2], "labels-range"),
        ([0, 1], [-1, 1], "labels-range"),
        ([0, 1], [0.0, 1.0], "labels-range"),
    ],
)
def test_labels_that_cannot_be_counted_are_errors(truth, prediction, code, raises_code):
    with raises_code(code):
        m.confusion_matrix(np.array(truth), np.array(prediction), 2)


def test_an_unlisted_row_does_not_open_the_range_of_predictions(raises_code):
    with raises_code("labels-range"):
        m.confusion_matrix(np.array([0]), np.array([2]), 2, unlisted="false_alarms")


def test_unknown_rules_are_errors(raises_code):
    with raises_code("unlisted-unknown"):
        m.confusion_matrix(np.array([0]), np.array([0]), 2, unlisted="drop")
    with raises_code("absent-unknown"):
        m.mean_iou([[1]], absent="drop")


@pytest.mark.parametrize("counts", [[1, 2], [[1, 2]], [[1, 2], [3, 4], [5, 6], [7, 8]], np.zeros((1, 0))])
def test_an_array_that_is_not_a_confusion_matrix_is_an_error(counts, raises_code):
    with raises_code("counts-shape"):
        m.iou(counts)


def test_names_must_fit_the_counts(raises_code):
    with raises_code("names-count"):
        m.class_scores([[1, 0], [0, 1]], ["one"])
