import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from hsn.instances import renumber
from hsn.metrics.classes import confusion_matrix, dice, iou, pixel_accuracy, precision, recall
from hsn.metrics.objects import (
    Jaccard,
    Matching,
    aji,
    aji_plus,
    count_deviation,
    match,
    match_glas,
    match_paper,
)
from hsn.metrics.pairing import assigned_pairs, best_pairs, greedy_pairs
from hsn.metrics.table import overlaps

maps = arrays(np.int32, (7, 8), elements=st.integers(0, 5))


def blocks(shape, *boxes):
    """A label image of blocks; each box is first and last row, first and last column."""
    instances = np.zeros(shape, np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, 1):
        instances[top : bottom + 1, left : right + 1] = number
    return instances


@pytest.fixture
def four():
    """Published golden: four objects each; one shifted down, one shifted right, one missed, one met."""
    truth = blocks((32, 32), (2, 6, 2, 6), (12, 17, 12, 17), (2, 4, 22, 25), (26, 29, 4, 7))
    prediction = blocks((32, 32), (3, 7, 2, 6), (12, 17, 14, 19), (20, 21, 26, 28), (26, 29, 4, 7))
    return truth, prediction


@pytest.fixture
def merged():
    """Published golden: two objects predicted as one."""
    return blocks((12, 24), (4, 9, 4, 9), (4, 9, 12, 19)), blocks((12, 24), (4, 9, 4, 19))


def brute(truth, prediction):
    """Areas, and intersection and IoU of every pair, from boolean masks one by one."""
    t = [truth == k for k in np.unique(truth) if k]
    p = [prediction == k for k in np.unique(prediction) if k]
    shared = np.array([[(a & b).sum() for b in p] for a in t], float).reshape(len(t), len(p))
    union = np.array([[(a | b).sum() for b in p] for a in t], float).reshape(len(t), len(p))
    return shared, union, [a.sum() for a in t], [b.sum() for b in p]


def test_the_golden_of_four_objects(four):
    table = overlaps(*four)
    nuclei = match_paper(table)
    assert (nuclei.recall, nuclei.precision, nuclei.f1) == (0.75, 0.75, 0.75)
    assert nuclei.mean_dice == pytest.approx(0.822222, abs=1e-6)
    assert nuclei.mean_iou == pytest.approx(0.722222, abs=1e-6)
    glands = match_glas(table)
    assert (glands.recall, glands.precision, glands.f1) == (0.75, 0.75, 0.75)
    assert aji(table).score == pytest.approx(0.535714, abs=1e-6)
    assert aji(table, rule="paper-fullnet").score == pytest.approx(0.535714, abs=1e-6)
    assert aji(table, rule="paper-points").score == pytest.approx(0.437956, abs=1e-6)
    assert aji_plus(table).score == pytest.approx(0.535714, abs=1e-6)


def test_the_golden_of_a_merge(merged):
    table = overlaps(*merged)
    nuclei = match_paper(table)
    assert (nuclei.recall, nuclei.precision) == (0.5, 1)
    assert nuclei.f1 == pytest.approx(0.666667, abs=1e-6)
    assert nuclei.mean_dice == pytest.approx(0.545455, abs=1e-6)
    assert nuclei.mean_iou == pytest.approx(0.375)
    assert aji(table).score == pytest.approx(0.4375)
    assert aji(table, rule="paper-points").score == pytest.approx(0.4375)
    assert aji(table, rule="paper-fullnet").score == pytest.approx(0.25)


def test_the_pixel_golden_of_four_objects(four):
    truth, prediction = (ids > 0 for ids in four)
    counts = confusion_matrix(truth.astype(int), prediction.astype(int), 2)
    assert pixel_accuracy(counts) == pytest.approx(0.949219, abs=1e-6)
    for score, expected in ((iou, 0.535714), (recall, 0.674157), (precision, 0.722892), (dice, 0.697674)):
        assert score(counts)[1] == pytest.approx(expected, abs=1e-6)
    assert recall(counts).mean() == pytest.approx(0.824779, abs=1e-6)


@pytest.mark.parametrize(
    ("predicted", "deviation"),
    [((144, 196, 262, 196, 225, 168), 0.426019), ((151, 168, 112, 221, 241, 183), 0.559852)],
)
def test_the_golden_of_counting(predicted, deviation):
    truth = (102, 150, 313, 142, 144, 97)
    assert count_deviation(truth, predicted).mean() == pytest.approx(deviation, abs=5e-7)


def test_counting_where_there_is_nothing_to_count():
    assert count_deviation([0, 0, 2, 1], [0, 3, 0, 3]).tolist() == [0, np.inf, 1, 2]


@given(maps, maps)
def test_greedy_pairs_are_those_of_a_loop(truth, prediction):
    shared, union, _, prediction_areas = brute(truth, prediction)
    free, pairs = list(range(len(prediction_areas))), []
    for i in range(len(shared)):
        best = max(
            (j for j in free if shared[i, j]), key=lambda j: (shared[i, j] / union[i, j], -j), default=None
        )
        if best is not None:
            free.remove(best)
            pairs.append((i, best))
    table = overlaps(truth, prediction)
    chosen = greedy_pairs(table)
    assert list(zip(table.truth[chosen], table.prediction[chosen], strict=True)) == pairs


def test_the_points_paper_charges_the_first_prediction_once_more_and_calls_it_used():
    table = overlaps(np.array([[1, 1, 0, 0, 0, 0]]), np.array([[0, 0, 5, 5, 5, 7]]))
    assert aji(table).union == 2 + 3 + 1
    assert aji(table, rule="paper-points").union == 2 + 3 + 1
    two = overlaps(np.array([[1, 1, 0, 0, 2, 0]]), np.array([[0, 0, 5, 5, 0, 7]]))
    assert aji(two).union == 2 + 1 + 2 + 1
    assert aji(two, rule="paper-points").union == 2 + 1 + 2 * 2 + 1


@given(maps, maps)
def test_the_table_is_that_of_masks_one_by_one(truth, prediction):
    table = overlaps(truth, prediction)
    shared, union, truth_areas, prediction_areas = brute(truth, prediction)
    dense = np.zeros_like(shared)
    dense[table.truth, table.prediction] = table.shared
    np.testing.assert_array_equal(dense, shared)
    np.testing.assert_array_equal(table.union, union[table.truth, table.prediction])
    assert table.truth_areas.tolist() == truth_areas
    assert table.prediction_areas.tolist() == prediction_areas
    assert np.count_nonzero(shared) == len(table.shared)


@given(maps, maps, st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7]))
def test_matching_is_the_dense_assignment(truth, prediction, threshold):
    shared, union, truth_areas, prediction_areas = brute(truth, prediction)
    score = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    gain = (score > threshold) * (1 + score / 100)  # first as many as possible, then the highest IoU
    rows, columns = linear_sum_assignment(-gain)
    kept = score[rows, columns] > threshold
    counts = match(overlaps(truth, prediction), iou=threshold)
    assert counts.true_positives == kept.sum()
    assert counts.false_positives == len(prediction_areas) - kept.sum()
    assert counts.false_negatives == len(truth_areas) - kept.sum()
    assert counts.iou_sum == pytest.approx(score[rows, columns][kept].sum())


@given(maps, maps)
def test_panoptic_quality_is_the_sum_of_iou_over_the_mean_count(truth, prediction):
    shared, union, truth_areas, prediction_areas = brute(truth, prediction)
    score = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    total = len(truth_areas) + len(prediction_areas)
    expected = score[score > 0.5].sum() / (total / 2) if total else 1
    assert match(overlaps(truth, prediction)).pq == pytest.approx(expected)


@given(maps, maps)
def test_aji_is_that_of_a_loop(truth, prediction):
    shared, union, truth_areas, prediction_areas = brute(truth, prediction)
    top, bottom, used = 0, 0, set()
    for i, area in enumerate(truth_areas):
        best = max(range(len(prediction_areas)), key=lambda j: (shared[i, j] / union[i, j], -j), default=None)
        if best is None or shared[i, best] == 0:
            bottom += area
        else:
            top, bottom = top + shared[i, best], bottom + union[i, best]
            used.add(best)
    bottom += sum(area for j, area in enumerate(prediction_areas) if j not in used)
    assert aji(overlaps(truth, prediction)).score == pytest.approx(top / bottom if bottom else 1)


@given(maps, maps)
def test_aji_plus_is_the_dense_assignment(truth, prediction):
    shared, union, _, _ = brute(truth, prediction)
    score = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    rows, columns = linear_sum_assignment(-score)
    table = overlaps(truth, prediction)
    chosen = assigned_pairs(table, np.arange(len(table.shared)), table.iou)
    assert table.iou[chosen].sum() == pytest.approx(score[rows, columns].sum())
    assert len(set(table.truth[chosen])) == len(set(table.prediction[chosen])) == len(chosen)


@given(maps, maps)
def test_the_gland_rule_is_that_of_a_loop(truth, prediction):
    shared, _, truth_areas, prediction_areas = brute(truth, prediction)
    hits, found = 0, set()
    for j in range(len(prediction_areas)):
        if shared[:, j].any() and shared[:, j].max() >= truth_areas[shared[:, j].argmax()] / 2:
            hits += 1
            found.add(shared[:, j].argmax())
    counts = match_glas(overlaps(truth, prediction))
    assert counts.true_positives == hits
    assert counts.false_positives == len(prediction_areas) - hits
    assert counts.false_negatives == len(truth_areas) - len(found)


@given(maps)
def test_the_truth_itself_is_perfect(truth):
    table = overlaps(truth, truth)
    for counts in (match(table), match(table, iou=0), match_glas(table), match_paper(table)):
        assert counts.f1 == counts.precision == counts.recall == counts.mean_iou == counts.pq == 1
    for rule in ("standard", "paper-fullnet", "paper-points"):
        assert aji(table, rule=rule).score == 1
    assert aji_plus(table).score == 1


@given(maps, maps, st.permutations(range(5)))
def test_ids_with_gaps_change_nothing_but_the_order(truth, prediction, order):
    wide = np.array([0, *sorted(np.array(order) * 10**8 + 7)])
    table, same = overlaps(truth, prediction), overlaps(wide[truth], wide[prediction])
    assert match(table) == match(same)
    assert aji(table) == aji(same)
    assert aji_plus(table) == aji_plus(same)


def test_ties_take_the_first():
    assert best_pairs(np.array([0, 0]), np.array([1, 0]), np.array([3, 3])).tolist() == [1]
    halves = overlaps(np.array([[1, 1, 2, 2]]), np.array([[1, 2, 2, 1]]))
    assert halves.prediction[greedy_pairs(halves)].tolist() == [0, 1]


def test_exactly_half_of_a_gland_is_enough_and_counts_once():
    counts = match_glas(overlaps(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
    assert (counts.true_positives, counts.false_negatives, counts.recall) == (2, 0, 1)


def test_an_iou_equal_to_the_threshold_does_not_match():
    assert match(overlaps(np.array([[1, 1]]), np.array([[1, 0]]))).true_positives == 0


@pytest.mark.parametrize("empty", ["truth", "prediction", "both"])
def test_empty_maps_are_defined(empty):
    truth = np.zeros((3, 4), int) if empty in ("truth", "both") else np.eye(3, 4, dtype=int)
    prediction = np.zeros((3, 4), int) if empty in ("prediction", "both") else np.eye(3, 4, dtype=int)
    table, expected = overlaps(truth, prediction), float(empty == "both")
    for counts in (match(table), match_glas(table), match_paper(table)):
        assert counts.f1 == counts.precision == counts.recall == counts.pq == counts.mean_dice == expected
    for rule in ("standard", "paper-fullnet", "paper-points"):
        assert aji(table, rule=rule).score == expected
    assert aji_plus(table).score == expected


def test_an_image_without_pixels_is_defined():
    assert match(overlaps(np.zeros((0, 4), int), np.zeros((0, 4), int))).f1 == 1


def test_counts_add_up_over_images():
    one = Matching(1, 2, 3, 0.75, 0.8)
    assert sum([one, one], start=Matching()) == Matching(2, 4, 6, 1.5, 1.6)
    assert sum([Jaccard(3, 4), Jaccard(0, 4)], start=Jaccard()).score == 0.375


def test_more_objects_than_16_bits_hold(rng):
    truth = np.arange(1, 90_001).reshape(300, 300)
    prediction = rng.permutation(truth.ravel()).reshape(300, 300)
    table = overlaps(truth, prediction)
    assert len(table.truth_areas) == len(table.shared) == 90_000
    assert match(table).f1 == aji(table).score == aji_plus(table).score == match_glas(table).f1 == 1
    shifted = np.roll(truth, 1, axis=1)
    shifted[:, 0] = 0
    assert match(overlaps(truth, shifted)).true_positives == 300 * 299


def grid_of_nuclei(rng):
    """About 1,500 discs in 1000 x 1000, and the same a little moved and resized."""
    rows, columns = np.mgrid[:1000, :1000]
    maps = []
    for reach in (9.0, 8.5):
        centre = 12 + 25 * np.arange(40)[:, None, None] + rng.uniform(-3, 3, (40, 40, 2))
        nearest = np.minimum(rows // 25, 39), np.minimum(columns // 25, 39)
        away = np.hypot(rows - centre[nearest][..., 0], columns - (centre[..., 1].T)[nearest])
        maps.append(np.where(away < reach, nearest[0] * 40 + nearest[1] + 1, 0))
    return maps


def test_all_scores_of_1500_nuclei_take_less_than_a_second(rng):
    truth, prediction = grid_of_nuclei(rng)
    start = time.process_time()
    table = overlaps(truth, prediction)
    scores = [match(table).pq, match_glas(table).f1, match_paper(table).f1, aji_plus(table).score]
    scores += [aji(table, rule=rule).score for rule in ("standard", "paper-fullnet", "paper-points")]
    assert time.process_time() - start < 1
    assert len(table.truth_areas) == 1600
    assert all(0.2 < score < 1.0001 for score in scores)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2)), np.zeros((2, 2, 3), int), np.array([[0, -1]]), np.array([["a"]])]
)
def test_other_arrays_are_not_label_images(bad, raises_code):
    with raises_code("label-image-invalid"):
        renumber(bad)


def test_invalid_arguments_raise_input_errors(raises_code):
    with raises_code("shape-mismatch"):
        overlaps(np.zeros((2, 3), int), np.zeros((3, 2), int))
    table = overlaps(np.eye(2, dtype=int), np.eye(2, dtype=int))
    with raises_code("iou-range"):
        match(table, iou=1)
    with raises_code("rule-unknown"):
        aji(table, rule="plus")
    with raises_code("length-mismatch"):
        count_deviation([1, 2], [1])


@settings(deadline=None)
@given(st.sampled_from([np.uint8, np.uint16, np.int64, bool]))
def test_any_whole_numbers_will_do(dtype):
    ids = np.array([[0, 1], [1, 0]]).astype(dtype)
    numbers, names = renumber(ids)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [[0, 1], [1, 0]]
    assert names.tolist() == [1]
